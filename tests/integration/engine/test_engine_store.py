"""What a file's cells become in the engine's own table, in memory or in a file, is what the file has."""

# ruff: noqa: S608 - queries of tests

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from engine_world import SCHEMA
from sluice.domain.config.models import Data
from sluice.quality.engine import DATA, DataFile, Engine, EngineLimitError, Inspection, inspecting, reader
from sluice.quality.engine.files import Table
from sluice.quality.engine.store import Store

TYPES = {"i": "integer", "n": "number", "b": "boolean", "t": "timestamp", "s": "string"}
SCHEMA_OF_ALL = {name: {"type": kind} for name, kind in TYPES.items()}
Read = Callable[..., tuple[Inspection, list[tuple[Any, ...]]]]


@pytest.fixture(params=["memory", "file"])
def read(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """A function from CSV texts and a schema to what is found, and the rows of DATA."""
    if request.param == "file":
        monkeypatch.setattr(inspecting, "_IN_MEMORY_SHARE", 0)

    def read(*texts: str, schema: dict[str, Any] | None = None, **contract: Any) -> Any:
        files = []
        for index, text in enumerate(texts):
            (tmp_path / f"{index}.csv").write_text(text)
            files.append(DataFile(f"p/{index}", tmp_path / f"{index}.csv"))
        given = {"format": "csv", "label": "", "schema": schema or SCHEMA_OF_ALL, **contract}
        with Engine(256, tmp_path / "spill") as opened:
            found = opened.inspect(files, Data.model_validate(given, strict=False))
            assert (tmp_path / "spill/cells.duckdb").exists() == (request.param == "file")
            return found, opened.query(f"SELECT * FROM {DATA}")

    return read


def broken(found: Inspection, kind: str, column: str) -> Any:
    (finding,) = [f for f in found.findings if (f.check.kind, f.check.column) == (kind, column)]
    return finding


def test_cells_are_of_their_types_and_what_is_not_is_kept_as_it_is_written(read: Read) -> None:
    found, rows = read("i,n,b,t,s\n1.0,2.50,TRUE,2026-01-02,a\n1.5,2_0,perhaps,31.12.2026,007\n,,,,\n")
    assert [tuple(map(str, row)) for row in rows] == [
        ("1", "2.5", "True", "2026-01-02 00:00:00", "a"),
        ("None", "None", "None", "None", "007"),
        ("None",) * 5,
    ]
    assert dict(found.written) == {"i": 2, "n": 2, "b": 2, "t": 2, "s": 2}
    for column, value in {"i": "1.5", "n": "2_0", "b": "perhaps", "t": "31.12.2026"}.items():
        finding = broken(found, "type", column)
        assert (finding.rows, [(e.row, e.value) for e in finding.examples]) == (1, [(2, value)])


def test_times_are_in_utc_whatever_their_offset(read: Read) -> None:
    written = [
        "2026-01-01T09:00:00+09:00",
        "2026-01-01 00:00:00",
        "2026-01-01T00:00:00Z",
        "2025-12-31 18:30:00-05:30",
    ]
    _, rows = read("t\n" + "".join(f"{time}\n" for time in written), schema={"t": {"type": "timestamp"}})
    assert rows == [(datetime(2026, 1, 1),)] * 4


def test_each_row_has_its_number_in_its_own_file(read: Read) -> None:
    schema = {"i": {"type": "integer", "max": 5}, "k": {"type": "string", "unique": True}}
    first = "i,k\n" + "".join(f"1,a{row}\n" for row in range(1, 300_000)) + "9,last\n"
    found, rows = read(first, "k,i\nx,9\na7,1\n", schema=schema)
    assert len(rows) == 300_002
    assert [str(e) for e in broken(found, "max", "i").examples] == ["p/0 row 300000", "p/1 row 1"]
    (again,) = broken(found, "unique", "k").examples
    assert (str(again), again.value) == ("p/1 row 2", "a7")


def test_objects_are_named_with_the_rows_that_break_a_check(read: Read) -> None:
    good, bad = "i,s\n1,a\n2,b\n", "i,s\n-1,c\n-2,d\n3,a\n"
    schema = {"i": {"type": "integer", "min": 0}, "s": {"type": "string", "unique": True, "required": True}}
    found, _ = read(good, bad, "i\n4\n", 'i,s,more\n"5",f,1\n', schema=schema, extra="fail")
    assert broken(found, "min", "i").by_object == {"p/1": 2}
    assert broken(found, "unique", "s").by_object == {"p/0": 1, "p/1": 1}
    assert broken(found, "column", "s").by_object == {"p/2": 1}
    (extra,) = [finding for finding in found.findings if finding.check.kind == "extra"]
    assert extra.by_object == {"p/3": 1}
    (rows,) = [finding for finding in found.findings if finding.check.kind == "row_count"]
    assert rows.by_object == {}


def test_a_file_that_cannot_be_read_is_named_and_leaves_no_rows(read: Read) -> None:
    found, rows = read("x,y,x\n1,0,1\n", "x,y\n1,0\n", schema=SCHEMA)
    assert len(rows) == 1
    (problem,) = found.problems
    assert problem.objects == ("p/0",)


def test_columns_named_as_the_engines_own_are_columns_of_the_file(read: Read) -> None:
    schema = {
        name: {"type": "integer", "unique": True}
        for name in ("object", "row", "rowid", "written", "v0", "k0")
    }
    found, rows = read("object,row,rowid,written,v0,k0\n1,2,3,4,5,6\n1,2,3,4,5,6\n", schema=schema)
    assert rows == [(1, 2, 3, 4, 5, 6)] * 2
    for name in schema:
        (example,) = broken(found, "unique", name).examples
        assert example.row == 2


def test_the_folder_of_what_is_stored_may_have_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspecting, "_IN_MEMORY_SHARE", 0)
    folder = tmp_path / 'Ada\'s "data"'
    folder.mkdir()
    file = DataFile("p/0", folder / "0.csv")
    file.path.write_text("x,y\n1,0\n")
    data = Data.model_validate({"format": "csv", "label": "y", "schema": SCHEMA}, strict=False)
    with Engine(256, folder / "spill") as opened:
        assert opened.inspect([file], data).rows == 1


def test_cells_that_do_not_fit_into_memory_are_stored_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Store.add

    def fail_in_memory(store: Store, tables: Mapping[int, Table]) -> str:
        if not (tmp_path / "spill/cells.duckdb").exists() and 1 in tables:
            raise EngineLimitError("memory")
        return add(store, tables)

    monkeypatch.setattr(Store, "add", fail_in_memory)
    monkeypatch.setattr(reader, "_FILES_MAX", 1)
    files = [DataFile(f"p/{index}", tmp_path / f"{index}.csv") for index in range(2)]
    for file in files:
        file.path.write_text("x,y\n101,0\n")
    data = Data.model_validate({"format": "csv", "label": "y", "schema": SCHEMA}, strict=False)
    with Engine(256, tmp_path / "spill") as opened:
        found = opened.inspect(files, data)
    assert found.rows == 2
    assert broken(found, "max", "x").by_object == {"p/0": 1, "p/1": 1}
