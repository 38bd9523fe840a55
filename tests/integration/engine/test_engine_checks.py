"""The checks of a whole data set, and those that a contract writes itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from engine_world import Inspect

ID = {"y": {"type": "integer"}, "id": {"type": "string"}}


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        ({"check": "mean", "column": "x", "max": 2}, "x: the mean is 2.5, more than 2"),
        ({"check": "std", "column": "x", "min": 2}, "x: the std is 1.11803, less than 2"),
        ({"check": "minimum", "column": "x", "min": 2}, "x: the minimum is 1, less than 2"),
        ({"check": "maximum", "column": "x", "max": 3}, "x: the maximum is 4, more than 3"),
        (
            {"check": "quantile", "column": "x", "q": 0.5, "min": 2.5},
            "x: the quantile 0.5 is 2, less than 2.5",
        ),
        ({"check": "quantile", "column": "x", "q": 1, "max": 3}, "x: the quantile 1.0 is 4, more than 3"),
        ({"check": "quantile", "column": "x", "q": 0, "min": 2}, "x: the quantile 0.0 is 1, less than 2"),
        ({"check": "distinct_count", "column": "y", "min": 3}, "y: 2 different values, fewer than 3"),
        (
            {"check": "uniqueness", "column": "y", "min": 0.9},
            "y: 0.5 of the values are distinct, fewer than 0.9",
        ),
        (
            {"check": "allowed_share", "column": "x", "values": [1, 2, 3], "min": 0.8},
            "x: 0.75 of the values are among 1, 2, 3, fewer than 0.8",
        ),
        (
            {"check": "row_count", "max_change": 0.5},
            "5 rows after 20, a change of 0.75, more than 0.5",
        ),
        (
            {"check": "sql", "name": "big", "query": "SELECT * FROM data WHERE x > 2"},
            "2 rows returned by the query 'big'",
        ),
    ],
)
def test_a_figure_out_of_bounds_is_named(inspect: Inspect, check: dict[str, Any], reason: str) -> None:
    report = inspect(b"x,y\n1,0\n2,0\n3,1\n4,1\n,\n", quality=[check], label="x", previous_rows=20)
    assert reason in report.reasons


@pytest.mark.parametrize(
    "check",
    [
        {"check": "mean", "column": "x", "min": 2.5, "max": 2.5},
        {"check": "quantile", "column": "x", "q": 0.75, "min": 3, "max": 3},
        {"check": "distinct_count", "column": "y", "min": 2, "max": 2},
        {"check": "uniqueness", "column": "x", "min": 1},
        {"check": "allowed_share", "column": "x", "values": [1, 2, 3], "min": 0.75},
        {"check": "row_count", "max_change": 0.5},
        {"check": "sql", "name": "none", "query": "FROM data WHERE x > 100"},
        {"check": "sql", "name": "some", "query": "FROM data WHERE x > 3", "tolerance": 0.25},
    ],
)
def test_a_figure_at_its_bound_is_good(inspect: Inspect, check: dict[str, Any]) -> None:
    assert inspect(b"x,y\n1,0\n2,0\n", b"x,y\n3,1\n4,1\n", quality=[check], previous_rows=8).is_valid


def test_a_statistic_of_no_values_is_said_and_not_passed(inspect: Inspect) -> None:
    quality = [
        {"check": "mean", "column": "x", "min": 0},
        {"check": "quantile", "column": "x", "q": 0.5, "min": 0},
    ]
    for body in (b"x,y\n,0\n", b"y\n0\n"):
        assert inspect(body, quality=quality).reasons == (
            "x: there is no value to take the mean of",
            "x: there is no value to take the quantile 0.5 of",
        )


NUMBERS = {"x": {"type": "number"}, "y": {"type": "integer"}}


def of_numbers(*values: object) -> bytes:
    return b"x,y\n" + "".join(f"{value},0\n" for value in values).encode()


@pytest.mark.parametrize("q", [0.55, 0.07, 0.29, 0.57, 0.01])
def test_a_quantile_is_the_nearest_rank(inspect: Inspect, q: float) -> None:
    """0.55 * 100 is 55.00000000000001."""
    rank = round(q * 100)
    quality = [{"check": "quantile", "column": "x", "q": q, "min": rank, "max": rank}]
    assert inspect(of_numbers(*range(1, 101)), quality=quality).is_valid


def test_shares_are_those_of_whole_rows(inspect: Inspect) -> None:
    unique = [{"check": "uniqueness", "column": "x", "min": 0.805}]
    among = [{"check": "allowed_share", "column": "x", "min": 0.805, "values": list(range(805))}]
    for quality, values in ((unique, [min(value, 804) for value in range(1000)]), (among, range(1000))):
        assert inspect(of_numbers(*values), schema=NUMBERS, quality=quality).is_valid


@pytest.mark.parametrize(
    ("values", "mean", "std"),
    [
        (("1e308", "1e308"), "1e+308", None),
        (("1e308", "-1e308"), None, "1e+308"),
        (("1.7976931348623157e308",) * 3, "1.79769e+308", None),
        (("1e200", "3e200"), "2e+200", "1e+200"),
        (("123456789012345678901234567890", "0"), "6.17284e+28", "6.17284e+28"),
    ],
)
def test_the_mean_and_deviation_of_huge_numbers_are_theirs(
    inspect: Inspect, values: tuple[str, ...], mean: str | None, std: str | None
) -> None:
    quality = [{"check": kind, "column": "x", "max": 1} for kind in ("mean", "std")]
    report = inspect(of_numbers(*values), schema=NUMBERS, quality=quality)
    wanted = [f"x: the mean is {mean}, more than 1"] * bool(mean)
    assert report.reasons == (*wanted, *[f"x: the std is {std}, more than 1"] * bool(std))


def test_the_deviation_of_tiny_numbers_is_not_0(inspect: Inspect) -> None:
    quality = [{"check": "std", "column": "x", "min": 9e-201}]
    assert inspect(of_numbers(1e-200, 3e-200), schema=NUMBERS, quality=quality).is_valid


@pytest.mark.parametrize(("age_s", "is_fresh"), [(86_400, True), (86_399, False)])
def test_data_are_as_fresh_as_their_newest_time(inspect: Inspect, age_s: int, is_fresh: bool) -> None:
    schema = {"at": {"type": "timestamp"}, "y": {"type": "integer"}}
    quality = [{"check": "freshness", "column": "at", "max_age_s": age_s}]
    report = inspect(b"at,y\n2025-12-01,0\n2026-01-01,1\n", schema=schema, quality=quality)
    assert report.is_valid is is_fresh


def test_a_time_is_read_as_the_contract_says_it_is_written(inspect: Inspect) -> None:
    schema = {
        "at": {"type": "timestamp", "format": "%d/%m/%Y", "min": "2026-01-01"},
        "y": {"type": "integer"},
    }
    report = inspect(b"at,y\n02/01/2026,0\n2026-01-02,1\n31/12/2025,1\n", schema=schema)
    assert [(v.check, v.rows, v.examples[0].row) for v in report.violations] == [
        ("type", 1, 2),
        ("min", 1, 3),
    ]


def test_values_of_a_key_occur_together_once(inspect: Inspect) -> None:
    schema = {**ID, "day": {"type": "integer"}}
    body = b"id,day,y\na,1,0\na,2,0\nb,1,0\n,1,0\n,1,0\n"
    assert inspect(body, schema=schema, keys=[["id", "day"]]).is_valid
    (violation,) = inspect(body, b"id,day,y\na,2,1\na,3,1\n", schema=schema, keys=[["id", "day"]]).violations
    assert (violation.column, violation.check, violation.rows) == ("id, day", "key", 1)
    assert [str(row) for row in violation.examples] == ["p/1 row 1"]


@pytest.mark.parametrize(("extra", "is_valid"), [("allow", True), ("warn", True), ("fail", False)])
@pytest.mark.parametrize("data_format", ["csv", "jsonl"])
def test_columns_that_nobody_asked_for(
    inspect: Inspect, extra: str, is_valid: bool, data_format: str
) -> None:
    body = b"x,y,<b>\n1,0,1\n" if data_format == "csv" else b'{"x": 1, "y": 0, "<b>": 1}\n'
    report = inspect(body, extra=extra, data_format=data_format)
    assert report.is_valid is is_valid
    said = "1 column not in the schema: <b>"
    assert (report.reasons, report.warnings) == {
        "allow": ((), ()),
        "warn": ((), (said,)),
        "fail": ((said,), ()),
    }[extra]


def test_a_required_column_may_have_gaps_if_it_is_nullable(inspect: Inspect) -> None:
    schema = {"x": {"type": "number", "required": True, "nullable": True}, "y": {"type": "integer"}}
    assert inspect(b"x,y\n,0\n", schema=schema).is_valid
    assert inspect(b"y\n0\n", schema=schema).reasons[0].startswith("x: the column is missing")
    optional = {"x": {"type": "number", "nullable": False}, "y": {"type": "integer"}}
    assert inspect(b"x,y\n,0\n", schema=optional).reasons[0].startswith("x: 1 row without a value")


def test_a_share_of_the_rows_may_break_what_is_tolerant(inspect: Inspect) -> None:
    schema = {"x": {"type": "number", "max": 1, "tolerance": 0.25}, "y": {"type": "integer"}}
    assert inspect(b"x,y\n1,0\n1,0\n1,0\n2,0\n", schema=schema).is_valid
    (reason,) = inspect(b"x,y\n1,0\n1,0\n2,0\n2,0\n", schema=schema).reasons
    assert reason.startswith("x: 2 rows above 1.0, more than 0.25 of all") or reason.startswith(
        "x: 2 rows above 1,"
    )


def test_a_warning_rejects_nothing(inspect: Inspect) -> None:
    schema = {"x": {"type": "number", "max": 1, "severity": "warn"}, "y": {"type": "integer"}}
    report = inspect(b"x,y\n2,0\n", schema=schema)
    assert (report.is_valid, len(report.warnings)) == (True, 1)
    assert json.loads(report.to_json())["violations"][0]["severity"] == "warn"


# ------------------------------------------------------------------ queries of the contract's own


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT * FROM read_text('/etc/hostname')", "it may read nothing but data"),
        ("SELECT * FROM read_csv('/etc/passwd')", "it may read nothing but data"),
        ("SELECT * FROM 'https://example.com/x.csv'", "it may read nothing but data"),
        ("SELECT * FROM files", "Catalog Error: Table with name files does not exist!"),
        ("SELECT * FROM data; DROP VIEW data", "it is not one SELECT"),
        ("SELECT 1) ; SELECT (1", "Parser Error"),
        ("SELECT * FROM nowhere", "Catalog Error: Table with name nowhere does not exist!"),
        ("SELECT z FROM data", 'Binder Error: Referenced column "z" not found'),
        ("FROM data WHERE CAST(name AS INTEGER) > 0", "it failed on these data (ConversionException)"),
    ],
)
def test_a_query_sees_the_data_and_nothing_else(inspect: Inspect, query: str, said: str) -> None:
    files = [1]  # noqa: F841 - a variable of the caller must not be a table
    schema = {"x": {"type": "number"}, "y": {"type": "integer"}, "name": {"type": "string"}}
    quality = [{"check": "sql", "name": "mine", "query": query}]
    (reason,) = inspect(b"x,y,name\n1,0,secret\n", schema=schema, quality=quality).reasons
    assert reason.startswith("mine: the query could not be run: ")
    assert said in reason
    assert "secret" not in reason


@pytest.mark.parametrize("query", ["DROP VIEW data", "SET threads = 1", "PRAGMA version", "COPY data TO 'x'"])
def test_what_is_no_select_is_not_run(inspect: Inspect, query: str) -> None:
    (reason,) = inspect(b"x,y\n1,0\n", quality=[{"check": "sql", "name": "mine", "query": query}]).reasons
    assert reason.startswith("mine: the query could not be run: ")


def test_a_query_that_does_not_end_is_ended(inspect: Inspect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluice.quality.engine.inspecting._SQL_MAX_S", 0.3)
    query = "SELECT count(*) FROM range(100000000000) a, range(1000000) b WHERE a.range * b.range = 7"
    quality = [
        {"check": "sql", "name": "endless", "query": query},
        {"check": "sql", "name": "next", "query": "SELECT * FROM data"},
    ]
    first, second = inspect(b"x,y\n1,0\n", quality=quality).reasons
    assert first.startswith("endless: the query could not be run: it needs more than")
    assert second == "1 row returned by the query 'next'"


def test_a_query_reads_columns_as_their_types(inspect: Inspect, tmp_path: Path) -> None:
    schema = {"x": {"type": "number"}, "y": {"type": "integer"}, "day": {"type": "timestamp"}}
    query = "SELECT * FROM data WHERE x + y > 1.4 AND day < TIMESTAMP '2026-01-02'"
    quality = [{"check": "sql", "name": "mine", "query": query}]
    body = b"x,y,day\n0.5,1,2026-01-01\nx,1,2026-01-01\n"
    assert "1 row returned by the query 'mine'" in inspect(body, schema=schema, quality=quality).reasons
    target = tmp_path / "source"
    duckdb.connect().execute(
        f"COPY (SELECT 0.5 AS x, 1 AS y, DATE '2026-01-01' AS day) TO '{target}' (FORMAT parquet)"
    )
    report = inspect(target.read_bytes(), data_format="parquet", schema=schema, quality=quality)
    assert report.reasons == ("1 row returned by the query 'mine'",)


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        ({"check": "allowed_share", "column": "x", "values": [1], "min": 0.5}, "x: no file has the column"),
        ({"check": "uniqueness", "column": "x", "min": 0.5}, "x: no file has the column"),
        ({"check": "distinct_count", "column": "x", "max": 5}, "x: no file has the column"),
        ({"check": "mean", "column": "x", "min": 0.5}, "x: there is no value to take the mean of"),
    ],
)
def test_a_check_of_a_column_that_no_file_has_fails(
    inspect: Inspect, check: dict[str, Any], reason: str
) -> None:
    """A misspelt header must not let pass what asks for its values. Only a constraint says nothing of it."""
    schema = {"x": {"type": "number", "unique": True}, "y": {"type": "integer"}}
    assert inspect(b"y\n0\n1\n", schema=schema, quality=[check]).reasons == (reason,)


@pytest.mark.parametrize(
    "check",
    [
        {"check": "allowed_share", "column": "x", "values": [1], "min": 0.5},
        {"check": "uniqueness", "column": "x", "min": 0.5},
        {"check": "distinct_count", "column": "x", "max": 5},
    ],
)
def test_of_a_column_without_values_no_share_is_too_small(inspect: Inspect, check: dict[str, Any]) -> None:
    """How many may be missing is for `required` and `completeness` to say."""
    schema = {"x": {"type": "number"}, "y": {"type": "integer"}}
    assert inspect(b"x,y\n,0\n,1\n", schema=schema, quality=[check]).is_valid


def test_a_key_of_a_column_that_no_file_has_fails(inspect: Inspect) -> None:
    schema = {"x": {"type": "number"}, "y": {"type": "integer"}, "z": {"type": "integer"}}
    report = inspect(b"y\n0\n1\n", schema=schema, keys=[["x", "y", "z"]])
    assert report.reasons == ("x, y, z: no file has the column x nor z",)
