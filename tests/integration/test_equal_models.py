"""A gate with a confidence passes no more often than it says: counted, with a fixed seed."""

# ruff: noqa: S311 - simulations

from __future__ import annotations

import math
import random
from statistics import NormalDist

import pytest

import equal_models
from equal_models import COMPARISONS, CONFIDENCE, SEED, most, passes
from sluice.domain.config.prediction_metrics import METRICS
from sluice.domain.predictions.table import Predictions

# `benchmarks/gates.py` counts for all metrics and more sizes.
SURELY = f"with confidence {CONFIDENCE}"
NAMES = ("accuracy", "recall", "precision", "auc", "log_loss", "mae")


@pytest.mark.parametrize("rows", [50, 200])
@pytest.mark.parametrize("name", NAMES)
def test_of_two_equal_models_none_is_called_better_more_often_than_in_one_of_twenty(
    name: str, rows: int
) -> None:
    share = equal_models.passed(METRICS[name], rows, COMPARISONS)
    assert share <= most(1 - CONFIDENCE, COMPARISONS)
    # A gate that never passes would hold that, too.
    assert share > 0


def skewed(rng: random.Random, n: int) -> tuple[Predictions, Predictions]:
    """The candidate is better on most rows and much worse on a few; on average it is worse by 0.1."""
    ids, labels = list(map(str, range(n))), ["0"] * n
    ours = [4.0 if rng.random() < 0.1 else 0.0 for _ in ids]
    return Predictions(ids, labels, None, ours), Predictions(ids, labels, None, [0.3] * n)


def test_a_model_that_is_worse_by_the_margin_seldom_passes_even_if_its_losses_are_skewed() -> None:
    rng, passed = random.Random(SEED), 0
    for _ in range(COMPARISONS):
        passed += passes(f"mae not_worse_than champion by 0.1 {SURELY}", *skewed(rng, 200))
    assert passed / COMPARISONS <= most(1 - CONFIDENCE, COMPARISONS)


@pytest.mark.parametrize(("rows", "margin"), [(60, 0.1), (60, 0.05), (200, 0.1)])
def test_an_auc_that_is_worse_by_the_margin_seldom_passes(rows: int, margin: float) -> None:
    """Against 0.9, where an area varies the less the higher it comes out; nor does one that gains it."""
    rng, worse, better = random.Random(SEED), 0, 0
    labels = ["1" if number < 0.35 * rows else "0" for number in range(rows)]
    for _ in range(COMPARISONS):
        signals = [(0.7 if label == "1" else -0.7) + rng.gauss(0, 0.7) for label in labels]
        both = [
            Predictions(
                list(map(str, range(rows))), labels, None, [_share(s + rng.gauss(0, noise)) for s in signals]
            )
            for noise in (_noise(0.9 - margin), _noise(0.9))
        ]
        worse += passes(f"auc not_worse_than champion by {margin} {SURELY}", both[0], both[1])
        better += passes(f"auc better_than champion by {margin} {SURELY}", both[1], both[0])
    for passed in (worse, better):
        assert 0.02 < passed / COMPARISONS <= most(1 - CONFIDENCE, COMPARISONS)


def _noise(area: float) -> float:
    """The noise with which the signal's area is this one."""
    return math.sqrt((1.4 / NormalDist().inv_cdf(area)) ** 2 / 2 - 0.49)


def _share(score: float) -> float:
    return 1 / (1 + math.exp(-score))


@pytest.mark.parametrize("rows", [100, 400])
def test_an_accuracy_that_is_worse_by_the_margin_seldom_passes(rows: int) -> None:
    """A tenth of the rows is lost and a twentieth won: it is worse by 0.05, and 0.05 is allowed."""
    rng, passed = random.Random(SEED), 0
    ids, labels = list(map(str, range(rows))), ["1"] * rows
    for _ in range(COMPARISONS):
        fates = [rng.random() for _ in ids]
        ours = Predictions(ids, labels, ["0" if fate < 0.1 else "1" for fate in fates], None)
        theirs = Predictions(ids, labels, ["0" if 0.1 <= fate < 0.15 else "1" for fate in fates], None)
        passed += passes(f"accuracy not_worse_than champion by 0.05 {SURELY}", ours, theirs)
    assert 0.01 < passed / COMPARISONS <= most(1 - CONFIDENCE, COMPARISONS)
