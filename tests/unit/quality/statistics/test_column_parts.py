"""A column's parts add up to the whole, or say that only the whole can tell."""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.domain.config.checks.base import NeedsWholeError
from sluice.quality.statistics import column_parts
from sluice.quality.statistics.column_parts import ColumnPart, Moments
from sluice.quality.statistics.profiles import Categories, ColumnProfile, Distribution

EDGES = (2.0, 5.0)


def part(*values: float, **others: Any) -> ColumnPart:
    """Numbers of which all are known."""
    counts = {value: values.count(value) for value in values}
    moments = Moments(min(values), max(values), statistics.fmean(values), statistics.pstdev(values))
    found = ColumnPart("number", len(values), len(values), counts, (), 1024, moments)
    return replace(found, **others)


MANY = part(1, 2, 9, values=None, counts={EDGES: (2, 0, 1)})


@given(*[st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=9)] * 2)
def test_moments_of_two_parts_are_those_of_all_values(some: list[float], others: list[float]) -> None:
    found, whole = column_parts.merge(part(*some), part(*others)).moments, part(*some, *others).moments
    assert found is not None
    assert whole is not None
    assert (found.min, found.max) == (whole.min, whole.max)
    assert (found.mean, found.std) == pytest.approx((whole.mean, whole.std), abs=1e-6)


@pytest.mark.parametrize(
    "moments", [Moments(-1e308, 1e308, 0.0, 1e200), Moments(1e308, 1.7e308, 1.7e308, 0.0)]
)
def test_moments_beyond_all_numbers_take_the_whole(moments: Moments) -> None:
    with pytest.raises(NeedsWholeError, match="beyond what their moments can be added up of"):
        column_parts.merge(part(1, moments=moments), part(2, moments=Moments(-1e308, 0, -1.7e308, 1e200)))


@pytest.mark.parametrize("other", [part(1, type="integer"), part(1, hashes_max=512)])
def test_parts_of_different_contracts_do_not_merge(other: ColumnPart) -> None:
    with pytest.raises(NeedsWholeError, match="different contracts"):
        column_parts.merge(part(1), other)


def test_counts_between_edges_merge_where_both_parts_have_or_can_count_them() -> None:
    other = part(7, 8, values=None, counts={EDGES: (0, 0, 2), (3.0,): (0, 2)})
    assert column_parts.merge(MANY, other).counts == {EDGES: (2, 0, 3)}
    assert column_parts.merge(MANY, part(1, 4)).counts == {EDGES: (3, 1, 1)}
    with pytest.raises(NeedsWholeError, match="not counted between these edges"):
        MANY.counted((3.0,))


def test_values_are_kept_as_long_as_they_are_few() -> None:
    some, others = (part(*range(start, start + 60)) for start in (0, 30))
    assert column_parts.merge(some, others).values is not None
    assert column_parts.merge(some, part(*range(60, 120))).values is None


def test_many_numbers_without_edges_have_no_profile() -> None:
    assert column_parts.profile(MANY, 3, EDGES).distribution is not None
    with pytest.raises(NeedsWholeError, match="no edges to count between"):
        column_parts.profile(MANY, 3, None)


def before(**fields: Any) -> ColumnProfile:
    return ColumnProfile("number", 9, 0, 0, 9, True, **fields)


def test_values_are_counted_as_the_baseline_counts_them() -> None:
    between = before(distribution=Distribution(0, 9, 4, 2, EDGES, (3, 3, 3), False))
    assert column_parts.in_baseline(MANY, between) == (2, 0, 1)
    texts = replace(part(1, 2), type="string", values={"a": 3, "new": 1})
    listed = replace(before(categories=Categories({"a": 5, "b": 4}, 0)), type="string")
    assert column_parts.in_baseline(texts, listed) == (3, 0)


def test_a_baseline_of_another_type_or_without_values_counts_nothing() -> None:
    assert column_parts.in_baseline(replace(MANY, type="integer"), before()) is None
    assert column_parts.in_baseline(MANY, before()) is None


def test_categories_of_the_baseline_that_were_not_counted_take_the_whole() -> None:
    listed = before(categories=Categories({"a": 5, "b": 4}, 0))
    with pytest.raises(NeedsWholeError, match="the baseline's categories were not counted"):
        column_parts.in_baseline(MANY, listed)
