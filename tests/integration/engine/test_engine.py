"""The engine counts what breaks a contract and names rows, whatever the bytes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import duckdb
import pytest

from engine_world import SCHEMA, Inspect
from sluice.quality import processes
from sluice.quality.engine import Engine, database
from sluice.quality.engine.database import STATEMENT_ERRORS, Database
from sluice.quality.processes import Tell


def test_data_that_keep_their_contract_are_valid(inspect: Inspect) -> None:
    report = inspect(b"x,y\n1.5,0\n,1\n", b"y,x\r\n1,100\r\n")
    assert (report.rows, report.reasons) == (3, ())


@pytest.mark.parametrize(
    ("body", "reasons"),
    [
        (b"x\n1\n", ["y: the column is missing (in p/0)"]),
        (b"x,y\n1,\n2,\n", ["y: 2 rows without a value (such as p/0 row 1)"]),
        (b"x,y\n1,0\nseven,1\nnan,1\n", ["x: 2 rows not of type number (such as p/0 row 2)"]),
        (b"x,y\n1,0\n2,1.5\n", ["y: 1 row not of type integer (such as p/0 row 2)"]),
        (b"x,y\n-1,0\n101,2\n", ["x: 1 row below 0", "x: 1 row above 100", "y: 1 row not one of 0, 1"]),
        (b"x,y\n", ["0 rows, fewer than 1"]),
    ],
)
def test_each_broken_check_is_named_with_its_rows(inspect: Inspect, body: bytes, reasons: list[str]) -> None:
    found = inspect(body).reasons
    assert len(found) == len(reasons)
    assert all(said.startswith(reason) for said, reason in zip(found, reasons, strict=True)), found


def test_spaces_around_a_value_are_no_part_of_it(inspect: Inspect) -> None:
    schema = {"y": {"type": "integer"}, "b": {"type": "boolean"}, "t": {"type": "timestamp"}}
    assert inspect(b"y,b,t\n 1 , true , 2026-01-01 \n", schema=schema).is_valid


@pytest.mark.parametrize("written", ["infinity", "-infinity"])
def test_infinity_is_no_time(inspect: Inspect, written: str) -> None:
    schema = {"y": {"type": "integer"}, "t": {"type": "timestamp"}}
    (reason,) = inspect(f"y,t\n1,{written}\n".encode(), schema=schema).reasons
    assert reason.startswith("t: 1 row not of type timestamp")


def test_integers_written_with_a_decimal_point_are_integers(inspect: Inspect) -> None:
    assert inspect(b"x,y\n1,1.0\n2,0.\n").is_valid


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "p/0 is empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\xff\xfe" * 50, "p/0 is no CSV: it is not UTF-8 text"),
        (b"PK\x03\x04\x14\x00\x08", "p/0 is no CSV: its first line has control characters"),
        (b"\n\nx,y\n1,0\n", "p/0 has no header"),
        (b"x,y,x\n1,0,1\n", "p/0 has the column 'x' twice"),
        (b"x,y\n1,0\n2,1,3\n4,1\n", "p/0 has 1 line with more values than the header, the first in line 3"),
        (b"x,y\n1,0\n2\n", "p/0 has 1 line with fewer values than the header, the first in line 3"),
        (b'x,y\n1,"0\n', "p/0 has 1 line with a quote out of place, the first in line 2"),
        (b"x,y\n1,\xff\n2,1\n", "p/0 has 1 line with bytes that are no UTF-8, the first in line 2"),
        (b'x,y\n1,a"b\n2,"a"b\n3,4\n', "p/0 has 1 line with a quote out of place, the first in line 3"),
        (b'"x,y\n1,0\n', "p/0 is no CSV"),
    ],
)
def test_what_is_no_csv_is_said_so_and_where(inspect: Inspect, body: bytes, words: str) -> None:
    report = inspect(body)
    assert not report.is_valid
    assert any(reason.startswith(words) for reason in report.reasons), report.reasons


def test_a_malformed_file_hides_no_violation_of_another(inspect: Inspect) -> None:
    report = inspect(b"x,y\n1,0,9\n", b"x,y\n101,0\n", b"x\n1\n")
    said = " ".join(report.reasons)
    assert "p/0 has 1 line" in said
    assert "above 100 (such as p/1 row 1)" in said
    assert "y: the column is missing (in p/2)" in said


def test_at_most_five_rows_are_named_over_all_files(inspect: Inspect) -> None:
    report = inspect(*[b"x,y\n" + b"101,0\n" * 4] * 2)
    (violation,) = report.violations
    assert violation.rows == 8
    assert [str(row) for row in violation.examples] == [
        "p/0 row 1",
        "p/0 row 2",
        "p/0 row 3",
        "p/0 row 4",
        "p/1 row 1",
    ]


def test_no_value_of_the_data_gets_into_a_reason(inspect: Inspect) -> None:
    body = b'x,y\nsecret-1,0\n2,secret-2\nsecret-3\nsecret-4,1,1\n3,"sec"ret-5\n'
    assert "secret" not in str(inspect(body).reasons)
    assert "secret" not in str(inspect(b"x,y\nsecret-1,0\n2,secret-2\n").reasons)
    assert "secret" not in str(inspect(b'{"x": "secret"}\n{"secret', data_format="jsonl").reasons)


def test_a_report_shows_violating_values_capped_and_escaped(inspect: Inspect) -> None:
    report = inspect(b"x,y\n" + b"z" * 5000 + b",0\n\x1b[31m<b>,1\n")
    first, second = (example.value for example in report.violations[0].examples)
    assert first == "z" * 79 + "\N{HORIZONTAL ELLIPSIS}"
    assert second == r"\x1b[31m<b>"


def test_no_value_of_a_redacted_column_is_shown(inspect: Inspect) -> None:
    report = inspect(b"x,y\nsecret,public\n", redact=["x"])
    assert b"secret" not in report.to_json()
    assert b"public" in report.to_json()


def test_a_unique_value_occurs_once_over_all_files(inspect: Inspect) -> None:
    schema = {**SCHEMA, "id": {"type": "string", "unique": True}}
    report = inspect(b"id,x,y\na,1,0\nb,1,0\n,1,1\n,1,1\n", b"id,x,y\nb,1,0\nc,1,0\nb,1,1\n", schema=schema)
    (violation,) = report.violations
    assert violation.rows == 2
    assert [str(row) for row in violation.examples] == ["p/1 row 1", "p/1 row 3"]


def test_text_lengths_patterns_and_timestamps_are_checked(inspect: Inspect) -> None:
    schema = {
        "y": {"type": "integer"},
        "name": {"type": "string", "min_length": 2, "max_length": 4, "pattern": "[a-zé']+"},
        "at": {"type": "timestamp", "min": "2020-01-01T00:00:00"},
        "flag": {"type": "boolean", "allowed": [True]},
    }
    body = "y,name,at,flag\n1,é'é,2021-01-01T10:00:00Z,true\n1,x,2019-12-31,false\n1,toolong,soon,perhaps\n"
    report = inspect(body.encode(), schema=schema)
    assert [(v.column, v.check, v.rows) for v in report.violations] == [
        ("name", "min_length", 1),
        ("name", "max_length", 1),
        ("at", "type", 1),
        ("at", "min", 1),
        ("flag", "type", 1),
        ("flag", "allowed", 1),
    ]


def test_completeness_and_row_counts_are_of_the_whole_data_set(inspect: Inspect) -> None:
    quality = [
        {"check": "completeness", "column": "x", "min": 0.75},
        {"check": "row_count", "min": 5},
    ]
    report = inspect(b"x,y\n,1\n1,1\n", b"y\n1\n1\n", quality=quality)
    assert report.reasons == (
        "x: 0.25 of the rows have a value, fewer than 0.75 (such as p/0 row 1)",
        "4 rows, fewer than 5",
    )


@pytest.mark.parametrize("name", ["a'b", 'a"b', "a/b~c", "größe", "select", " x "])
@pytest.mark.parametrize("data_format", ["csv", "jsonl", "parquet"])
def test_a_column_may_have_any_name(inspect: Inspect, tmp_path: Path, name: str, data_format: str) -> None:
    schema = {"y": {"type": "integer"}, name: {"type": "number", "required": True, "max": 1}}
    quoted = name.replace('"', '""')
    body = f'y,"{quoted}"\n1,2\n'.encode()
    if data_format != "csv":
        target = tmp_path / "source"
        options = "FORMAT json" if data_format == "jsonl" else "FORMAT parquet"
        sql = f"COPY (SELECT 1 AS y, 2 AS \"{quoted}\") TO '{target}' ({options})"
        duckdb.connect().execute(sql)
        body = target.read_bytes()
    (violation,) = inspect(body, data_format=data_format, schema=schema).violations
    assert (violation.column, violation.check) == (name, "max")


def test_json_lines_are_checked_like_csv(inspect: Inspect) -> None:
    body = (
        b'{"x": 1, "y": 0}\n\n{"y": 1}\n{"x": "seven", "y": 1, "z": [1, {"a": 2}]}\n{"x": null, "y": null}\n'
    )
    report = inspect(body, data_format="jsonl")
    assert report.rows == 4
    assert report.reasons == (
        "x: 1 row not of type number (such as p/0 row 3)",
        "y: 1 row without a value (such as p/0 row 4)",
    )
    assert "y: the column is missing" in inspect(b'{"x": 1}\n', data_format="jsonl").reasons[0]
    assert (
        inspect(b'{"x": 1}\n[1]\n{', data_format="jsonl")
        .reasons[0]
        .startswith("p/0 has 2 lines that are no JSON object, the first is line 2")
    )


@pytest.mark.parametrize("data_format", ["parquet", "jsonl"])
@pytest.mark.parametrize("body", [b"x,y\n1,0\n", b"\x00\xff\xfe" * 100, b"PAR1PAR1"])
def test_what_is_of_another_format_is_unreadable_and_no_crash(
    inspect: Inspect, data_format: str, body: bytes
) -> None:
    report = inspect(body, data_format=data_format)
    assert not report.is_valid
    assert report.reasons[0].startswith("p/0 ")


def test_parquet_is_checked_like_csv(inspect: Inspect, tmp_path: Path) -> None:
    target = tmp_path / "source"
    rows = "SELECT * FROM (VALUES (1.5, 0), (101.0, 1), (NULL, 2)) AS rows(x, y)"
    duckdb.connect().execute(f"COPY ({rows}) TO '{target}' (FORMAT parquet)")
    report = inspect(target.read_bytes(), data_format="parquet")
    assert report.rows == 3
    assert report.reasons == (
        "x: 1 row above 100 (such as p/0 row 2)",
        "y: 1 row not one of 0, 1 (such as p/0 row 3)",
    )


@pytest.mark.parametrize("name", ["n", "file_row_number", "FILE_ROW_NUMBER", "filename"])
def test_rows_of_parquet_are_numbered_over_all_row_groups_whatever_its_columns(
    inspect: Inspect, tmp_path: Path, name: str
) -> None:
    target = tmp_path / "source"
    rows = "SELECT CASE i WHEN 5000 THEN 101 ELSE 1 END AS x, 0 AS y, 7 AS name FROM range(1, 9001) r(i)"
    rows = rows.replace("name", name)
    options = "FORMAT parquet, ROW_GROUP_SIZE 2048"
    duckdb.connect().execute(f"COPY ({rows}) TO '{target}' ({options})")
    assert inspect(target.read_bytes(), data_format="parquet").reasons == (
        "x: 1 row above 100 (such as p/0 row 5000)",
    )


def test_a_pattern_that_the_engine_does_not_take_is_named_and_the_data_are_read(inspect: Inspect) -> None:
    schema = {"x": {"type": "string", "pattern": "a++", "max_length": 2}, "y": {"type": "integer"}}
    report = inspect(b"x,y\naaa,0\n", schema=schema)
    assert report.rows == 1
    assert report.reasons == (
        "x: 1 row longer than 2 characters (such as p/0 row 1)",
        "x: a++: the pattern cannot be used: it has + after a repetition, which the validation engine (RE2) "
        "does not know",
    )


@pytest.mark.parametrize("statement", ["SELEC 1", "SELECT nothing", "SELECT unknown(1)", "FROM nowhere"])
def test_a_statement_that_is_wrong_itself_is_no_fault_of_the_data(tmp_path: Path, statement: str) -> None:
    with Engine(256, tmp_path / "spill") as engine, pytest.raises(STATEMENT_ERRORS):
        engine.query(statement)


def test_a_column_that_is_written_differently_is_named_where_it_is_missed(inspect: Inspect) -> None:
    report = inspect(b"x, Y\n1,0\n", b"x,y,Y \n1,0,0\n", b"x,y \n1,0\n")
    assert report.reasons[0] == "y: the column is missing, but there is ' Y', 'y ' (in p/0)"


def test_a_database_that_was_made_for_a_fork_has_no_thread_which_that_would_lack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, connect = list[object](), duckdb.connect

    def connected(*given: Any, **how: Any) -> Any:
        made.append(how)
        return connect(*given, **how)

    monkeypatch.setattr(duckdb, "connect", connected)

    def count(tell: Tell) -> tuple[int, int, list[tuple[object, ...]]]:
        spare = Database(256, tmp_path / "spill")
        asked = "SELECT current_setting('threads'), current_setting('memory_limit'), count(*) FROM range(9)"
        return len(made), len(database._spare), spare.query(asked)

    database._spare.clear()
    threads = len(os.listdir("/proc/self/task"))
    database.make_spare()
    database.make_spare()
    assert len(os.listdir("/proc/self/task")) == threads
    for _ in range(2):
        found = processes.run(count, memory_mb=None, max_s=30)
        assert found == (1, 0, [(len(os.sched_getaffinity(0)), "244.1 MiB", 9)])
    assert len(database._spare) == 1
    database._spare.clear()
