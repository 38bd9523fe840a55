"""The files of a model's quality say, by Model Monitor's names, what was measured and what is allowed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluice.domain.config.monitor import WatchedQuality
from sluice.domain.predictions.table import Predictions
from sluice.quality.report import monitor_quality

IDS = list(map(str, range(4)))
CLASSES = Predictions(IDS, ["1", "1", "0", "0"], ["1", "0", "0", "0"], None)
SCORES = Predictions(IDS, ["1", "1", "0", "0"], None, [0.9, 0.4, 0.3, 0.1])
NUMBERS = Predictions(IDS, ["1", "2", "3", "4"], ["1", "2", "3", "6"], None)


def files(known: Predictions, whole: dict[str, Any], **limits: Any) -> dict[str, Any]:
    found = monitor_quality.documents([whole], known, WatchedQuality(**limits), "1")
    return {name: json.loads(text) for name, text in found.items()}


def test_numbers_are_a_regression() -> None:
    found = files(NUMBERS, {"value": 1.0, "baseline": 0.8}, metric="rmse", max_loss=0.1)
    metrics = found["statistics.json"]["regression_metrics"]
    assert metrics["mae"]["value"] == 0.5
    assert "confusion_matrix" not in metrics
    (constraint,) = found["constraints.json"]["regression_constraints"].values()
    assert constraint["threshold"] == pytest.approx(0.9)
    assert constraint["comparison_operator"] == "GreaterThanThreshold"


def test_a_confusion_matrix_is_of_classes() -> None:
    found = files(CLASSES, {"value": 0.75}, metric="accuracy", limit=0.7)
    metrics = found["statistics.json"]["binary_classification_metrics"]
    assert metrics["confusion_matrix"] == {"0": {"0": 2, "1": 0}, "1": {"0": 1, "1": 1}}
    (constraint,) = found["constraints.json"]["binary_classification_constraints"].values()
    assert (constraint["threshold"], constraint["comparison_operator"]) == (0.7, "LessThanThreshold")
    of_scores = files(SCORES, {"value": 1.0}, metric="auc")
    assert "confusion_matrix" not in of_scores["statistics.json"]["binary_classification_metrics"]


@pytest.mark.parametrize(("baseline", "threshold"), [(0.95, 0.9), (0.8, 0.75)])
def test_of_two_limits_the_nearer_one_is_the_constraint(baseline: float, threshold: float) -> None:
    limits = {"metric": "accuracy", "limit": 0.75, "max_loss": 0.05}
    found = files(CLASSES, {"value": 0.75, "baseline": baseline}, **limits)
    (constraint,) = found["constraints.json"]["binary_classification_constraints"].values()
    assert constraint["threshold"] == pytest.approx(threshold)


def test_without_a_limit_and_a_baseline_nothing_is_constrained() -> None:
    found = files(CLASSES, {"value": 0.75}, metric="accuracy")
    assert found["constraints.json"] == {"version": 0.0, "binary_classification_constraints": {}}
