"""Distributions are drawn as they are: each value once, on one axis, in its place."""

from __future__ import annotations

import random
import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.quality.report.charts import (
    BINS,
    CATEGORIES_SHOWN,
    categories,
    cumulative_share,
    histogram,
    outline,
)
from sluice.quality.statistics.profiles import Categories, Distribution, bin_counts, quantile_edges

VALUES = st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=60)


def distribution(values: list[float], edges: list[float] | None = None) -> Distribution:
    """Counted between every third value, or between the edges that are given."""
    values = sorted(values)
    edges = sorted(set(values[::3])) if edges is None else edges
    counts = [0] * (len(edges) + 1)
    for value in values:
        counts[bisect_left(edges, value)] += 1
    return Distribution(values[0], values[-1], 0, 1, tuple(edges), tuple(counts), is_discrete=False)


def counted(values: Mapping[float, int]) -> Distribution:
    """Counted between quantiles, as a profile is."""
    edges = quantile_edges(values)
    return Distribution(min(values), max(values), 0, 1, edges, bin_counts(values, edges), is_discrete=False)


def discrete(counts: dict[float, int]) -> Distribution:
    return Distribution(
        min(counts), max(counts), 0, 1, tuple(counts), (*counts.values(), 0), is_discrete=True
    )


@given(VALUES, VALUES)
def test_every_value_is_drawn_once_or_told_to_be_outside(now: list[float], before: list[float]) -> None:
    shape = histogram([distribution(now), distribution(before)])
    assert len(shape.bins) == BINS
    for shares, below, above in zip(shape.shares, shape.below, shape.above, strict=True):
        assert sum(shares) + below + above == pytest.approx(1)
        assert min(*shares, below, above) >= -1e-12


@given(VALUES)
def test_the_share_up_to_an_edge_is_exact(values: list[float]) -> None:
    counted = distribution(values)
    for edge in counted.edges:
        assert cumulative_share(counted, edge) == pytest.approx(sum(v <= edge for v in values) / len(values))


def test_a_bin_may_be_wider_than_a_number_can_be() -> None:
    wide = counted({-1.7e308: 1, 1.7e308: 1})
    assert wide.edges == (-1.7e308, 1.7e308)
    # Halfway to the next of a hundred quantiles.
    assert cumulative_share(wide, 0.0) == pytest.approx(0.505)


def test_an_axis_ends_at_the_greatest_number_there_is() -> None:
    for most in (sys.float_info.max, 1.7976931348623145e308):
        shape = histogram([Distribution(most, most, most, 0, (most,), (5, 0), is_discrete=False)])
        assert {end for one in shape.bins for end in one} == {most}


def test_values_are_spread_evenly_within_a_bin() -> None:
    shape = histogram([counted({number / 100: 1 + (number <= 1600) for number in range(1, 3201)})])
    assert shape.shares[0] == pytest.approx([2 / 48] * 16 + [1 / 48] * 16, abs=0.002)


def test_what_most_values_are_is_drawn_in_its_place() -> None:
    """The lengths of a column of codes: only one in a thousand is shorter."""
    shape = histogram([counted({10: 5040, **dict.fromkeys(range(1, 6), 2)})])
    assert shape.bins[-1][1] == 10
    assert shape.shares[0][-1] > 0.99
    assert max(shape.shares[0][:-1]) < 0.001


@pytest.mark.parametrize("ties", [0, 50, 400, 900])
def test_whatever_the_values_are_their_shares_are_drawn_nearly(ties: int) -> None:
    draw = random.Random(ties)  # noqa: S311 - a simulation
    values = [draw.gauss(0, 1) for _ in range(1000 - ties)]
    values += [draw.choice((-0.5, 0.0, 2.0)) for _ in range(ties)]
    found = counted(Counter(values))
    for value in (*values[:100], -0.5, 0.0, 2.0):
        true = sum(each <= value for each in values) / len(values)
        assert cumulative_share(found, value) == pytest.approx(true, abs=0.03)


def test_few_values_are_bars_of_their_own_and_stand_side_by_side_with_the_baseline() -> None:
    shape = histogram([discrete({1: 3, 2: 1}), discrete({2: 1, 5: 1})])
    assert shape.bins == ((1, 1), (2, 2), (5, 5))
    assert shape.shares == ((0.75, 0.25, 0), (0, 0.5, 0.5))


def test_a_long_tail_does_not_squeeze_the_rest_and_is_told() -> None:
    values = [float(value) for value in range(1000)]
    shape = histogram([distribution([*values, 1e9], edges=values)])
    assert shape.bins[0][0] == 0
    assert shape.bins[-1][1] < 1100
    assert shape.above[0] == pytest.approx(6 / 1001, abs=2 / 1001)


def test_a_category_that_only_the_baseline_has_much_of_is_among_those_drawn() -> None:
    now = Categories({f"c{index}": 100 - index for index in range(20)}, other=5)
    before = Categories({"gone": 90, "c0": 10}, other=0)
    shape = categories([now, before])
    assert len(shape.names) == CATEGORIES_SHOWN
    assert shape.names[0] == "gone"
    assert sum(shape.shares[0]) + shape.others[0] == pytest.approx(1)
    assert shape.others[1] == pytest.approx(0)


def test_an_outline_climbs_to_each_share() -> None:
    assert outline((0.5, 1.0), 1.0, 100, 10) == "M0 10L0.00 5.00L50.00 5.00L50.00 0.00L100.00 0.00L100 10"
