"""Inject faults: make requests to an endpoint's fleet fail as if its container had.

POST /_local/faults {"endpoint", "endpoint_config"?, "status", "share", "latency_ms"}, GET, DELETE. AWS has no
such interface; it is for tests and demonstrations.
"""

from __future__ import annotations

import json
import random
import threading
from dataclasses import asdict, dataclass
from typing import Any

PATH = "/_local/faults"


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """What happens to a share of an endpoint's requests, or only of those to one config's fleet.

    A status below 400 lets the container answer, after the latency.
    """

    endpoint: str
    endpoint_config: str | None = None
    status: int = 500
    share: float = 1.0
    latency_ms: float = 0.0

    def __post_init__(self) -> None:
        """Raise ValueError for invalid settings."""
        if not isinstance(self.endpoint, str) or not self.endpoint:
            raise ValueError("endpoint must be an endpoint's name")
        if not isinstance(self.status, int) or not 200 <= self.status <= 599:
            raise ValueError("status must be an HTTP status from 200 to 599")
        if not 0 <= self.share <= 1:
            raise ValueError("share must be from 0 to 1")
        if not 0 <= self.latency_ms <= 60_000:
            raise ValueError("latency_ms must be from 0 to 60000")

    def hits(self, endpoint: str, endpoint_config: str, point: float) -> bool:
        """Tell whether a request fails; `point` is its random place in [0, 1)."""
        return (
            self.endpoint == endpoint
            and self.endpoint_config in (None, endpoint_config)
            and point < self.share
        )


_lock = threading.Lock()
_injected: tuple[InjectedFault, ...] = ()


def inject(fault: InjectedFault) -> None:
    """Inject a fault from now on; it replaces an earlier one of the same endpoint and config."""
    global _injected
    target = (fault.endpoint, fault.endpoint_config)
    with _lock:
        others = tuple(f for f in _injected if (f.endpoint, f.endpoint_config) != target)
        _injected = (*others, fault)


def clear() -> None:
    """End all faults."""
    global _injected
    with _lock:
        _injected = ()


def drawn(endpoint: str, endpoint_config: str) -> InjectedFault | None:
    """Draw the fault of this request, if any."""
    point = random.random()  # noqa: S311 - a share of requests, not a secret
    return next((fault for fault in _injected if fault.hits(endpoint, endpoint_config, point)), None)


def answer(method: str, body: bytes) -> tuple[int, Any]:
    """Answer a request to `PATH` with a status and JSON."""
    if method == "POST":
        try:
            inject(InjectedFault(**json.loads(body)))
        except (TypeError, ValueError) as error:
            return 400, {"message": str(error)}
    elif method == "DELETE":
        clear()
    elif method != "GET":
        return 405, {"message": "POST, GET or DELETE"}
    return 200, {"faults": [asdict(fault) for fault in _injected]}
