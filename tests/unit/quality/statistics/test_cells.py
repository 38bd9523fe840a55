"""Cells hold every value of both data sets once, and are merged by what both have together."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sluice.quality.statistics import cells as grouping
from sluice.quality.statistics.cells import Cell, common_cells, merge_ordered, merge_rare, merged, tenths
from sluice.quality.statistics.profiles import Distribution, bin_counts

counts = st.integers(0, 1000)
cell_lists = st.lists(st.tuples(counts, counts), min_size=2, max_size=12).filter(
    lambda cells: all(sum(side) for side in zip(*cells, strict=True))
)


def distribution(values: list[int] | list[float], edges: tuple[float, ...] | None = None) -> Distribution:
    counted = Counter(map(float, values))
    used = edges or tuple(sorted(counted))
    return Distribution(
        min(counted), max(counted), 0.0, 1.0, used, bin_counts(counted, used), is_discrete=edges is None
    )


def test_a_value_between_those_of_the_baseline_is_a_cell_of_its_own() -> None:
    base, current = distribution([1, 3] * 5), distribution([1, 2] * 5)
    cells, edges = common_cells(base, current, bin_counts({1: 5, 2: 5}, base.edges))
    assert edges == (1, 2, 3)
    assert cells == [(5, 5), (0, 5), (5, 0), (0, 0)]


@given(st.lists(st.integers(0, 20), min_size=1), st.lists(st.floats(0, 20), min_size=1), st.booleans())
def test_cells_in_common_hold_every_value_of_both_once(
    baseline: list[int], current: list[float], is_discrete: bool
) -> None:
    base, now = distribution(baseline), distribution(current, None if is_discrete else (5.0, 10.5))
    cells, edges = common_cells(base, now, bin_counts(Counter(current), base.edges))
    assert len(cells) == len(edges) + 1
    before, after = Counter(map(float, baseline)), Counter(current)
    assert cells == list(zip(bin_counts(before, edges), bin_counts(after, edges), strict=True))


@given(cell_lists)
def test_merging_loses_no_value(cells: list[Cell]) -> None:
    of_values = tenths(cells, of_values=True)
    for groups in (
        tenths(cells),
        of_values,
        merge_ordered(cells),
        merge_rare(cells),
        merge_rare(cells, 1, [[0]]),
    ):
        assert sorted(index for group in groups for index in group) == list(range(len(cells)))
    assert len(tenths(cells)) <= grouping.CELLS_MAX + 1
    assert len(merge_ordered(cells)) <= grouping.CELLS_MAX
    assert len(of_values) <= 2 * grouping.CELLS_MAX + 1


def test_ranges_are_merged_to_tenths_of_the_baseline() -> None:
    groups = tenths([(100, 100)] * 100)
    assert [len(group) for group in groups] == [10] * 10


def test_a_category_too_rare_to_test_is_merged_with_the_others_like_it() -> None:
    assert merge_rare([(900, 900), (3, 2), (4, 4), (0, 3)]) == [[0], [1, 2, 3]]


def test_rare_categories_that_are_too_few_even_together_join_the_smallest_that_is_not() -> None:
    assert merge_rare([(900, 900), (50, 50), (1, 2)]) == [[0], [1, 2]]


def test_values_beyond_the_baseline_are_a_range_of_their_own() -> None:
    """Even if there are so many that a tenth of them is in each of ten."""
    fine = [(1, 0)] * 100 + [(0, 1)] * 100
    assert merged(fine, tenths(fine, of_values=True)) == [(10, 0)] * 10 + [(0, 100)]


def test_a_value_frequent_in_the_current_data_alone_is_seen_among_rare_ones() -> None:
    fine = [(1, 0)] * 50 + [(0, 50)] + [(1, 0)] * 50
    assert merged(fine, tenths(fine, of_values=True))[5] == (0, 50)


def test_cells_that_changed_by_more_than_chance_are_not_merged() -> None:
    assert merge_rare([(900, 90), (1, 4), (2, 0), (1, 0)], apart=[[1]]) == [[0, 2, 3], [1]]
