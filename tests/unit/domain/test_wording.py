"""Numbers, shares and times are spelled for people, and never as more or less than they are."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from sluice.domain import wording


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1234567, "1,234,567"),
        (1234.5678, "1,235"),
        (0.123456, "0.1235"),
        (-2.5, "\u22122.5"),
        (100.0, "100"),
        (0.00001234, "1.23e-05"),
        (1e300, "1e+300"),
        (float("inf"), "\u221e"),
        (float("-inf"), "\u2212\u221e"),
        (float("nan"), "not a number"),
        (None, "none"),
    ],
)
def test_a_number_has_four_digits_or_is_whole(value: float | None, text: str) -> None:
    assert wording.number(value) == text


@pytest.mark.parametrize(
    ("value", "other", "texts"),
    [
        (0.77070063, 0.77510638, ("0.7707", "0.7751")),
        (0.69996, 0.7, ("0.69996", "0.7")),
        (Decimal("0.69996"), Decimal("0.70"), ("0.69996", "0.70")),
        (Decimal("0.70"), Decimal("0.7"), ("0.7", "0.7")),
        (-0.77071, -0.77074, ("\u22120.77071", "\u22120.77074")),
        (-1e-7, -1.0000001e-7, ("\u22121e-07", "\u22121.0000001e-07")),
    ],
)
def test_two_numbers_look_the_same_only_if_they_are(value: Any, other: Any, texts: tuple[str, str]) -> None:
    assert wording.apart(value, other) == texts


def test_of_several_numbers_any_two_are_told_apart() -> None:
    assert wording.apart(0.5, 0.77071, 0.5, 0.77074) == ("0.5", "0.77071", "0.5", "0.77074")
    assert wording.apart(0.5, 0.77071, 0.5) == ("0.5", "0.7707", "0.5")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0%"), (1, "100%"), (1e-9, "< 0.1%"), (0.99999, "> 99.9%"), (0.1234, "12.3%")],
)
def test_a_share_is_nothing_or_all_only_if_it_is(value: float, text: str) -> None:
    assert wording.share(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "< 0.01%"), (0.00042, "0.042%"), (0.0314, "3.1%"), (0.9996, "> 99.9%"), (1.0, "100%")],
)
def test_a_chance_is_never_nothing(value: float, text: str) -> None:
    assert wording.chance(value) == text


@pytest.mark.parametrize(
    ("value", "span", "text"),
    [
        (0, 1e9, "1970-01-01"),
        (86399, 3600, "1970-01-01 23:59:59"),
        (-86400, 1e9, "1969-12-31"),
        (1e30, 1e9, "1e+30"),
    ],
)
def test_a_time_is_a_day_or_a_moment_of_a_short_span(value: float, span: float, text: str) -> None:
    assert wording.value_of("timestamp", value, span) == text


def test_a_long_text_ends_in_an_ellipsis_and_a_short_one_is_left() -> None:
    assert wording.shorten("abcdef", 4) == "abc\u2026"
    assert wording.shorten("abcd", 4) == "abcd"


def test_a_tiny_distance_is_told_from_none() -> None:
    assert [wording.distance(value) for value in (0, 3e-9, 0.25)] == ["0", "< 0.0001", "0.25"]


def test_one_is_singular() -> None:
    assert (wording.count(1, "row"), wording.count(2000, "row")) == ("1 row", "2,000 rows")


@pytest.mark.parametrize(
    ("counted", "text"),
    [
        ({"new": 1}, "1 object new"),
        # A database keeps no order of names.
        ({"deleted": 3, "new": 2}, "2 objects new, 3 deleted"),
        (
            {"deleted": 1, "left out": 1200, "overwritten": 4},
            "4 objects overwritten, 1 deleted, 1,200 left out",
        ),
    ],
)
def test_changes_of_data_are_told_in_one_order(counted: dict[str, int], text: str) -> None:
    assert wording.changes(counted) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (1e-5, "1e-05"),
        ("l1", "l1"),
        ([0.7, "ä"], '[0.7, "ä"]'),
        ({"max_wait_s": 7200}, '{"max_wait_s": 7200}'),
    ],
)
def test_a_value_is_written_as_pipeline_yaml_may_have_it(value: object, text: str) -> None:
    assert wording.written(value) == text


def test_named_values_are_written_in_a_line() -> None:
    assert wording.assigned({"alpha": 0.1, "shuffle": True, "penalty": "l2"}) == (
        "alpha=0.1, shuffle=true, penalty=l2"
    )
    assert wording.assigned({}) == ""
