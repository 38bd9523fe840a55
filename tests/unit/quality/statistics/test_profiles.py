"""What a profile keeps of values: edges at their quantiles, exact counts between, the frequent categories."""

import math
import sys
from bisect import bisect_right
from collections import Counter
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.quality.statistics.profiles import (
    CATEGORIES_MAX,
    EDGE_SHARES,
    Profile,
    ProfileFormatError,
    bin_counts,
    categories_of,
    is_categorical,
    quantile_edges,
    rounded,
)

numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400)


@given(numbers)
def test_bins_count_every_value_once_and_end_with_their_edge(values: list[float]) -> None:
    edges = quantile_edges(Counter(values))
    counts = bin_counts(Counter(values), edges)
    ordered = sorted(values)
    assert sum(counts) == len(values)
    for edge, below in zip(edges, accumulate(counts), strict=False):
        assert below == bisect_right(ordered, edge)


@given(numbers)
def test_edges_are_values_in_order_at_their_shares(values: list[float]) -> None:
    edges = quantile_edges(Counter(values))
    assert list(edges) == sorted(set(edges))
    ordered = sorted(values)
    assert edges == tuple(dict.fromkeys(ordered[math.ceil(share * len(values)) - 1] for share in EDGE_SHARES))


def test_an_edge_is_at_the_nearest_rank() -> None:
    """0.55 * 100 is 55.00000000000001."""
    assert quantile_edges(dict.fromkeys(map(float, range(1, 101)), 1)) == tuple(map(float, range(1, 101)))
    assert quantile_edges(dict.fromkeys(map(float, range(1, 1001)), 1))[57] == 550


def test_no_values_have_no_edges() -> None:
    assert quantile_edges({}) == ()
    assert bin_counts({}, ()) == (0,)


def test_the_frequent_categories_are_kept_and_the_rest_counted() -> None:
    found = categories_of({f"k{index:03}": index + 1 for index in range(CATEGORIES_MAX + 2)})
    assert len(found.counts) == CATEGORIES_MAX
    assert found.other == 1 + 2
    assert not found.is_complete
    assert next(iter(found.counts)) == f"k{CATEGORIES_MAX + 1}"


def test_of_equally_frequent_categories_the_first_in_order_come_first() -> None:
    assert list(categories_of({"b": 2, "a": 2, "c": 3}).counts) == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("present", "distinct", "expected"),
    [(100, 5, True), (100, 50, True), (100, 51, False), (9000, 1001, False), (0, 0, False)],
)
def test_a_string_is_of_categories_if_they_are_few_and_recur(
    present: int, distinct: int, expected: bool
) -> None:
    assert is_categorical(present, distinct) is expected


@pytest.mark.parametrize("value", [123456.789, 1e-8, 3e15, 0.1])
def test_the_last_digits_of_a_sum_are_left_out(value: float) -> None:
    noisy = value * (1 + 2e-15)
    assert rounded(noisy, value) == rounded(value, value) == pytest.approx(value, rel=1e-9)
    assert rounded(-0.0, 1.0).hex() == (0.0).hex()


def test_a_number_that_rounds_beyond_all_numbers_is_kept() -> None:
    greatest = sys.float_info.max
    assert rounded(greatest, greatest) == greatest
    assert rounded(1 / 3, 1.0) == 0.333333333


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (b'{"version":2,"rows":1,"columns":{}}', "is a profile of format 2, and 1 is read"),
        (b'{"rows":1,"columns":{}}', "is no profile.json"),
        (b'{"version":1,"rows":1,"columns":{"x":{"type":"string"}}}', "is no profile.json"),
        (b'{"version":1,"rows":1,"columns":[]}', "is no profile.json"),
        (b"[]", "is no profile.json"),
        (b"a,b", "is no profile.json"),
        (b"\xff", "is no profile.json"),
    ],
)
def test_what_is_no_profile_of_this_format_says_so(stored: bytes, message: str) -> None:
    with pytest.raises(ProfileFormatError, match=message):
        Profile.from_json(stored)
