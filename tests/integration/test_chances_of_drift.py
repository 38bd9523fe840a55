"""Chances are as rare as they say, whatever the numbers of values: counted."""

# ruff: noqa: S311 - simulations

from collections import Counter
from random import Random

import pytest

from sluice.quality.statistics import chances
from sluice.quality.statistics.cells import merged, tenths
from sluice.quality.statistics.chances import Categories, CellTests


@pytest.mark.parametrize(("n", "m"), [(10, 10), (200, 200), (1000, 12)])
def test_of_ranges_that_the_baseline_made_the_chance_is_as_rare_as_it_says(n: int, m: int) -> None:
    """The current values between those of the baseline: each is as likely in any of the gaps."""
    random, trials, alarms = Random(5), 1000, 0
    for _ in range(trials):
        places = sorted(random.sample(range(n + m), m))
        below = Counter(place - rank for rank, place in enumerate(places))
        fine = [*((1, below[gap]) for gap in range(n)), (0, below[n])]
        alarms += CellTests(n, m, tuple(merged(fine, tenths(fine))), ()).chance < 0.01
    assert alarms / trials <= 0.015


@pytest.mark.parametrize("shares", [(0.99, 0.01), (0.5, 0.3, 0.2), (0.2,) * 5])
def test_of_few_categories_the_chance_is_as_rare_as_it_says(shares: tuple[float, ...]) -> None:
    random, trials, alarms = Random(5), 1000, 0
    for _ in range(trials):
        before, now = (random.choices(range(len(shares)), shares, k=size) for size in (10, 10))
        cells = [(before.count(kind), now.count(kind)) for kind in range(len(shares))]
        alarms += chances.of_categories(Categories(tuple(cells), (0, 0), is_complete=True)) < 0.01
    assert alarms / trials <= 0.015
