"""Model quality: metrics of labels and predictions in one data set, and their worst allowed values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sluice.domain.config.prediction_metrics import METRICS
from sluice.domain.predictions.table import Predictions
from sluice.quality.report import monitor_quality
from sluice.quality.report.monitor_quality import NAMES
from sluice_analyzers.datasets import AnalysisError, Dataset

_KINDS = {
    "Regression": "regression",
    "BinaryClassification": "binary_classification",
    "MulticlassClassification": "multiclass_classification",
}
_POSITIVE = "1"
Item = dict[str, Any]


def documents(dataset: Dataset, variables: Mapping[str, str], before: Any) -> dict[str, Any]:
    """Return the files by name; raises AnalysisError."""
    problem = variables.get("problem_type", "")
    if (kind := _KINDS.get(problem)) is None:
        raise AnalysisError(f"problem_type must be one of {', '.join(_KINDS)}, not {problem!r}.")
    statistics = monitor_quality.statistics(_predictions(dataset.rows(), kind, variables), kind, _POSITIVE)
    measured = {name: metric for name, metric in statistics[f"{kind}_metrics"].items() if name in NAMES[kind]}
    if not measured:
        raise AnalysisError(f"No metric of {problem} has a value: are labels and predictions of one kind?")
    found: dict[str, Any] = {
        "statistics.json": statistics,
        "constraints.json": {"version": 0.0, f"{kind}_constraints": _constraints(measured, kind)},
    }
    if before is not None:
        found["constraint_violations.json"] = {"violations": _violations(measured, before, kind)}
    return found


def _predictions(rows: Mapping[str, Sequence[str]], kind: str, variables: Mapping[str, str]) -> Predictions:
    def column(variable: str) -> Sequence[str] | None:
        if (name := variables.get(variable)) is None:
            return None
        named = name if name in rows else f"_c{name}"
        if name.isdigit() and named not in rows and int(name) < len(rows):
            named = list(rows)[int(name)]
        if named not in rows:
            raise AnalysisError(f"{variable} must be one of {', '.join(rows)}, not {name!r}.")
        return rows[named]

    labels = column("ground_truth_attribute")
    if labels is None:
        raise AnalysisError("ground_truth_attribute must name the column of labels.")
    predicted, probabilities = column("inference_attribute"), column("probability_attribute")
    if predicted is None and probabilities is None:
        raise AnalysisError("inference_attribute or probability_attribute must name a column.")
    numbers = None if probabilities is None else _numbers(probabilities)
    if predicted is None and numbers is not None and kind == "binary_classification":
        threshold = float(variables.get("probability_threshold_attribute") or 0.5)
        predicted = ["1" if number > threshold else "0" for number in numbers]
    ids = [str(row) for row in range(len(labels))]
    return Predictions(ids=ids, labels=labels, predicted=predicted, scores=numbers)


def _numbers(values: Sequence[str]) -> list[float]:
    try:
        return [float(value) for value in values]
    except ValueError as error:
        raise AnalysisError(f"probability_attribute has a value that is no number: {error}") from error


def _constraints(measured: Mapping[str, Item], kind: str) -> Item:
    return {
        name: {"threshold": metric["value"], "comparison_operator": _operator(NAMES[kind][name])}
        for name, metric in measured.items()
    }


def _operator(metric: str) -> str:
    return "GreaterThanThreshold" if METRICS[metric].lower_is_better else "LessThanThreshold"


def _violations(measured: Mapping[str, Item], before: Item, kind: str) -> list[Item]:
    """Return the metrics that are on the wrong side of their threshold."""
    found = []
    for name, rule in before.get(f"{kind}_constraints", {}).items():
        if (metric := measured.get(name)) is None or rule.get("threshold") is None:
            continue
        value, threshold = metric["value"], rule["threshold"]
        is_below = rule["comparison_operator"] == "LessThanThreshold"
        # The same rows, summed in another order, are no drift.
        if math.isclose(value, threshold, rel_tol=1e-9):
            continue
        if (value < threshold) if is_below else (value > threshold):
            found.append(
                {
                    "metric_name": name,
                    "constraint_check_type": f"{kind}_metric_check",
                    "description": f"{name} is {value:.6g}, {rule['comparison_operator']} {threshold:.6g}.",
                }
            )
    return found
