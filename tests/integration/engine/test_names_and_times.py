"""Names of columns are taken as a file has them, and times as ISO 8601 writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from engine_world import Inspect
from sluice.quality.engine import DataFile, Engine
from sluice.quality.engine.inferring import Found, infer

# ruff: noqa: S608 - queries of tests

NAMES = ["Prix\u00a0HT", "Net\nsales", "Net\r\nsales", "na\u200bme", "a\tb", "\ufeffx y"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_may_have_a_character_that_is_not_seen(inspect: Inspect, name: str) -> None:
    schema = {name: {"type": "number", "max": 1}, "y": {"type": "integer"}}
    end = "\r\n" if "\r" in name else "\n"
    body = f'"{name}",y\n2,0\n1,0\n'.replace("\n", end).replace("\r\r", "\r").encode()
    report = inspect(body, schema=schema)
    assert (report.rows, [found.column for found in report.violations]) == (2, [name])
    assert report.reasons[0].isprintable()
    beside = inspect(f'x,y,"{name}"{end}1,0,1{end}'.encode(), extra="warn")
    assert (beside.is_valid, len(beside.warnings)) == (True, 1)


@pytest.mark.parametrize("character", ["\0", "\x1b", "\x07", "\x85"])
def test_a_name_with_a_control_character_is_none(inspect: Inspect, character: str) -> None:
    reason = inspect(f"x{character},y\n1,0\n".encode()).reasons[0]
    assert reason == "p/0 is no CSV: its first line has control characters"


def parquet(folder: Path, select: str, name: str = "file.parquet") -> Path:
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    duckdb.connect().execute(f"COPY ({select}) TO '{target}' (FORMAT parquet)")
    return target


def test_names_of_parquet_may_differ_in_case_alone(inspect: Inspect, tmp_path: Path) -> None:
    path = parquet(tmp_path, "SELECT 1 AS aa, 200 AS bb, 0 AS y, {'x': 7} AS z")
    # An engine that renames them cannot write them: of equal length, they are exchanged in the file.
    body = path.read_bytes().replace(b"aa", b"xx").replace(b"bb", b"XX")
    for name, reasons in (("xx", 0), ("XX", 1)):
        schema = {name: {"type": "integer", "required": True, "max": 100}, "y": {"type": "integer"}}
        report = inspect(body, body, data_format="parquet", schema=schema)
        assert (report.rows, len(report.reasons)) == (2, reasons)
        assert all("above 100" in reason for reason in report.reasons)


def test_two_columns_of_parquet_of_one_name_are_refused(inspect: Inspect, tmp_path: Path) -> None:
    path = parquet(tmp_path, "SELECT 1 AS aa, 200 AS bb, 0 AS y")
    body = path.read_bytes().replace(b"aa", b"xx").replace(b"bb", b"xx")
    schema = {"xx": {"type": "integer"}, "y": {"type": "integer"}}
    report = inspect(body, data_format="parquet", schema=schema)
    assert report.reasons[0] == "p/0 has the column 'xx' twice"


def test_a_folder_of_a_partition_is_no_column(inspect: Inspect, tmp_path: Path) -> None:
    path = parquet(tmp_path, "SELECT 1 AS x, 7 AS month", "dt=2026-01-01/month=01/x.parquet")
    found = inferred(tmp_path, path)
    assert [(column.name, "integer" in column.types) for column in found.columns] == [
        ("x", True),
        ("month", True),
    ]


def inferred(folder: Path, path: Path) -> Found:
    with Engine(256, folder / "spill") as engine:
        return infer(engine, DataFile(str(path), path))


@pytest.mark.parametrize(
    ("body", "csv", "names"),
    [
        ('id;"Name, first, middle"\n1;a\n', {"delimiter": ";"}, ["id", "Name, first, middle"]),
        ('"a|b|c",d\n1,2\n', {}, ["a|b|c", "d"]),
        ("[id],[x]\n1,2\n", {}, ["[id]", "[x]"]),
        ("{id},{x}\n1,2\n", {}, ["{id}", "{x}"]),
        ('"a ""b""";"c,d,e"\n1;2\n', {"delimiter": ";"}, ['a "b"', "c,d,e"]),
        ("one\n1\n", {}, ["one"]),
    ],
)
def test_a_delimiter_is_what_splits_the_names_outside_of_quotes(
    tmp_path: Path, body: str, csv: dict[str, str], names: list[str]
) -> None:
    path = tmp_path / "file"
    path.write_text(body)
    found = inferred(tmp_path, path)
    assert (found.format, found.csv, [column.name for column in found.columns]) == ("csv", csv, names)


