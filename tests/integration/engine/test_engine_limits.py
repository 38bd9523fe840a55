"""What is beyond a limit is named before it is loaded, and what is sound beside it is read."""

from __future__ import annotations

import json
import os
import signal
import struct
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from engine_world import NOW, SCHEMA, Inspect
from sluice.domain.config.models import Data
from sluice.quality import run
from sluice.quality.engine import DataFile, EngineLimitError
from sluice.quality.engine.limits import COLUMNS_MAX, NESTING_MAX
from sluice.quality.engine.store import Store
from sluice.quality.judging import Baseline, Terms
from sluice.quality.validation import Report

SOUND = {"csv": b"x,y\n1,0\n", "jsonl": b'{"x": 1, "y": 0}\n'}
pytestmark = pytest.mark.timeout(120)


def parquet(folder: Path, select: str) -> bytes:
    target = folder / "made.parquet"
    duckdb.connect().execute(f"COPY ({select}) TO '{target}' (FORMAT parquet)")
    return target.read_bytes()


def said_of_the_bad_one(report: Report) -> str:
    """Of two files the second is refused; the first is read."""
    assert report.rows == 1
    (violation,) = [found for found in report.violations if found.check == "format"]
    assert violation.objects == ("p/1",)
    return violation.message


def wide_csv(columns: int) -> bytes:
    names = ",".join(f"c{index}" for index in range(columns - 2))
    return f"x,y,{names}\n1,0{',' * (columns - 2)}\n".encode()


@pytest.mark.parametrize("columns", [COLUMNS_MAX + 1, 160_000])
def test_a_csv_file_of_too_many_columns_is_named(inspect: Inspect, columns: int) -> None:
    message = said_of_the_bad_one(inspect(SOUND["csv"], wide_csv(columns)))
    assert message == f"p/1 has {columns} columns, more than 10000, the most that are read"


def test_json_lines_of_too_many_names_are_named(inspect: Inspect) -> None:
    wide = json.dumps({"x": 1, "y": 0, **{f"c{index}": 1 for index in range(COLUMNS_MAX)}}).encode()
    message = said_of_the_bad_one(inspect(SOUND["jsonl"], wide, data_format="jsonl"))
    assert message == "p/1 has more than 10000 names in line 1, the most that are read"
    lines = (json.dumps({f"c{row}_{index}": 1 for index in range(100)}) for row in range(101))
    message = said_of_the_bad_one(inspect(SOUND["jsonl"], "\n".join(lines).encode(), data_format="jsonl"))
    assert message == "p/1 has more than 10000 different names in its lines, the most that are read"


def nested(depth: int, opened: str, closed: str) -> bytes:
    return f'{{"x": 1, "y": 0, "z": {opened * depth}1{closed * depth}}}\n'.encode()


@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a": ', "}"), ('["]", ', "]")])
def test_json_that_is_nested_too_deeply_is_named(inspect: Inspect, opened: str, closed: str) -> None:
    body = nested(3, "[", "]") + nested(NESTING_MAX, opened, closed)
    message = said_of_the_bad_one(inspect(SOUND["jsonl"], body, data_format="jsonl"))
    assert message == "p/1 is nested deeper than 500 in line 2, the most that is read"
    assert inspect(nested(NESTING_MAX - 1, opened, closed), data_format="jsonl").is_valid


def test_many_brackets_side_by_side_are_not_deep(inspect: Inspect) -> None:
    body = {"x": 1, "y": 0, "z": [[[index], {"a": "["}] for index in range(2000)]}
    assert inspect(json.dumps(body).encode(), data_format="jsonl").is_valid


def test_a_parquet_file_of_too_many_columns_is_named(inspect: Inspect, tmp_path: Path) -> None:
    others = ", ".join(f"1 AS c{index}" for index in range(COLUMNS_MAX - 1))
    wide = parquet(tmp_path, f"SELECT 1 AS x, 0 AS y, {others}")
    sound = parquet(tmp_path, "SELECT 1 AS x, 0 AS y, {'a': [1], 'b': {'c': 1}} AS z")
    message = said_of_the_bad_one(inspect(sound, wide, data_format="parquet"))
    assert message == "p/1 has 10001 columns, more than 10000, the most that are read"


