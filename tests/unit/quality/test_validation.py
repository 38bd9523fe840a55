"""A data contract asks for its checks, and their findings become violations that say what and where."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.domain.config import PipelineConfig, load
from sluice.domain.config.base import Severity
from sluice.quality.validation import (
    EXAMPLES_MAX,
    VALUE_MAX,
    Check,
    CheckKind,
    Finding,
    Report,
    RowRef,
    Violation,
    checks,
    report,
    shown,
    unreadable,
)


def found(
    kind: CheckKind, rows: int, limit: Any = None, type_: str = "string", examples: Sequence[RowRef] = ()
) -> Finding:
    return Finding(Check(kind, "review", type_, limit), rows, tuple(examples))


def only(total: int, finding: Finding) -> Violation:
    (violation,) = report(total, [finding]).violations
    return violation


def test_every_part_of_the_contract_is_a_check(pipeline_config: PipelineConfig) -> None:
    asked = checks(pipeline_config.data)
    assert asked[:6] == (
        Check("column", "id", "integer"),
        Check("required", "id", "integer"),
        Check("type", "id", "integer"),
        Check("min", "id", "integer", 1),
        Check("max", "id", "integer", 1000),
        Check("unique", "id", "integer"),
    )
    assert Check("pattern", "code", "string", "[A-Z]{2}") in asked
    assert Check("allowed", "sentiment", "string", ("great", "other")) in asked
    assert Check("max_length", "review", "string", 9000) in asked
    assert Check("completeness", "review", "string", 0.99) in asked
    assert Check("row_count", None, None, (100, None)) in asked


def test_the_label_is_always_required(pipeline_config: PipelineConfig) -> None:
    asked = checks(pipeline_config.data)
    assert {Check("column", "sentiment", "string"), Check("required", "sentiment", "string")} <= set(asked)


def test_what_is_not_required_need_not_be_there_but_must_be_of_its_type(
    pipeline_config: PipelineConfig,
) -> None:
    assert [c.kind for c in checks(pipeline_config.data) if c.column == "verified"] == ["type"]


def test_a_string_needs_no_type_check(pipeline_config: PipelineConfig) -> None:
    assert "type" not in [c.kind for c in checks(pipeline_config.data) if c.column == "review"]


def test_a_limit_of_zero_is_a_limit(pipeline_config: PipelineConfig) -> None:
    assert Check("min", "score", "number", 0) in checks(pipeline_config.data)


def test_a_data_set_without_rows_is_never_valid(config_text: str) -> None:
    data = load(config_text.replace("    - {check: row_count, min: 100}\n", "")).data
    asked = checks(data)
    assert asked[-1] == Check("row_count", None, None, (1, None))
    assert report(0, [Finding(asked[-1], 0)]).reasons == ("0 rows, fewer than 1",)


def test_a_data_set_without_rows_is_said_to_be_so_once(config_text: str) -> None:
    asked = checks(load(config_text).data)
    assert [check.limit for check in asked if check.kind == "row_count"] == [(100, None)]
    for lenient in ("min: 0", "max: 100", "min: 100, severity: warn"):
        text = config_text.replace("check: row_count, min: 100", f"check: row_count, {lenient}")
        assert Check("row_count", None, None, (1, None)) in checks(load(text).data)


def test_of_data_that_cannot_be_read_nothing_else_is_said(pipeline_config: PipelineConfig) -> None:
    findings = [Finding(check, 0) for check in checks(pipeline_config.data)]
    broken = report(0, findings, [unreadable("p/a.csv is empty", object="p/a.csv")])
    assert broken.reasons == ("p/a.csv is empty",)
    known = [found("column", 1, examples=[RowRef("p/a.csv", 1)])]
    assert report(0, known, [unreadable("p/a.csv has a line too long")]).reasons[1] == (
        "review: the column is missing (in p/a.csv)"
    )


def test_a_value_is_shown_without_what_a_terminal_would_obey() -> None:
    assert shown("a\x1b[31m\u202eb\n") == "a\\x1b[31m\\u202eb\\n"
    assert shown("👩\u200d👧 שלום") == "👩\u200d👧 שלום"
    assert len(shown("x" * 100)) == VALUE_MAX


@pytest.mark.parametrize(
    ("names", "listed"),
    [
        (("Age", "zip"), "2 columns not in the schema: Age (the schema has 'age'), zip"),
        ((" review", ""), "2 columns not in the schema: ' review' (the schema has 'review'), ''"),
    ],
)
def test_an_extra_column_that_nearly_is_one_of_the_schema_says_so(
    names: tuple[str, ...], listed: str
) -> None:
    check = Check("extra", None, None, ("age", "review"))
    (violation,) = report(1, [Finding(check, 0, value=names)]).violations
    assert violation.message == listed


def test_data_that_keep_their_contract_are_valid(pipeline_config: PipelineConfig) -> None:
    valid = report(100, [Finding(check, 0) for check in checks(pipeline_config.data)])
    assert valid.is_valid
    assert valid.reasons == ()
    assert json.loads(valid.to_json()) == {
        "is_valid": True,
        "rows": 100,
        "checks": len(checks(pipeline_config.data)),
        "violations": [],
    }


@pytest.mark.parametrize(
    ("finding", "message"),
    [
        (found("column", 1), "the column is missing"),
        (found("required", 1), "1 row without a value"),
        (found("type", 2, type_="integer"), "2 rows not of type integer"),
        (found("allowed", 2, ("a", "b")), "2 rows not one of a, b"),
        (found("allowed", 2, tuple(range(11))), "2 rows not one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ..."),
        (found("min", 2, 0), "2 rows below 0"),
        (found("max", 2, 1), "2 rows above 1"),
        (found("min_length", 2, 1), "2 rows shorter than 1 characters"),
        (found("max_length", 2, 9), "2 rows longer than 9 characters"),
        (found("pattern", 2, "[A-Z]"), "2 rows not like [A-Z]"),
        (found("unique", 2), "2 rows with a value that occurs before"),
    ],
)
def test_rows_that_break_a_check_are_counted_and_described(finding: Finding, message: str) -> None:
    violation = only(100, finding)
    assert violation == Violation("review", finding.check.kind, message, finding.rows)


def test_completeness_is_a_share_of_the_rows() -> None:
    assert report(100, [found("completeness", 1, 0.99)]).is_valid
    assert (
        only(100, found("completeness", 2, 0.99)).message == "0.98 of the rows have a value, fewer than 0.99"
    )
    assert report(0, [found("completeness", 0, 0.99)]).is_valid


@pytest.mark.parametrize("least", [0.805, 0.29, 0.57, 0.001])
def test_exactly_the_least_share_is_enough(least: float) -> None:
    """1 - 195 / 1000 is less than 0.805, as floats are."""
    missing = 1000 - round(least * 1000)
    assert report(1000, [found("completeness", missing, least)]).is_valid
    assert not report(1000, [found("completeness", missing + 1, least)]).is_valid
    share = Fraction(1000 - missing, 1000)
    assert report(1000, [replace(found("uniqueness", 0, least), value=share)]).is_valid
    less = replace(found("uniqueness", 0, least), value=share - Fraction(1, 10**12))
    assert not report(1000, [less]).is_valid


@pytest.mark.parametrize("tolerance", [0.07, 0.29, 0.57])
def test_exactly_the_tolerated_share_is_tolerated(tolerance: float) -> None:
    """0.07 * 100 is 7.000000000000001, and 0.29 * 100 less than 29."""
    tolerated = round(tolerance * 100)
    check = replace(found("min", 0, 1).check, tolerance=tolerance)
    assert report(100, [Finding(check, tolerated)]).is_valid
    broken = Finding(check, tolerated + 1, by_object={"a": tolerated + 1, "b": tolerated})
    (violation,) = report(100, [broken], object_rows={"a": 100, "b": 100}).violations
    assert violation.objects == ("a",)


def test_exactly_the_greatest_change_of_rows_is_allowed() -> None:
    for now in (701, 1299):
        assert report(now, [found("row_count_change", 0, 0.299)], previous_rows=1000).is_valid
    assert not report(700, [found("row_count_change", 0, 0.299)], previous_rows=1000).is_valid


@pytest.mark.parametrize(
    ("kind", "limit", "value", "message"),
    [
        ("uniqueness", 0.99, 0.98999999, "0.98999999 of the values are distinct, fewer than 0.99"),
        ("mean", (None, 100), 100.000001, "the mean is 100.000001, more than 100"),
        ("mean", (0.5, None), 1 / 3, "the mean is 0.333333, less than 0.5"),
        ("maximum", (None, 1), 12345678, "the maximum is 12345678, more than 1"),
    ],
)
def test_what_was_measured_never_looks_like_the_limit_that_it_breaks(
    kind: CheckKind, limit: Any, value: float, message: str
) -> None:
    assert only(100, replace(found(kind, 0, limit), value=value)).message == message


def test_of_a_redacted_column_no_measure_is_shown() -> None:
    kinds: tuple[CheckKind, ...] = ("minimum", "maximum", "mean", "std", "quantile")
    findings = [replace(found(kind, 0, (None, 5)), value=777.0) for kind in kinds]
    newest = replace(found("freshness", 0, 60), value="2026-01-01T00:00:00")
    now = datetime(2026, 1, 1, 1, tzinfo=UTC)
    reasons = report(9, [*findings, newest], now=now, redact=["review"]).reasons
    assert reasons[0] == "review: the minimum is redacted, more than 5"
    assert reasons[-1] == "review: the newest value is more than 60 s old"
    assert not [reason for reason in reasons if "777" in reason or "3600" in reason]


@pytest.mark.parametrize(
    ("rows", "limit", "message"),
    [
        (9, (10, 20), "9 rows, fewer than 10"),
        (21, (10, 20), "21 rows, more than 20"),
        (1, (None, 0), "1 row, more than 0"),
        (10, (10, 20), None),
        (20, (10, 20), None),
        (0, (None, 20), None),
        (99, (10, None), None),
    ],
)
def test_the_number_of_rows_has_its_bounds(rows: int, limit: Any, message: str | None) -> None:
    finding = Finding(Check("row_count", None, None, limit), 0)
    assert report(rows, [finding]).reasons == (() if message is None else (message,))


def test_a_violation_shows_its_first_row_and_keeps_a_few() -> None:
    rows = [RowRef("p/a.csv", number) for number in range(1, 20)]
    violation = only(100, found("required", 19, examples=rows))
    assert len(violation.examples) == EXAMPLES_MAX
    assert str(violation) == "review: 19 rows without a value (such as p/a.csv row 1)"


def test_what_cannot_be_read_is_a_violation_of_the_format() -> None:
    problem = unreadable("no CSV: unterminated quote", 1, [RowRef("p/bad.csv", 7)], object="p/bad.csv")
    broken = report(3, [], [problem])
    assert not broken.is_valid
    assert broken.reasons == ("no CSV: unterminated quote (such as p/bad.csv row 7)",)
    assert json.loads(broken.to_json())["violations"] == [
        {
            "column": None,
            "check": "format",
            "message": "no CSV: unterminated quote",
            "rows": 1,
            "examples": [{"object": "p/bad.csv", "row": 7, "value": None}],
            "severity": "fail",
            "objects": ["p/bad.csv"],
        }
    ]


def test_a_violation_found_twice_is_reported_once() -> None:
    findings = [Finding(Check("row_count", None, None, (1, None)), 0)] * 2
    assert len(report(0, findings).violations) == 1


# ------------------------------------------------------------------------------------ which objects offend


def judged(finding: Finding, **object_rows: int) -> tuple[str, ...]:
    """The objects that a broken check names."""
    (violation,) = report(sum(object_rows.values()), [finding], object_rows=object_rows).violations
    return violation.objects


def breaking(kind: CheckKind, limit: Any = None, tolerance: float = 0.0, **by_object: int) -> Finding:
    check = Check(kind, "review", "string", limit, tolerance=tolerance)
    return Finding(check, sum(by_object.values()), value=("new",), by_object=by_object)


@pytest.mark.parametrize("kind", ["type", "required", "min", "column", "extra", "unique", "key"])
def test_a_broken_check_names_each_object_that_breaks_it(kind: CheckKind) -> None:
    assert judged(breaking(kind, (), b=1, a=7, c=0), a=10, b=10, c=10) == ("a", "b")


def test_an_object_offends_when_more_of_its_own_rows_than_tolerated_break_the_check() -> None:
    assert judged(breaking("type", tolerance=0.1, a=10, b=20, c=11), a=100, b=100, c=100) == ("b", "c")


def test_an_object_offends_when_fewer_of_its_own_rows_than_needed_have_a_value() -> None:
    assert judged(breaking("completeness", 0.9, a=1, b=10, c=2), a=10, b=20, c=20) == ("b",)


def test_each_object_with_a_repeated_value_has_its_part_in_it_whatever_is_tolerated() -> None:
    assert judged(breaking("unique", tolerance=0.1, a=20, b=1), a=100, b=100) == ("a", "b")


def test_a_check_of_the_whole_names_no_object() -> None:
    assert judged(Finding(Check("row_count", None, None, (9, None)), 0), a=1) == ()


ROWS = st.integers(0, 1000)


@given(
    objects=st.dictionaries(st.sampled_from("abcdef"), st.tuples(ROWS, ROWS), min_size=1),
    tolerance=st.floats(0, 1),
    kind=st.sampled_from(["type", "completeness"]),
)
def test_a_check_that_is_broken_by_rows_always_names_an_object(
    objects: dict[str, tuple[int, int]], tolerance: float, kind: CheckKind
) -> None:
    object_rows = {key: rows for key, (rows, _) in objects.items()}
    by_object = {key: min(counts) for key, counts in objects.items()}
    finding = Finding(
        Check(kind, "review", "string", 1 - tolerance, tolerance=tolerance),
        sum(by_object.values()),
        by_object=by_object,
    )
    for violation in report(sum(object_rows.values()), [finding], object_rows=object_rows).violations:
        assert violation.objects
        assert all(by_object[key] for key in violation.objects)


def blaming(*objects: str, check: str = "max", severity: Severity = "fail") -> Violation:
    examples = tuple(RowRef(key, 3) for key in objects)
    return Violation("x", check, "2 rows above 1", 2, examples, severity, objects)


def test_what_violations_name_is_set_aside_each_object_for_its_own_reasons() -> None:
    rejected = Report(9, (blaming("a", "b"), blaming("b", check="type"), blaming("c", severity="warn")))
    assert rejected.offenders(["a", "b", "c"]) == {
        "a": ("x: 2 rows above 1 (such as a row 3)",),
        "b": ("x: 2 rows above 1 (such as b row 3)",) * 2,
    }


def test_a_check_of_the_whole_is_made_again_without_what_other_checks_name() -> None:
    rejected = Report(9, (Violation("x", "drift", "psi 0.4, more than 0.2", 0), blaming("a")))
    assert set(rejected.offenders(["a", "b"])) == {"a"}


@pytest.mark.parametrize("violation", [blaming(), blaming("old")])
def test_where_no_new_object_is_named_all_are_set_aside_for_all_reasons(violation: Violation) -> None:
    rejected = Report(9, (violation,))
    assert rejected.offenders(["a", "b"]) == {"a": rejected.reasons, "b": rejected.reasons}


KEYS = st.sets(st.sampled_from("abcdef"))


@given(named=st.lists(KEYS, min_size=1), new=KEYS)
def test_every_rejection_sets_a_new_object_aside_and_none_that_only_others_share_a_version_with(
    named: list[set[str]], new: set[str]
) -> None:
    offenders = set(Report(9, tuple(blaming(*sorted(keys)) for keys in named)).offenders(new))
    assert bool(offenders) == bool(new)
    blamed = set().union(*named) & new
    assert offenders == (blamed or new)


def test_a_report_is_read_back_as_it_was_written() -> None:
    problem = unreadable("p/b is no CSV", object="p/b")
    written = report(9, [breaking("type", a=3)], [problem], object_rows={"a": 9})
    assert Report.from_json(written.to_json(drift=None, bias={"is_biased": False})) == written


def test_a_distinct_count_that_nothing_could_be_read_for_breaks_no_bound() -> None:
    finding = Finding(Check("distinct_count", "x", "string", (1, None)), 0, value=None)
    (violation,) = report(0, [finding], [unreadable("a.csv is empty")]).violations
    assert violation.check == "format"
