"""Tails agree with scipy 1.17.1: stats.chi2.sf, stats.norm.sf, stats.kstwo.sf(d, round(nm / (n + m))), and
both tails of stats.hypergeom.
"""

import math
from collections import Counter
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.domain.predictions.tails import normal_sf
from sluice.quality.statistics.significance import (
    chi_square_sf,
    exclusive_sf,
    kolmogorov_sf,
    shares_sf,
)


@pytest.mark.parametrize(
    ("statistic", "degrees", "expected"),
    [
        (0.5, 1, 0.47950012218695337),
        (3.84, 1, 0.05004352124870519),
        (10, 1, 0.001565402258002549),
        (0.1, 9, 0.9999999743696746),
        (9, 9, 0.43727418891386693),
        (21.666, 9, 0.009999979883498333),
        (40, 9, 7.598525229464264e-06),
        (80, 99, 0.9191878735980901),
        (150, 99, 0.0007204453957169282),
        (400, 200, 1.8438936497115418e-15),
        (0.001, 2, 0.9995001249791693),
        (60, 2, 9.357622968840163e-14),
    ],
)
def test_the_tail_of_chi_square_is_scipys(statistic: float, degrees: int, expected: float) -> None:
    assert chi_square_sf(statistic, degrees) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("z", "expected"),
    [
        (-1.5, 0.9331927987311419),
        (0, 0.5),
        (1.96, 0.024997895148220435),
        (4, 3.167124183311986e-05),
        (7, 1.279812543885835e-12),
    ],
)
def test_the_normal_tail_is_scipys(z: float, expected: float) -> None:
    assert normal_sf(z) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("distance", "n", "m", "expected"),
    [
        (0.2, 100, 100, 0.03143877776953241),
        (0.1, 200, 300, 0.16946138370670658),
        (0.05, 1000, 5000, 0.030004290103354925),
        (0.3, 40, 60, 0.020644621453518974),
        (0.02, 20000, 20000, 0.0006616848639387309),
        (0.25, 100, 100, 0.0030657620198697444),
    ],
)
def test_the_kolmogorov_smirnov_tail_is_within_a_few_percent_of_the_exact_one(
    distance: float, n: int, m: int, expected: float
) -> None:
    assert kolmogorov_sf(distance, n * m / (n + m)) == pytest.approx(expected, rel=0.06)


@given(st.floats(0, 1e4), st.integers(1, 500))
def test_a_chance_is_between_0_and_1(statistic: float, degrees: int) -> None:
    assert 0 <= chi_square_sf(statistic, degrees) <= 1


@pytest.mark.parametrize(
    ("gap", "kind", "n", "m", "expected"),
    [
        (31 / 300 - 20 / 500, 51, 500, 300, 0.0005300140986013211),
        (0.05, 101, 100_000, 20, 0.00018956088148974537),
        (0.04, 12_000, 100_000, 500, 0.005820735493251922),
        (1.0, 5, 5, 40, 8.184920266599223e-07),
    ],
)
def test_the_chance_of_a_changed_share_is_the_exact_one(
    gap: float, kind: int, n: int, m: int, expected: float
) -> None:
    assert shares_sf(gap, kind, n, m) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", [0, 10])
def test_what_all_values_are_or_none_is_has_no_other_share(kind: int) -> None:
    assert shares_sf(1e-12, kind, 5, 5) == 1


def test_shares_of_very_many_values_are_normal() -> None:
    n, kind, gap = 1_000_000, 800_000, 0.002
    error = (0.4 * 0.6 * 2 / n) ** 0.5
    assert shares_sf(gap, kind, n, n) == pytest.approx(2 * normal_sf(gap / error), rel=1e-3)


@given(st.integers(1, 300), st.integers(1, 300), st.data())
def test_no_change_of_a_share_is_certain_and_a_greater_one_less_likely(
    n: int, m: int, data: st.DataObject
) -> None:
    kind = data.draw(st.integers(0, n + m))
    chances = [shares_sf(gap / 10, kind, n, m) for gap in range(11)]
    assert chances[0] == 1
    assert chances == sorted(chances, reverse=True)
    assert all(0 <= chance <= 1 for chance in chances)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.sampled_from([0.2, 0.5, 0.9]), st.data())
def test_the_chance_of_categories_of_their_own_is_bounded_from_above(
    sizes: list[int], share: float, data: st.DataObject
) -> None:
    """Against every way in which the categories can fall, one by one."""
    values = data.draw(st.integers(0, sum(sizes)))
    exact = 0.0
    for alone in product([False, True], repeat=len(sizes)):
        if sum(size for size, is_alone in zip(sizes, alone, strict=True) if is_alone) >= values:
            chances = (
                share**size if is_alone else 1 - share**size
                for size, is_alone in zip(sizes, alone, strict=True)
            )
            exact += math.prod(chances)
    assert exclusive_sf(values, Counter(sizes), share) >= exact * (1 - 1e-9)


def test_one_frequent_category_of_its_own_is_as_unlikely_as_all_its_values() -> None:
    assert exclusive_sf(30, {1000: 1, 30: 1}, 0.5) == pytest.approx(0.5**30, rel=3)


def test_of_many_rare_categories_many_are_in_one_sample_alone() -> None:
    assert exclusive_sf(50, {1: 100}, 0.5) == 1
    assert exclusive_sf(95, {1: 100}, 0.5) < 1e-6
