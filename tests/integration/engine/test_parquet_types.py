"""Whatever type a Parquet file has for a column, it is of the contract's type or it is not: never a crash."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import duckdb
import pytest

from engine_world import Inspect

TYPES = ("string", "integer", "number", "boolean", "timestamp")
# A value of each native type, and the types of a contract that it is of beside text.
NATIVE: dict[str, set[str]] = {
    "{'a': 1}": set(),
    "[1, 2]": set(),
    "[1.5::DECIMAL(3, 1)]": set(),
    "[{'a': [TIMESTAMP '2026-01-01']}]": set(),
    "MAP {'a': 1}": set(),
    r"'\xAA\x00b'::BLOB": set(),
    "'a'::ENUM ('a', 'b')": set(),
    "uuid()": set(),
    "TIME '12:00:00'": set(),
    "'12:00:00+02'::TIMETZ": set(),
    "INTERVAL 1 DAY": set(),
    "'{\"a\": 1}'::JSON": set(),
    "union_value(a := 1)": set(),
    "'10101'::BIT": {"integer", "number"},
    "1.50::DECIMAL(10, 2)": {"number"},
    "7::DECIMAL(10, 2)": {"integer", "number"},
    "12345678901234567890123456789012345678::DECIMAL(38, 0)": {"number"},
    "1.5::FLOAT": {"number"},
    "'nan'::DOUBLE": set(),
    "7::UTINYINT": {"integer", "number"},
    "18446744073709551615::UBIGINT": {"number"},
    "7::HUGEINT": {"integer", "number"},
    "true": {"boolean"},
    "DATE '2026-01-01'": {"timestamp"},
    "TIMESTAMP_NS '2026-01-01 00:00:00.123456789'": {"timestamp"},
    "TIMESTAMPTZ '2026-01-01 00:00:00+02'": {"timestamp"},
    "NULL": {"integer", "number", "boolean", "timestamp"},
}


def parquet(tmp_path: Path, value: str) -> bytes:
    target = tmp_path / "source"
    rows = f"SELECT {value} AS x, 0 AS y UNION ALL SELECT NULL, 1"
    duckdb.connect().execute(f"COPY ({rows}) TO '{target}' (FORMAT parquet)")
    return target.read_bytes()


@pytest.mark.parametrize("value", NATIVE)
def test_a_native_type_is_of_the_contracts_type_or_not(inspect: Inspect, tmp_path: Path, value: str) -> None:
    body = parquet(tmp_path, value)
    limits: dict[str, dict[str, Any]] = {
        "string": {"pattern": "(?s).*", "max_length": 100},
        "integer": {"min": 0},
        "number": {"max": 1e40},
    }
    quality = [{"check": "distinct_count", "column": "x", "max": 1}]
    taken = set()
    for type_ in TYPES:
        schema = {"x": {"type": type_, "unique": True, **limits.get(type_, {})}, "y": {"type": "integer"}}
        report = inspect(body, data_format="parquet", schema=schema, quality=quality)
        assert report.rows == 2
        assert report.reasons in ((), (f"x: 1 row not of type {type_} (such as p/0 row 1)",))
        taken |= {type_} if report.is_valid else set()
    assert taken == NATIVE[value] | {"string"}


@pytest.mark.parametrize(
    "value", ["DATE '2026-01-01'", "TIMESTAMP '2026-01-01'", "TIMESTAMPTZ '2026-01-01 02:00:00+02'"]
)
def test_a_native_time_is_written_in_no_format_and_is_a_time_of_utc(
    inspect: Inspect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    schema = {"x": {"type": "timestamp", "format": "%d/%m/%Y"}, "y": {"type": "integer"}}
    query = "FROM data WHERE x <> TIMESTAMP '2026-01-01'"
    quality = [{"check": "sql", "name": "other", "query": query}]
    try:
        assert inspect(
            parquet(tmp_path, value), data_format="parquet", schema=schema, quality=quality
        ).is_valid
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_damaged_part_is_named_and_no_crash(inspect: Inspect, tmp_path: Path) -> None:
    target = tmp_path / "source"
    rows = "SELECT md5(range::VARCHAR) AS x, 0 AS y FROM range(1000)"
    duckdb.connect().execute(f"COPY ({rows}) TO '{target}' (FORMAT parquet)")
    body = bytearray(target.read_bytes())
    body[100:2000] = b"\xff" * 1900
    schema = {"x": {"type": "string"}, "y": {"type": "integer"}}
    quality = [
        {"check": "distinct_count", "column": "x", "min": 1},
        {"check": "uniqueness", "column": "x", "min": 0.5},
    ]
    report = inspect(bytes(body), data_format="parquet", schema=schema, quality=quality)
    assert report.reasons[0] == "p/0 cannot be read: it is not of the format the contract names"
