"""A metric's interval is the known one, and there is none where so few rows allow none."""

from __future__ import annotations

import pytest

from sluice.domain.config.prediction_metrics import METRICS
from sluice.domain.predictions import intervals
from sluice.domain.predictions.table import Predictions


def table(labels: str, guesses: str) -> Predictions:
    return Predictions(list(map(str, range(len(labels)))), list(labels), list(guesses), None)


def test_the_interval_of_a_share_is_wilsons() -> None:
    """Agresti (2013), 1.4.3: none of 25 are vegetarians, and the score interval ends at 0.133."""
    found = intervals.of_value(METRICS["accuracy"], table("1" * 25, "0" * 25), "1")
    assert found == pytest.approx((0.0, 0.133), abs=5e-4)


@pytest.mark.parametrize("name", ["f1", "auc", "brier"])
def test_an_interval_holds_no_value_that_the_metric_cannot_have(name: str) -> None:
    labels, chances = ["1", "0"] * 10, [0.9, 0.1] * 9 + [0.6, 0.55]
    found = Predictions(list(map(str, range(20))), labels, None, chances)
    interval = intervals.of_value(METRICS[name], found, "1")
    assert interval is not None
    assert (interval[0] == 0.0) if name == "brier" else (interval[1] == 1.0)


def test_the_interval_of_what_is_nearly_all_wrong_ends_at_the_worst_that_there_is() -> None:
    found = Predictions(["0", "1", "2"], ["1", "0", "1"], None, [0.0, 1.0, 0.4])
    interval = intervals.of_value(METRICS["brier"], found, "1")
    assert interval is not None
    assert interval[1] == 1.0


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("accuracy", table("1", "1")),
        ("recall", table("00", "01")),
        ("auc", Predictions(["a", "b", "c"], ["1", "0", "0"], None, [0.1, 0.2, 0.3])),
    ],
)
def test_so_few_rows_allow_no_interval(name: str, found: Predictions) -> None:
    assert intervals.of_value(METRICS[name], found, "1") is None
