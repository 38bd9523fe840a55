"""Write Model Monitor's files of a model's quality: statistics, constraints and violations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sluice.domain import canonical
from sluice.domain.config.monitor import WatchedQuality
from sluice.domain.config.prediction_metrics import METRICS, PredictionMetric
from sluice.domain.predictions import intervals, scores
from sluice.domain.predictions.scores import UndefinedError
from sluice.domain.predictions.table import Predictions, PredictionsError

STATISTICS, CONSTRAINTS = "statistics.json", "constraints.json"
VIOLATIONS = "constraint_violations.json"
_Z = 1.959964
# Metrics by the names of Model Monitor, of each kind of problem.
NAMES = {
    "regression": {"mae": "mae", "mse": "mse", "rmse": "rmse", "r2": "r2"},
    "binary_classification": {
        "accuracy": "accuracy",
        "recall": "recall",
        "precision": "precision",
        "true_positive_rate": "recall",
        "true_negative_rate": "specificity",
        "f1": "f1",
        "auc": "auc",
    },
    "multiclass_classification": {"accuracy": "accuracy", "weighted_f1": "f1_weighted"},
}


def documents(
    measured: Sequence[Mapping[str, Any]], known: Predictions | None, limits: WatchedQuality, positive: str
) -> dict[str, bytes]:
    """Return the files by name; of too few labels only that nothing was violated."""
    whole = measured[0] if measured else {}
    violated = [each for each in measured if each.get("has_decayed")]
    kind = _kind(METRICS[limits.metric], known)
    files: dict[str, Any] = {
        VIOLATIONS: {"violations": [_violation(each, limits, kind) for each in violated]}
    }
    if known is not None and whole.get("value") is not None:
        files[STATISTICS] = statistics(known, kind, positive)
        files[CONSTRAINTS] = _constraints(whole, limits, kind)
    return {name: canonical.to_json(document) for name, document in files.items()}


def _kind(metric: PredictionMetric, known: Predictions | None) -> str:
    if metric.needs == "numbers":
        return "regression"
    is_multiclass = known is not None and len(known.classes) > 2
    return "multiclass_classification" if is_multiclass else "binary_classification"


def statistics(known: Predictions, kind: str, positive: str) -> dict[str, Any]:
    """Return statistics.json of a kind of problem (a key of NAMES), with the metrics that have a value."""
    found: dict[str, Any] = {}
    for name, metric in NAMES[kind].items():
        value = _value(METRICS[metric], known, positive)
        if value is not None:
            found[name] = value
    if kind != "regression" and known.predicted is not None:
        found["confusion_matrix"] = _confusion(known, positive)
    return {"version": 0.0, "dataset": {"item_count": len(known)}, f"{kind}_metrics": found}


def _value(metric: PredictionMetric, known: Predictions, positive: str) -> dict[str, float | None] | None:
    """Return a metric with its standard deviation, from its interval; None if it has no value."""
    try:
        value = scores.value(metric, known, positive)
        interval = intervals.of_value(metric, known, positive)
    except (UndefinedError, PredictionsError):
        return None
    spread = (interval[1] - interval[0]) / (2 * _Z) if interval else None
    return {"value": value, "standard_deviation": spread}


def _confusion(known: Predictions, positive: str) -> dict[str, dict[str, int]]:
    pairs = Counter(scores.plain_classes(known, positive))
    names = sorted({name for pair in pairs for name in pair})
    return {label: {guess: pairs[label, guess] for guess in names} for label in names}


def _constraints(whole: Mapping[str, Any], limits: WatchedQuality, kind: str) -> dict[str, Any]:
    """Return the value beyond which a metric is worse than allowed; chance is not allowed for here."""
    lower = METRICS[limits.metric].lower_is_better
    edges = [limits.limit] if limits.limit is not None else []
    if whole.get("baseline") is not None:
        edges.append(whole["baseline"] + (limits.max_loss if lower else -limits.max_loss))
    if not edges:
        return {"version": 0.0, f"{kind}_constraints": {}}
    threshold = min(edges) if lower else max(edges)
    operator = "GreaterThanThreshold" if lower else "LessThanThreshold"
    rule = {"threshold": threshold, "comparison_operator": operator}
    return {"version": 0.0, f"{kind}_constraints": {limits.metric: rule}}


def _violation(measured: Mapping[str, Any], limits: WatchedQuality, kind: str) -> dict[str, Any]:
    where = f"{measured['slice']}: " if measured.get("slice") else ""
    return {
        "constraint_check_type": f"{kind}_metric_check",
        "metric_name": limits.metric,
        "description": f"{where}{measured.get('reason', '')}",
    }
