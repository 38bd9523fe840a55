"""Files that are read together, or where they are, are read as each by itself."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from engine_world import SCHEMA
from sluice.domain.config.models import Data
from sluice.quality.engine import DataFile, Engine, Inspection, inspecting, reader

GOOD = b"x,y\n1,0\n2,1\n"
CSV = [
    GOOD,
    b"x,y\n1,0\n101,2\n\n-1,0\n",
    GOOD,
    b"x,y\n",
    b"y,x\n0,300\n",
    GOOD,
    b"x,y,z\n1,0,5\n",
    b"x\n7\n",
    b"x,y\n1,0\n1,2,3\n-5,0\n5\n",
    GOOD,
    b"x,y\r\n1,0\n400,1\n",
    b"",
    GOOD,
    b"\xff\xfe",
    gzip.compress(GOOD),
    gzip.compress(GOOD)[:-4],
    gzip.compress(b"x,y\n1,0\n500,1\n"),
    GOOD,
    b"x,y\n1,\xff\n600,1\n",
]
LINES = b'{"x": 1, "y": 0}\n{"x": 700, "y": 1}\n'
JSONL = [
    LINES,
    LINES,
    b'{"y": 0, "z": 1}\n',
    b"[]\n",
    gzip.compress(LINES),
    b'{"x": -1, "y": 0}\r\n' + LINES,
    LINES,
]
CONTRACT: dict[str, Any] = {
    "label": "y",
    "schema": {"x": {"type": "number", "min": 0, "max": 100, "unique": True}, "y": SCHEMA["y"]},
    "extra": "warn",
    "quality": [{"check": "mean", "column": "x", "max": 1}],
}


def inspected(
    folder: Path, bodies: list[bytes], memory_mb: int = 256, **contract: Any
) -> tuple[Inspection, list[tuple[Any, ...]]]:
    files = []
    for index, body in enumerate(bodies):
        # Of one name, and with a quote in the path.
        path = folder / f"it's {index}" / "data"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        files.append(DataFile(f"p/{index}", path))
    data = Data.model_validate({**CONTRACT, **contract}, strict=False)
    with Engine(memory_mb, folder / "spill") as opened:
        found = opened.inspect(files, data)
        return found, opened.query("SELECT y FROM data")


@pytest.mark.parametrize(("data_format", "bodies"), [("csv", CSV), ("jsonl", JSONL)])
def test_files_read_together_are_read_as_each_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data_format: str, bodies: list[bytes]
) -> None:
    together = inspected(tmp_path, bodies, format=data_format)
    monkeypatch.setattr(reader, "_FILES_MAX", 1)
    assert inspected(tmp_path, bodies, format=data_format) == together
    found, rows = together
    assert len(rows) == found.rows > 10
    assert found.problems
    assert sum(rows == 2 for rows in found.object_rows.values()) >= 4


# Of a line with bytes that are no UTF-8, a scan of other columns sees nothing wrong.
@pytest.mark.parametrize(("data_format", "bodies"), [("csv", CSV[:-1]), ("jsonl", JSONL)])
def test_text_of_too_many_columns_to_be_stored_is_read_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data_format: str, bodies: list[bytes]
) -> None:
    stored, rows = inspected(tmp_path, bodies, format=data_format)
    monkeypatch.setattr(inspecting, "_COLUMN_BYTES", 1 << 40)
    in_place, same = inspected(tmp_path, bodies, format=data_format)
    assert in_place == stored
    assert sorted(map(str, same)) == sorted(map(str, rows))


def test_a_statement_reads_many_small_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    query = Engine.query

    def noted(opened: Engine, sql: str) -> list[tuple[Any, ...]]:
        asked.append(sql)
        return query(opened, sql)

    monkeypatch.setattr(Engine, "query", noted)
    found, _ = inspected(tmp_path, [GOOD] * 150, format="csv")
    assert found.rows == 300
    counts = [sql for sql in asked if "count_if" in sql]
    assert len(counts) == 2
