"""What is said of chance, counted: intervals hold as often as they say, and decay is told if there is any."""

# ruff: noqa: S311 - simulations

from __future__ import annotations

import random

import pytest

import equal_models
from monitored import drawn
from sluice.domain.config.monitor import WatchedQuality
from sluice.domain.config.prediction_metrics import METRICS
from sluice.domain.monitor import quality
from sluice.domain.predictions import intervals, scores

LIMITS = WatchedQuality(metric="accuracy", max_loss=0.0, min_labels=50)
WEEKS = 200


@pytest.mark.parametrize("name", METRICS)
def test_the_interval_of_95_percent_holds_the_true_value_about_so_often(name: str) -> None:
    metric, rng = METRICS[name], random.Random(5)
    true = scores.value(metric, equal_models.equal_models(rng, 20_000, metric.needs)[0])
    held = 0
    for _ in range(100):
        found = intervals.of_value(metric, equal_models.equal_models(rng, 150, metric.needs)[0], "1")
        assert found is not None
        held += found[0] <= true <= found[1]
    assert held >= 88


def test_of_two_hundred_stable_weeks_at_most_two_are_called_decayed() -> None:
    """Even if no loss at all were allowed, and each slice is judged too."""
    rng = random.Random(7)
    limits = LIMITS.model_copy(update={"slices": ("kind",)})
    hold_out = drawn(rng, 1000, 0.9)
    weeks = [quality.measure(drawn(rng, 400, 0.9), hold_out, limits, "1") for _ in range(WEEKS)]
    assert sum(any(each.has_decayed for each in week) for week in weeks) <= WEEKS // 100


@pytest.mark.parametrize("name", ["auc", "log_loss", "f1", "rmse", "mcc"])
def test_a_stable_model_is_left_alone_whatever_its_metric(name: str) -> None:
    rng, metric = random.Random(3), METRICS[name]
    limits = LIMITS.model_copy(update={"metric": name})
    hold_out = equal_models.equal_models(rng, 600, metric.needs)[0]
    weeks = [
        quality.measure(equal_models.equal_models(rng, 200, metric.needs)[0], hold_out, limits, "1")
        for _ in range(100)
    ]
    assert sum(week[0].has_decayed for week in weeks) <= 1
    assert all(week[0].is_judged for week in weeks)


def test_a_model_that_decays_is_told_in_the_window_in_which_it_does() -> None:
    rng = random.Random(11)
    limits = LIMITS.model_copy(update={"max_loss": 0.05})
    hold_out = drawn(rng, 1000, 0.9)
    told = [quality.measure(drawn(rng, 800, 0.75), hold_out, limits, "1")[0].has_decayed for _ in range(100)]
    assert sum(told) >= 99


def test_a_loss_within_what_is_allowed_is_no_decay() -> None:
    rng = random.Random(13)
    limits = LIMITS.model_copy(update={"max_loss": 0.05})
    hold_out = drawn(rng, 1000, 0.9)
    told = [
        quality.measure(drawn(rng, 400, 0.87), hold_out, limits, "1")[0].has_decayed for _ in range(WEEKS)
    ]
    assert sum(told) <= WEEKS // 100
