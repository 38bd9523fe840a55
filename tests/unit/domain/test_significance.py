"""Tails agree with scipy 1.16.3: stats.chi2.sf, stats.norm.sf and stats.kstwo.sf(d, round(nm / (n + m)))."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.domain.significance import chi_square_sf, critical, kolmogorov_sf, normal_sf


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


@pytest.mark.parametrize("level", [0.05, 0.01, 1e-5])
def test_the_critical_distance_is_where_the_chance_falls_to_the_level(level: float) -> None:
    limit = critical(lambda x: chi_square_sf(x, 9), level)
    assert chi_square_sf(limit, 9) == pytest.approx(level, rel=1e-6)
