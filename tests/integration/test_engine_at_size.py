"""Data that are large beside the memory there is: many rows, many columns."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from engine_world import Inspect, inspector
from sluice.quality.engine import EngineLimitError

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def inspect(tmp_path: Path) -> Inspect:
    return inspector(tmp_path)


def test_more_distinct_values_than_memory_holds_are_counted(inspect: Inspect, tmp_path: Path) -> None:
    target = tmp_path / "source"
    rows = "SELECT md5(range::VARCHAR) AS id, 1 AS y FROM range(3000000)"
    duckdb.connect().execute(
        f"COPY (FROM ({rows}) UNION ALL SELECT md5('7'), 0) TO '{target}' (FORMAT parquet)"
    )
    schema = {"id": {"type": "string", "unique": True}, "y": {"type": "integer"}}
    given = {"data_format": "parquet", "schema": schema}
    assert target.stat().st_size > 90_000_000
    report = inspect(target.read_bytes(), limits={"memory_mb": 120}, **given)
    assert (report.rows, [(v.check, v.rows) for v in report.violations]) == (3_000_001, [("unique", 1)])


def test_what_memory_and_storage_cannot_hold_names_a_way_out(inspect: Inspect) -> None:
    with pytest.raises(EngineLimitError, match="give the function more of them"):
        inspect(b"x,y\n" + b"1,0\n" * 3_000_000, limits={"memory_mb": 1})


def test_columns_beyond_what_memory_can_store_are_all_checked(inspect: Inspect) -> None:
    names = [f"c{index}" for index in range(4000)]
    schema = {"y": {"type": "integer"}, **{name: {"type": "string", "max_length": 1} for name in names}}
    body = (",".join(["y", *names]) + "\n" + ("1," * 4000 + "11\n")).encode()
    report = inspect(body, limits={"memory_mb": 256}, schema=schema, quality=[])
    assert [violation.column for violation in report.violations if violation.rows] == ["c3999"]
