"""Chances are those of exact tests.

Oracles are scipy 1.16.3's stats.chi2_contingency without correction and stats.fisher_exact.
"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.quality.statistics import chances
from sluice.quality.statistics.cells import Cell, totals
from sluice.quality.statistics.chances import Categories, CellTests

CELLS: list[Cell] = [(120, 90), (300, 340), (80, 20), (5, 60), (495, 490)]
counts = st.integers(0, 60)
cell_lists = st.lists(st.tuples(counts, counts), min_size=2, max_size=8).filter(
    lambda cells: all(sum(side) for side in zip(*cells, strict=True))
)


def of_categories(*known: Cell, rest: Cell = (0, 0)) -> Categories:
    return Categories(known, rest, is_complete=True)


def test_the_chance_of_many_cells_is_scipys() -> None:
    assert chances.pearson(CELLS) == pytest.approx(1.8099507847371535e-18, rel=1e-6)


def test_the_chance_of_two_cells_is_the_exact_one() -> None:
    assert chances.pearson([(9, 2), (1, 8), (0, 0)]) == pytest.approx(0.005477494641581329, rel=1e-9)


def test_many_categories_do_not_hide_that_one_has_changed() -> None:
    cells = [(50, 100), *[(18, 16)] * 25]
    assert chances.pearson(cells) > 0.01
    assert chances.of_categories(of_categories(*cells)) < 0.01


def test_one_value_that_takes_the_place_of_a_common_one_is_found_in_five_rows() -> None:
    assert chances.of_categories(of_categories((99_900, 0), (100, 5))) < 1e-10


def test_five_values_that_the_baseline_lacks_are_found_though_no_two_are_alike() -> None:
    assert chances.of_categories(of_categories(*[(100, 0)] * 10, *[(0, 1)] * 5)) < 1e-6
    assert chances.of_categories(of_categories(*[(100, 0)] * 10, rest=(0, 5))) < 1e-6


def test_categories_that_cannot_show_anything_do_not_weaken_the_test_of_the_others() -> None:
    rare = [(1, 0), (0, 1)] * 400
    alone = CellTests(1000, 1000, (), ((600, 590), (0, 12))).chance
    assert CellTests(1000, 1000, (), ((600, 590), (0, 12), *rare)).chance == pytest.approx(alone)


def test_a_few_values_beyond_an_edge_in_the_tail_are_found() -> None:
    fine = [(10, 1)] * 100 + [(1, 8)]
    assert chances.of_cumulated(fine) < 0.01
    assert chances.of_ranges(fine) < 0.01


@given(cell_lists, st.booleans())
def test_data_are_no_less_likely_than_never_and_the_same_data_are_certain(
    cells: list[Cell], of_values: bool
) -> None:
    same = [(a + b, a + b) for a, b in cells]
    assert chances.of_ranges(same, of_values=of_values) == 1
    assert chances.of_categories(of_categories(*same)) == 1
    for found in (
        chances.of_ranges(cells, of_values=of_values),
        chances.of_categories(of_categories(*cells)),
    ):
        assert 0 <= found <= 1
        assert not math.isnan(found)


@given(cell_lists)
def test_which_side_is_the_baseline_does_not_matter_to_the_chance_of_one_cell(cells: list[Cell]) -> None:
    n, m = totals(cells)
    swapped = tuple((b, a) for a, b in cells)
    assert CellTests(n, m, (), tuple(cells)).chance == pytest.approx(CellTests(m, n, (), swapped).chance)
