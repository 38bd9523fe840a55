"""Metric math over series, as the CloudWatch user guide describes it."""

from __future__ import annotations

import pytest

from sluice_local.patches.alarms.math import MetricMathError, Scope, Series, parse

TIMELINE = (0, 60, 120)


def compute(text: str, **series: Series) -> Series:
    return parse(text).compute(Scope(series, TIMELINE, period_s=60))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("2 ^ 3 ^ 2", 512),
        ("-2 ^ 2", -4),
        ("10 - 4 - 3", 3),
        ("1 + 1 > 1 AND 0 OR 1", 1),
        ("1 > 2 || 2 >= 2 && 3 != 3", 0),
        ("1.5e1 / .5", 30),
        ("IF(2 > 1, 5, 6)", 5),
        ("CEIL(1.2) + FLOOR(1.8) + ABS(-3)", 6),
    ],
)
def test_operators_bind_as_in_arithmetic(text: str, value: float) -> None:
    assert compute(text) == dict.fromkeys(TIMELINE, value)


def test_two_series_meet_only_where_both_have_data() -> None:
    assert compute("m1 / m2", m1={0: 1.0, 60: 3.0}, m2={60: 6.0, 120: 1.0}) == {60: 0.5}


def test_a_division_by_zero_has_no_datapoint() -> None:
    assert compute("m1 / m2", m1={0: 1.0, 60: 1.0}, m2={0: 0.0, 60: 2.0}) == {60: 0.5}


def test_an_error_rate_counts_only_above_a_minimum_of_requests() -> None:
    rate = compute(
        "IF(requests >= 50, errors / requests, 0)", requests={0: 10.0, 60: 100.0}, errors={0: 9.0, 60: 7.0}
    )
    assert rate == {0: 0.0, 60: 0.07}


def test_if_without_an_alternative_has_no_datapoint_where_the_condition_is_false() -> None:
    assert compute("IF(m1 > 1, m1)", m1={0: 1.0, 60: 2.0}) == {60: 2.0}


def test_if_chooses_between_series_moment_by_moment() -> None:
    chosen = compute("IF(m1, m2, m3)", m1={0: 1.0, 60: 0.0, 120: 1.0}, m2={0: 5.0}, m3={60: 6.0})
    assert chosen == {0: 5.0, 60: 6.0}


def test_fill_gives_a_metric_without_data_a_value_in_every_period() -> None:
    assert compute("FILL(m1, 0)", m1={}) == {0: 0.0, 60: 0.0, 120: 0.0}
    assert compute("FILL(m1, m2)", m1={60: 1.0}, m2={0: 7.0}) == {0: 7.0, 60: 1.0}


def test_fill_repeats_the_last_value_or_draws_a_line() -> None:
    assert compute("FILL(m1, REPEAT)", m1={60: 4.0}) == {60: 4.0, 120: 4.0}
    assert compute("FILL(m1, LINEAR)", m1={0: 1.0, 120: 3.0}) == {0: 1.0, 60: 2.0, 120: 3.0}


@pytest.mark.parametrize(("function", "at_0"), [("SUM", 6.0), ("AVG", 3.0), ("MAX", 5.0), ("MIN", 1.0)])
def test_an_array_is_summarised_over_the_metrics_that_have_data(function: str, at_0: float) -> None:
    summary = compute(f"{function}([m1, m2])", m1={0: 1.0}, m2={0: 5.0, 60: 2.0})
    assert summary == {0: at_0, 60: 2.0}


def test_one_series_is_summarised_over_time() -> None:
    assert compute("m1 / SUM(m1)", m1={0: 1.0, 60: 3.0}) == {0: 0.25, 60: 0.75}


def test_the_ids_an_expression_needs_are_known() -> None:
    assert parse("IF(m1 > 0, SUM([e1, m2]), PERIOD(m3))").references == {"m1", "e1", "m2", "m3"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "m1 +",
        "(m1",
        "m1 m2",
        "NOPE(m1)",
        "__import__('os')",
        "m1; m2",
        "M1",
        "IF(m1)",
        "m1 = 2",
        "FILL(m1)",
        "[m1,",
    ],
)
def test_what_is_not_metric_math_is_refused(text: str) -> None:
    with pytest.raises(MetricMathError):
        parse(text)


@pytest.mark.parametrize("text", ["[m1, m2]", "[m1, 2]", "IF(m1, [m1, m2], 1)"])
def test_an_expression_of_the_wrong_kind_of_value_is_refused(text: str) -> None:
    with pytest.raises(MetricMathError):
        compute(text, m1={0: 1.0}, m2={0: 1.0})
