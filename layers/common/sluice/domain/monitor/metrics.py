"""Name what monitoring measures as metrics of CloudWatch, and write them in its embedded metric format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sluice.catalog.records.monitoring import LabelWindow, Window

NAMESPACE = "Sluice"
DRIFTED, DECAYED, VIOLATED = "DriftFound", "DecayFound", "MonitoringViolated"
# Concerns of a window of requests that are drift.
DRIFT = ("drift", "predictions")
_FIGURES = {"drift": "Drift", "prediction_drift": "PredictionDrift", "drifted_columns": "DriftedColumns"}


def dimensions(stack: str, pipeline: str, stage: str) -> dict[str, str]:
    return {"Stack": stack, "Pipeline": pipeline, "Stage": stage}


def of_window(window: Window) -> dict[str, float]:
    """Return a window's metrics. Whether there is drift is only said where that could be told."""
    reasons, figures = window.reasons or {}, window.figures or {}
    values = {
        "Predictions": float(window.rows),
        "UnreadableRecords": float(window.unreadable),
        VIOLATED: float(window.status == "violated"),
    }
    values |= {_FIGURES[name]: value for name, value in figures.items()}
    if window.status in ("ok", "violated") and window.rows:
        values[DRIFTED] = float(any(reasons.get(concern) for concern in DRIFT))
    return values


def of_labels(window: LabelWindow) -> dict[str, float]:
    """Return the metrics of a final verdict by labels; without one, only how many labels there are."""
    values = {"Labels": float(window.labelled)}
    if window.rows:
        values["LabelledShare"] = window.labelled / window.rows
    whole = window.measured[0] if window.measured else {}
    if window.status in ("ok", "violated"):
        values[DECAYED] = float(window.status == "violated")
    for name, metric in (("value", "Quality"), ("loss", "QualityLoss")):
        if whole.get(name) is not None:
            values[metric] = float(whole[name])
    return values


def embedded(
    namespace: str, named: Mapping[str, str], values: Mapping[str, float], at_ms: int
) -> dict[str, Any]:
    """Return a log line's document that CloudWatch makes metrics of."""
    definitions = [{"Name": name} for name in values]
    directive = {"Namespace": namespace, "Dimensions": [list(named)], "Metrics": definitions}
    return {"_aws": {"Timestamp": at_ms, "CloudWatchMetrics": [directive]}, **named, **values}
