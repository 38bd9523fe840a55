"""Metrics of predictions are those of scikit-learn, or say why there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sluice.domain.config.prediction_metrics import METRICS
from sluice.domain.predictions import scores
from sluice.domain.predictions.scores import UndefinedError
from sluice.domain.predictions.table import Predictions, PredictionsError

# Computed with scikit-learn 1.4.2 and SciPy 1.13 from rows of random.Random(5).
GOLDEN = json.loads((Path(__file__).parent / "scikit_learn_golden.json").read_text())
OF_SEVERAL = {
    name for name, metric in METRICS.items() if metric.needs == "classes" and not metric.of_two_classes
}


def texts(values: Any) -> list[str]:
    return list(map(str, values))


def table(labels: Any, predicted: Any = None, score: Any = None, **columns: Any) -> Predictions:
    guesses = None if predicted is None else texts(predicted)
    found = {name: texts(values) for name, values in columns.items()}
    return Predictions(texts(range(len(labels))), texts(labels), guesses, score, found)


def golden(name: str) -> Predictions:
    if METRICS[name].needs == "numbers":
        return table(GOLDEN["x"], GOLDEN["xp"])
    if name in OF_SEVERAL - {"accuracy"}:
        return table(GOLDEN["k"], GOLDEN["kp"])
    return table(GOLDEN["y"], score=GOLDEN["s"])


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_that_of_scikit_learn(name: str) -> None:
    assert scores.value(METRICS[name], golden(name)) == pytest.approx(GOLDEN["expected"][name], rel=1e-9)


def test_each_metric_has_a_golden_value() -> None:
    assert set(GOLDEN["expected"]) == set(METRICS)


def test_a_class_is_one_however_it_is_written() -> None:
    written = table(["1", "1.0", "true", "0", "False"], ["True", "1", "1.0", "0.0", "0"])
    assert scores.value(METRICS["accuracy"], written) == 1


def test_the_positive_label_may_be_named() -> None:
    found = table(["great", "other", "great"], ["great", "great", "other"])
    assert scores.value(METRICS["recall"], found, "great") == 0.5
    with pytest.raises(PredictionsError, match="has no label '1', but great, other: name the positive one"):
        scores.value(METRICS["recall"], found)


def test_scores_alone_say_a_class_where_there_are_two() -> None:
    found = table(["great", "other", "great"], score=[0.9, 0.5, 0.1])
    assert scores.value(METRICS["accuracy"], found, "great") == pytest.approx(1 / 3)
    with pytest.raises(PredictionsError, match="scores alone, and 3 classes"):
        scores.value(METRICS["accuracy"], table(["a", "b", "1"], score=[0.9, 0.5, 0.1]))


@pytest.mark.parametrize(
    ("name", "rows", "why"),
    [
        ("recall", table("00", "01"), "no row has the positive label"),
        ("specificity", table("11", "01"), "each row has the positive label"),
        ("precision", table("10", "00"), "no row is predicted as positive"),
        ("f1", table("00", "00"), "no row is positive, nor predicted so"),
        ("mcc", table("00", "01"), "all rows have one label"),
        ("auc", table("11", score=[0.1, 0.2]), "all rows have one label"),
        ("r2", table("11", "01"), "all rows have one label"),
    ],
)
def test_a_metric_without_a_value_says_why(name: str, rows: Predictions, why: str) -> None:
    with pytest.raises(UndefinedError, match=why):
        scores.value(METRICS[name], rows)


@pytest.mark.parametrize(
    ("name", "rows", "why"),
    [
        ("auc", table("10", "10"), "has no column 'score', which auc is computed from"),
        (
            "log_loss",
            table("10", score=[0.5, 1.5]),
            "has 1.5 in line 3, column 'score': log_loss needs the chance",
        ),
        ("mae", table(["1", "x"], "10"), "has 'x' in line 3, column 'label': write a finite number"),
    ],
)
def test_what_a_metric_lacks_is_named(name: str, rows: Predictions, why: str) -> None:
    with pytest.raises(PredictionsError, match=why):
        scores.value(METRICS[name], rows)
