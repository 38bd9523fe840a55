"""Distances agree with scipy 1.16.3, and keep the properties of distances.

JS is spatial.distance.jensenshannon(base=2), PSI the two stats.entropy(p, q) added, V
stats.contingency.association; KS is stats.ks_2samp and Wasserstein stats.wasserstein_distance of the integers
U and V, drawn by numpy 2.4.6's default_rng(11).
"""

import math
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.quality.statistics import chances, distances
from sluice.quality.statistics.cells import Cell
from sluice.quality.statistics.profiles import Distribution, bin_counts

CELLS: list[Cell] = [(120, 90), (300, 340), (80, 20), (5, 60), (495, 490)]
U = [int(digit) for digit in "116344503137404167746214357261261534766477112463727451467671"]
V_DIGITS = "746311883422761258825122436438666381321814767141271513833172411714426682812578614752616133"
V = [int(digit) for digit in V_DIGITS]
METHODS = [distances.psi, distances.jensen_shannon, distances.cramers_v, distances.l_infinity]

counts = st.integers(0, 1000)
cell_lists = st.lists(st.tuples(counts, counts), min_size=2, max_size=12).filter(
    lambda cells: all(sum(side) for side in zip(*cells, strict=True))
)


def distribution(values: list[int] | list[float], edges: tuple[float, ...] | None = None) -> Distribution:
    counted = Counter(map(float, values))
    mean = sum(values) / len(values)
    std = (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5
    used = edges or tuple(sorted(counted))
    return Distribution(
        min(counted), max(counted), mean, std, used, bin_counts(counted, used), is_discrete=edges is None
    )


def test_the_distances_of_counts_are_scipys() -> None:
    assert distances.jensen_shannon(CELLS) == pytest.approx(0.19013324723357625, rel=1e-12)
    assert distances.psi(CELLS) == pytest.approx(0.23353527715456723, rel=1e-12)
    assert distances.cramers_v(CELLS) == pytest.approx(0.21136408935156858, rel=1e-12)
    assert distances.l_infinity(CELLS) == pytest.approx(0.06, rel=1e-12)


def test_the_p_value_of_a_changed_share_is_that_of_the_exact_test() -> None:
    """scipy.stats.fisher_exact, but for what it counts as less likely."""
    assert distances.proportion((20, 31), (500, 300)).p_value == pytest.approx(0.0005, abs=2e-4)


def test_v_is_of_shares_and_not_of_how_many_values_the_baseline_has() -> None:
    assert distances.cramers_v([(60, 40), (40, 60)]) == pytest.approx(0.2)
    assert distances.cramers_v([(60_000, 40), (40_000, 60)]) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("value", "limit", "is_over"), [(0.8 - 0.7, 0.1, False), (0.1001, 0.1, True), (0, 0, False)]
)
def test_rounding_is_not_over_a_limit(value: float, limit: float, is_over: bool) -> None:
    assert distances.is_over(value, limit) is is_over


def test_kolmogorov_smirnov_of_values_kept_one_by_one_is_scipys() -> None:
    cells = [(U.count(value), V.count(value)) for value in range(9)]
    assert distances.kolmogorov_smirnov(cells) == pytest.approx(0.12222222222222222, rel=1e-12)


def test_wasserstein_of_values_kept_one_by_one_is_scipys() -> None:
    found = distances.wasserstein(distribution(U), distribution(V))
    assert found == pytest.approx(0.34444444444444444 / 2.23606797749979, rel=1e-12)


def test_wasserstein_of_a_shift_is_the_shift_wherever_the_edges_are() -> None:
    base = distribution([value / 100 for value in range(1001)], (0.0, *map(float, range(1, 10)), 9.98))
    moved = distribution(
        [value / 100 + 25 for value in range(1001)], (25.01, *(value + 25.5 for value in range(1, 10)), 35.0)
    )
    assert distances.wasserstein(base, moved) * base.std == pytest.approx(25, rel=1e-3)


def test_a_value_over_its_limit_is_spelled_so_that_it_is() -> None:
    assert distances.spelled(0.123456, 0.1) == "0.1235"
    assert distances.spelled(0.1000004, 0.1) == "0.1000004"
    assert distances.spelled(-0.1000004, 0.1) == "-0.1000004"
    assert distances.spelled(math.inf, 0.1) == "inf"


def test_a_tail_is_no_longer_than_its_one_value_makes_it() -> None:
    """Of numbers with a heavy tail the straight line to the greatest would be most of the area."""
    values = [float(value) for value in range(1000)]
    edges = tuple(values[:990])
    base, far = distribution([*values, 1e4], edges), distribution([*values, 3e4], edges)
    assert distances.wasserstein(base, far) * base.std == pytest.approx(2e4 / 1001, rel=1e-6)


@pytest.mark.parametrize("edges", [(5.0,), (0.0, 5.0), (5.0, 9.0), (9.0,), (0.0,)])
def test_the_area_is_never_more_than_that_of_the_values(edges: tuple[float, ...]) -> None:
    """Whatever lies beyond the outermost edges, or between them."""
    values, others = [0.0, 0.0, 5.0, 9.0, 9.0], [0.0, 5.0, 5.0, 5.0, 9.0]
    found = distances.wasserstein(distribution(values, edges), distribution(others, edges))
    assert found <= distances.wasserstein(distribution(values), distribution(others)) + 1e-12


def test_one_far_value_moves_wasserstein_and_is_no_more_than_chance() -> None:
    values = [float(value) for value in range(200)]
    base, far = distribution(values, tuple(values[:-1])), distribution([*values, 1e6], tuple(values[:-1]))
    cells = list(zip(base.counts, far.counts, strict=True))
    assert distances.wasserstein(base, far) > 10
    assert chances.of_cumulated(cells) > 0.01


def test_numbers_as_great_as_there_are_have_a_finite_distance() -> None:
    base = Distribution(1e-300, 2e-300, 1e-300, 1e-300, (1e-300, 2e-300), (1, 1, 0), is_discrete=True)
    far = Distribution(-1.7e308, 1.7e308, 0, 1.7e308, (0.0,), (1, 1), is_discrete=False)
    assert math.isfinite(distances.wasserstein(base, far))


def test_a_category_that_vanished_leaves_every_distance_finite() -> None:
    for method in (*METHODS, distances.kolmogorov_smirnov):
        assert 0 < method([(500, 0), (0, 500)]) < 100


@given(cell_lists)
def test_a_data_set_is_at_no_distance_from_itself(cells: list[Cell]) -> None:
    same = [(a, a) for a, _ in cells]
    for method in (*METHODS, distances.kolmogorov_smirnov):
        assert method(same) == pytest.approx(0, abs=1e-7)


@given(cell_lists)
def test_distances_are_in_their_range_and_symmetric(cells: list[Cell]) -> None:
    swapped = [(b, a) for a, b in cells]
    for method in (*METHODS, distances.kolmogorov_smirnov):
        found = method(cells)
        assert found >= 0
        assert method is distances.psi or found <= 1 + 1e-9
        assert found == pytest.approx(method(swapped), abs=1e-7)


@given(cell_lists, st.randoms(use_true_random=False))
def test_the_order_of_categories_does_not_matter(cells: list[Cell], random: Random) -> None:
    shuffled = random.sample(cells, len(cells))
    for method in METHODS:
        assert method(shuffled) == pytest.approx(method(cells), abs=1e-9)
