"""Deliver events as badly as AWS may: lost, doubled, late and out of order.

POST /_local/delivery {"source", "detail_type"?, "times", "within_s"}, GET, DELETE. AWS promises delivery at
least once for some events and best effort for SageMaker's; tests use this interface to prove that both work.
"""

from __future__ import annotations

import contextvars
import json
import random
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

PATH = "/_local/delivery"


@dataclass(frozen=True, slots=True)
class Delivery:
    """How events of one source (and detail type) reach the rules: how often, each within some seconds."""

    source: str
    detail_type: str | None = None
    times: int = 1
    within_s: float = 0.0

    def __post_init__(self) -> None:
        """Raise ValueError for invalid settings."""
        if not isinstance(self.times, int) or not 0 <= self.times <= 20:
            raise ValueError("times must be from 0 to 20")
        if not 0 <= self.within_s <= 60:
            raise ValueError("within_s must be from 0 to 60")

    def covers(self, event: dict[str, Any]) -> bool:
        """Tell whether an event on the bus is of this kind."""
        return event["Source"] == self.source and self.detail_type in (None, event["DetailType"])


_lock = threading.Lock()
_deliveries: tuple[Delivery, ...] = ()


def deliver(event: dict[str, Any], dispatch: Callable[[], None]) -> None:
    """Dispatch an event on the bus to its rules as often and as late as set."""
    delivery = next((known for known in _deliveries if known.covers(event)), None)
    if delivery is None:
        dispatch()
        return
    for _ in range(delivery.times):
        delay_s = random.uniform(0, delivery.within_s)  # noqa: S311 - an order, not a secret
        context = contextvars.copy_context()
        threading.Timer(delay_s, context.run, (dispatch,)).start()


def answer(method: str, body: bytes) -> tuple[int, Any]:
    """Answer a request to `PATH` with a status and JSON."""
    global _deliveries
    if method == "POST":
        try:
            asked = Delivery(**json.loads(body))
        except (TypeError, ValueError) as error:
            return 400, {"message": str(error)}
        with _lock:
            _deliveries = (asked, *_deliveries)
    elif method == "DELETE":
        with _lock:
            _deliveries = ()
    elif method != "GET":
        return 405, {"message": "POST, GET or DELETE"}
    return 200, {"deliveries": [asdict(delivery) for delivery in _deliveries]}
