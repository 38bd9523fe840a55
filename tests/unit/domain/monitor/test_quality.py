"""A model that decays is told within one window of labels, and a stable one almost never."""

# ruff: noqa: S311 - simulations

from __future__ import annotations

import random

import pytest

from equal_models import equal_models
from monitored import drawn
from sluice.domain.config.monitor import WatchedQuality
from sluice.domain.monitor import quality
from sluice.domain.predictions.table import Predictions

LIMITS = WatchedQuality(metric="accuracy", max_loss=0.0, min_labels=50)


def test_decay_of_one_slice_is_told_though_the_whole_hides_it() -> None:
    rng = random.Random(17)
    limits = LIMITS.model_copy(update={"slices": ("kind",), "max_loss": 0.1})
    kinds = ("a", *"bbbbbbbbb")
    hold_out, week = drawn(rng, 4000, 0.95, kinds), drawn(rng, 2000, 0.95, kinds, of_a=0.6)
    found = quality.measure(week, hold_out, limits, "1")
    assert [each.slice for each in found if each.has_decayed] == ["kind = a"]


def test_too_few_labels_are_no_verdict() -> None:
    rng = random.Random(1)
    (few,) = quality.measure(drawn(rng, 49, 0.1), drawn(rng, 500, 0.9), LIMITS, "1")
    assert not few.is_judged
    assert not few.has_decayed
    assert few.reason == "49 labels, and at least 50 are needed"
    (none,) = quality.measure(None, None, LIMITS, "1")
    assert none.reason == "0 labels, and at least 50 are needed"


def test_a_metric_without_a_value_is_no_verdict() -> None:
    one_class = Predictions(list(map(str, range(60))), ["1"] * 60, None, [0.5] * 60)
    (found,) = quality.measure(one_class, None, LIMITS.model_copy(update={"metric": "auc"}), "1")
    assert not found.is_judged
    assert "auc has no value" in found.reason


def scored(*labels: str) -> Predictions:
    """Scores that tell the labels apart as well as chance does."""
    return Predictions(list(map(str, range(len(labels)))), [*labels], None, [0.5] * len(labels))


AREA = LIMITS.model_copy(update={"metric": "auc", "limit": 0.9})


def test_a_metric_without_an_interval_is_no_verdict() -> None:
    (found,) = quality.measure(scored("1", *"0" * 60), None, AREA, "1")
    assert (found.is_judged, found.reason) == (False, "auc of so few labels has no interval")


@pytest.mark.parametrize("ones", [0, 1], ids=["no value", "no interval"])
def test_a_hold_out_that_says_nothing_of_the_metric_leaves_its_own_limit(ones: int) -> None:
    (found,) = quality.measure(scored(*"01" * 500), scored(*"1" * ones, *"0" * 500), AREA, "1")
    assert (found.has_decayed, found.baseline, found.loss) == (True, None, None)


@pytest.mark.parametrize(
    ("metric", "limit", "decayed"),
    [("accuracy", 0.8, True), ("accuracy", 0.6, False), ("rmse", 0.8, True), ("rmse", 1.2, False)],
)
def test_a_metrics_own_limit_holds_without_a_hold_out(metric: str, limit: float, decayed: bool) -> None:
    rng = random.Random(5)
    limits = LIMITS.model_copy(update={"metric": metric, "limit": limit})
    week = drawn(rng, 2000, 0.7) if metric == "accuracy" else equal_models(rng, 2000, "numbers")[0]
    (found,) = quality.measure(week, None, limits, "1")
    assert found.has_decayed is decayed
    assert (found.loss, found.baseline) == (None, None)


def test_a_verdict_says_what_was_and_what_is() -> None:
    rng = random.Random(2)
    (found,) = quality.measure(drawn(rng, 1000, 0.6), drawn(rng, 1000, 0.9), LIMITS, "1")
    assert found.interval is not None
    assert found.value is not None
    assert found.interval[0] < found.value < found.interval[1]
    assert found.reason.startswith("accuracy is 0.")
    assert "on the hold-out data" in found.reason