TIMES = [
    "20260101T101010Z",
    "20260101",
    "2026-01-01T10",
    "2026-01-01T10:00:00,5",
    "2026-01-01T10:00+0230",
    "20260101T1010-02",
    "2026-01-01 10:00:00.25+02:00",
    " 2026-01-01 ",
]
NO_TIMES = [
    *("epoch", "infinity", "now", "2026-01-01 (BC)", "-2026-01-01", "-026-01-01", "2026/01/01", "2026-1-1"),
    *(
        "2026-01-01 10:00:00 EST",
        "2026-01-01 10:00:00 America/New_York",
        "2026-02-29",
        "20260229",
        "10:00:00",
    ),
    *("2026-01-01T10:00:00+24:00", "2026-01-01T10:00-02:60", "2026-01-01T10+99", "20260101T1010+2400"),
]


@pytest.mark.parametrize("text", TIMES)
def test_a_time_is_what_iso_8601_writes(tmp_path: Path, inspect: Inspect, text: str) -> None:
    schema = {"t": {"type": "timestamp"}, "y": {"type": "integer"}}
    assert inspect(f't,y\n"{text}",0\n'.encode(), schema=schema).reasons == ()
    value = datetime.fromisoformat(text.strip())
    utc = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    query = f"SELECT * FROM data WHERE t <> TIMESTAMP '{utc}'"
    quality = [{"check": "sql", "name": "other", "query": query}]
    assert inspect(f't,y\n"{text}",0\n'.encode(), schema=schema, quality=quality).reasons == ()


@pytest.mark.parametrize("text", NO_TIMES)
def test_what_only_an_engine_takes_for_a_time_is_none(inspect: Inspect, text: str) -> None:
    schema = {"t": {"type": "timestamp"}, "y": {"type": "integer"}}
    report = inspect(f"t,y\n{text},0\n".encode(), schema=schema)
    assert report.reasons == ("t: 1 row not of type timestamp (such as p/0 row 1)",)


def test_a_column_may_have_any_name_beside_a_timestamp(inspect: Inspect) -> None:
    schema = {"t": {"type": "timestamp"}, "y": {"type": "integer"}}
    assert inspect(b"t,y,parts\n20260101T10,0,1\n", schema=schema).reasons == ()


@pytest.mark.parametrize(
    ("times", "reason"),
    [
        # It is the 2nd of January.
        (["2026-01-01T23:59:30", "2030-01-01"], None),
        (["2025-01-01", "2030-01-01"], "at: the newest value is 31622400 s old, more than 60"),
        (
            ["2030-01-01", "2031-01-01"],
            "at: all times lie in the future, so the age of the data is not known",
        ),
        ([""], "at: there is no time to tell the age of the data by"),
    ],
)
def test_a_time_in_the_future_makes_no_data_fresh(
    inspect: Inspect, times: list[str], reason: str | None
) -> None:
    schema = {"at": {"type": "timestamp"}, "y": {"type": "integer"}}
    body = "at,y\n" + "".join(f"{time},0\n" for time in times)
    quality = [{"check": "freshness", "column": "at", "max_age_s": 60}]
    report = inspect(body.encode(), schema=schema, quality=quality)
    assert report.reasons == ((reason,) if reason else ())
