"""Adapter for metrics: lines of a function's log that CloudWatch makes metrics of."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

from sluice.domain.monitor import metrics
from sluice.domain.times import from_iso


class EmbeddedMetrics:
    """Metrics in the embedded metric format: no request is made, and none can fail."""

    def put(
        self, namespace: str, dimensions: Mapping[str, str], values: Mapping[str, float], at: str
    ) -> None:
        document = metrics.embedded(namespace, dimensions, values, int(from_iso(at).timestamp() * 1000))
        sys.stdout.write(json.dumps(document) + "\n")
        sys.stdout.flush()
