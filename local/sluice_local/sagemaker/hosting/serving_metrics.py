"""Record an endpoint's traffic as AWS/SageMaker metrics in CloudWatch.

Every request adds a 0 or a 1 to each error metric, so their average is a rate. Equal values of one moment are
stored as one point with a count, so a busy endpoint does not fill memory.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass

from ministack.core.responses import request_scope
from ministack.services import cloudwatch

from sluice_local.sagemaker.api.core import Scope

NAMESPACE = "AWS/SageMaker"
_FLUSH_EVERY_S = 0.25
_UNITS = dict.fromkeys(("ModelLatency", "OverheadLatency", "ModelSetupTime"), "Microseconds")


@dataclass(frozen=True, slots=True)
class Target:
    """What answered a request."""

    scope: Scope
    endpoint: str
    variant: str
    endpoint_config: str
    instances: int

    def dimensions(self) -> tuple[dict[str, str], ...]:
        """Return the dimensions of a variant's traffic, and of the part to one endpoint config's fleet."""
        variant = {"EndpointName": self.endpoint, "VariantName": self.variant}
        return variant, {**variant, "EndpointConfigName": self.endpoint_config}


def values(
    status: int, model_latency_us: float, overhead_latency_us: float, instances: int
) -> dict[str, float]:
    """Return the values that one request adds, by metric; status 0 means that there was no answer."""
    return {
        "Invocations": 1,
        "InvocationsPerInstance": 1 / instances,
        "Invocation4XXErrors": int(400 <= status < 500),
        "Invocation5XXErrors": int(status >= 500 or status == 0),
        "InvocationModelErrors": int(not 200 <= status < 300),
        "ModelLatency": model_latency_us,
        "OverheadLatency": overhead_latency_us,
    }


class ServingMetrics:
    """Collects values from any thread and stores them a few times a second."""

    def __init__(self) -> None:
        self._pending: dict[tuple[Target, str], Counter[float]] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        """Store in the background as long as the process lives."""
        threading.Thread(target=self._flush_for_ever, name="serving-metrics", daemon=True).start()

    def record(
        self,
        target: Target,
        status: int,
        model_latency_s: float,
        overhead_latency_s: float,
        setup_s: float = 0.0,
    ) -> None:
        """Count one request, which waited so long for its server to start."""
        added = values(
            status, round(model_latency_s * 1e6), round(overhead_latency_s * 1e6), target.instances
        )
        if setup_s:
            added["ModelSetupTime"] = round(setup_s * 1e6)
        with self._lock:
            for metric, value in added.items():
                self._pending.setdefault((target, metric), Counter())[value] += 1

    def flush(self) -> None:
        """Store the collected values."""
        with self._lock:
            pending, self._pending = self._pending, {}
        moment = time.time()
        for (target, metric), counted in pending.items():
            with request_scope(target.scope.account, target.scope.region):
                for dimensions in target.dimensions():
                    cloudwatch._store_datum(
                        NAMESPACE,
                        metric,
                        dimensions,
                        moment,
                        _UNITS.get(metric, "None"),
                        None,
                        list(counted),
                        list(counted.values()),
                        None,
                    )

    def _flush_for_ever(self) -> None:
        while True:
            time.sleep(_FLUSH_EVERY_S)
            self.flush()
