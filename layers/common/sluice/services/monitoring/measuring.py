"""Measure what windows are judged by beside the engine: figures for metrics, bias, and metrics by labels."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sluice.domain.monitor import tables
from sluice.domain.wording import number
from sluice.quality.run import REPORT
from sluice.services.monitoring.watched import Watched

if TYPE_CHECKING:
    from sluice.domain.config.statistics import PredictedBiasName
    from sluice.domain.monitor.capture import Predicted
    from sluice.domain.monitor.quality import Measured
    from sluice.domain.predictions.table import Predictions
    from sluice.quality.run import Outcome
    from sluice.services.monitoring.inspecting import Inspected

# Metrics of bias that no label enters.
_WITHOUT_LABELS = ("DPPL", "DI", "CDDPL")


def judged_columns(watched: Watched) -> list[str]:
    """Return the columns of requests that predictions are judged by."""
    bias = watched.config.data.bias if watched.monitor.bias else None
    facets = [facet.column for facet in bias.facet_models] if bias else []
    group = [bias.group] if bias and bias.group else []
    return list(dict.fromkeys([*watched.monitor.quality.slices, *facets, *group]))


def figures(found: Inspected) -> dict[str, float]:
    """Return the greatest distances of a window, and how many columns drifted."""
    requests = _columns(found.requests)
    predictions = _columns(found.predictions) if found.predictions else []
    method = found_method(found.requests)
    known = {
        "drift": _greatest(requests, method),
        "prediction_drift": _greatest(predictions, method),
        "drifted_columns": float(sum(bool(each["reasons"]) for each in requests)) if requests else None,
    }
    return {name: value for name, value in known.items() if value is not None}


def found_method(outcome: Outcome) -> str:
    return str((_report(outcome).get("drift") or {}).get("method", ""))


def _columns(outcome: Outcome) -> list[Mapping[str, Any]]:
    return list((_report(outcome).get("drift") or {}).get("columns", ()))


def _report(outcome: Outcome) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(outcome.documents[REPORT])
    return found


def _greatest(columns: Sequence[Mapping[str, Any]], method: str) -> float | None:
    values = [each["distances"][method]["value"] for each in columns if method in each["distances"]]
    finite = [value for value in values if value is not None and math.isfinite(value)]
    return max(finite, default=None)


def bias_faults(watched: Watched, rows: Sequence[Predicted]) -> list[str]:
    """Say which metrics of bias exceed their limits, of those that need no labels."""
    limits = {name: limit for name, limit in watched.monitor.bias.items() if name in _WITHOUT_LABELS}
    if not limits:
        return []
    kept = list(tables.read(tables.write(rows, judged_columns(watched))))
    return _bias_faults(watched, tables.unlabelled(kept, is_number=watched.shape.is_number), limits)


def labelled_bias_faults(watched: Watched, predictions: Predictions | None) -> list[str]:
    """Say which metrics of bias exceed their limits, of those that are made of labels."""
    limits = {name: limit for name, limit in watched.monitor.bias.items() if name not in _WITHOUT_LABELS}
    return _bias_faults(watched, predictions, limits)


def _bias_faults(
    watched: Watched, predictions: Predictions | None, limits: Mapping[PredictedBiasName, float]
) -> list[str]:
    from sluice.domain.predictions import bias
    from sluice.domain.predictions.table import PredictionsError

    config, faults = watched.config.data.bias, []
    if config is None or predictions is None:
        return []
    for name, limit in limits.items():
        none = 1.0 if name == "DI" else 0.0
        try:
            measured = bias.measure(name, predictions, config, positive=watched.positive)
        except PredictionsError as problem:
            faults.append(f"{name}: the table of predictions {problem}")
            continue
        faults += [
            f"{name} of {each.facet} is {number(each.value)}, farther than {number(limit)} from {none:g}"
            for each in measured
            if each.value is not None and abs(each.value - none) > limit
        ]
    return faults


def described(measured: Measured) -> dict[str, Any]:
    """Return a measure as the catalog keeps it: without what is missing or infinite."""

    def kept(value: Any) -> bool:
        numbers = value if isinstance(value, tuple | list) else [value]
        return value is not None and all(not isinstance(n, float) or math.isfinite(n) for n in numbers)

    return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(measured).items() if kept(v)}