def test_a_parquet_footer_is_not_loaded_whatever_it_says(inspect: Inspect, tmp_path: Path) -> None:
    sound = parquet(tmp_path, "SELECT 1 AS x, 0 AS y")
    large = b"PAR1" + bytes(17 << 20) + struct.pack("<I", 17 << 20) + b"PAR1"
    message = said_of_the_bad_one(inspect(sound, large, data_format="parquet"))
    assert message.startswith("p/1 has a footer of 17825792 bytes, more than 16777216")
    for footer in (b"", b"\xff" * 100, b"\x15\x02\x19\xfc\xff\xff\xff\xff\x0f", b"\x29" * 60):
        body = b"PAR1" + footer + struct.pack("<I", len(footer)) + b"PAR1"
        assert "p/1" in said_of_the_bad_one(inspect(sound, body, data_format="parquet"))


def test_lines_of_far_too_many_values_do_not_hold_up_the_others(inspect: Inspect) -> None:
    began = time.monotonic()
    for values, lines in ((1000, 1000), (1_000_000, 2)):
        body = b"x,y\n" + (b"1,0" + b",1" * values + b"\n") * lines
        message = said_of_the_bad_one(inspect(SOUND["csv"], body))
        assert "more values than the header" in message
    assert time.monotonic() - began < 30


def judge(folder: Path, *bodies: bytes, **limits: Any) -> Report:
    files = [DataFile(f"p/{index}", folder / str(index)) for index in range(len(bodies))]
    for file, body in zip(files, bodies, strict=True):
        file.path.write_bytes(body)
    data = Data.model_validate({"format": "csv", "label": "y", "schema": SCHEMA}, strict=False)
    given = {"memory_mb": 256, "max_s": None, **limits}
    work = run.Work(files, Terms(data, Baseline(), NOW), run.Limits(folder=folder, **given))
    return run.validate(work, title="a title").report


def test_the_object_that_takes_too_much_memory_is_to_blame(tmp_path: Path) -> None:
    report = judge(tmp_path, SOUND["csv"], b"x,y\n" + b"1,0\n" * 3_000_000, memory_mb=1)
    (violation,) = report.violations
    assert (violation.check, violation.objects, report.is_valid) == ("limits", ("p/1",), False)
    assert violation.message.startswith("p/1: checking the data needs more than the memory")
    assert report.offenders(["p/0", "p/1"]).keys() == {"p/1"}


@pytest.mark.parametrize(("seconds", "blamed"), [(600, ("p/0",)), (400, ())])
def test_the_object_that_takes_most_of_the_time_is_to_blame_or_all_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, blamed: tuple[str, ...]
) -> None:
    now = [0.0]

    def endless(store: Store, tables: Any) -> str:
        now[0] += seconds
        raise EngineLimitError("the data could not be checked within 1000 s")

    # Time passes in the store alone, however slow the machine is.
    monkeypatch.setattr("sluice.quality.engine.reader.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(Store, "add", endless)
    monkeypatch.setattr("sluice.quality.engine.database.Database.is_time_over", True)
    (violation,) = judge(tmp_path, SOUND["csv"], max_s=1000.0).violations
    assert violation.objects == blamed


def test_lines_of_a_megabyte_whose_memory_the_engine_may_have_end_at_the_process_limit(
    tmp_path: Path,
) -> None:
    line = b"1,0," + b"abcdefghij" * 100_000 + b"\n"
    # The engine itself takes 42 MB. A new interpreter: memory that others left free here would be no growth.
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        bodies = (SOUND["csv"], b"x,y,z\n" + line * 200)
        report = pool.submit(judge, tmp_path, *bodies, memory_mb=1000, process_mb=60).result()
    (violation,) = report.violations
    assert (violation.check, violation.objects, report.is_valid) == ("limits", ("p/1",), False)
    assert violation.message.startswith("p/1: checking the data needs more than the memory")


@pytest.mark.parametrize(
    ("end", "max_s", "message"),
    [
        (lambda: time.sleep(60), 4, "p/1: the data could not be checked within 4 s"),
        (
            lambda: os.kill(os.getpid(), signal.SIGKILL),
            60,
            "p/1: checking the data needs more than the memory",
        ),
        (
            lambda: os.kill(os.getpid(), signal.SIGABRT),
            60,
            "p/1: the process that checked the data crashed (SIG",
        ),
    ],
    ids=["out of time", "killed", "crashed"],
)
def test_the_object_that_is_being_read_when_the_process_is_ended_is_to_blame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: Any, max_s: float, message: str
) -> None:
    add = Store.add

    def unending(store: Store, tables: Any) -> str:
        if 1 in tables:
            end()
        return add(store, tables)

    monkeypatch.setattr(Store, "add", unending)
    # Another shape, so that it is stored by itself.
    (violation,) = judge(tmp_path, SOUND["csv"], b"y,x\n0,1\n", max_s=max_s).violations
    assert violation.objects == ("p/1",)
    assert violation.message.startswith(message)
