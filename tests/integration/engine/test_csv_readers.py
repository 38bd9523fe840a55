"""What the engine calls valid CSV is what a user's reader reads."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engine_world import Inspect
from sluice.domain.config.models import Data
from sluice.quality.engine import DATA, DataFile, Engine

TEXT = {"x": {"type": "string"}, "y": {"type": "string"}}


@pytest.mark.parametrize("end", [",", ",,", ',""', ',"",', ',""""', ", ", ",b", "," * 3000])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("rows", ["all", "one"])
def test_a_row_of_more_values_than_the_header_is_named_whatever_they_are(
    inspect: Inspect, end: str, header: bool, rows: str
) -> None:
    others = end if rows == "all" else ""
    body = f"1,a{others}\n2,b{end}\n3,{others}\n"
    report = inspect(
        f"x,y\n{body}".encode() if header else body.encode(), schema=TEXT, csv={"header": header}
    )
    assert not report.is_valid
    assert "more values than the header" in report.reasons[0]


def test_a_row_may_end_in_a_value_that_is_nothing(inspect: Inspect) -> None:
    report = inspect(b'x,y\n1,""\n2,\n,\n', schema=TEXT, label="x")
    assert report.rows == 3
    assert report.reasons == ("x: 1 row without a value (such as p/0 row 3)",)


def test_a_header_that_ends_in_a_delimiter_has_a_column_without_a_name(inspect: Inspect) -> None:
    assert inspect(b"x,y,\n1,a,\n", schema=TEXT).is_valid
    assert "fewer values than the header" in inspect(b"x,y,\n1,a\n", schema=TEXT).reasons[0]


@pytest.mark.parametrize("body", [b'x,y\n1, "a"\n', b'x,y\n "1",a\n', b'x,y\n"1"  ,a\n', b'x,y\n1,"a" '])
def test_a_space_around_a_quoted_value_is_named_as_readers_differ(inspect: Inspect, body: bytes) -> None:
    (reason,) = inspect(body, b"x,y\n1,a\n", schema=TEXT).reasons
    assert reason.startswith("p/0 has a space between a quote and a delimiter or line end, in line 2")


@pytest.mark.parametrize("cell", ['"a, ""b"" , c"', '" ""a"" "', 'a "b"', '"a\n ""b"""', "' \"'", '" "'])
def test_a_space_beside_a_quote_within_a_value_is_text(inspect: Inspect, cell: str) -> None:
    report = inspect(f"x,y\n1,{cell}\n{cell},2\n".encode(), schema=TEXT)
    assert (report.rows, report.reasons) == (2, ())


@pytest.mark.parametrize("body", [b"x,y\r\n1,2\r 3,4\r\n", b"x,y\r\n1,2\r\n\r 3,4", b"x,y\n1,2\r\n\r 3,4"])
def test_a_space_after_a_line_that_ends_in_another_way_is_text(inspect: Inspect, body: bytes) -> None:
    schema = {"x": {"type": "string", "allowed": ["1", " 3"]}, "y": {"type": "string"}}
    report = inspect(body, schema=schema)
    assert (report.rows, report.reasons) == (2, ())


def test_a_return_within_a_quoted_value_is_text(inspect: Inspect) -> None:
    schema = {"x": {"type": "string", "allowed": ["\r 1"]}, "y": {"type": "string"}}
    assert inspect(b'x,y\n"\r 1",2\n', schema=schema).is_valid


CELL = st.text(alphabet="ab1, \"\n\r\t;\\'|#é", max_size=4)
QUOTED = CELL.map(lambda text: '"' + text.replace('"', '""') + '"')
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@st.composite
def files(draw: st.DrawFn) -> bytes:
    end = draw(ENDS)
    rows = draw(st.lists(st.lists(st.one_of(CELL, QUOTED), min_size=1, max_size=4), max_size=4))
    lines = ["x,y", *(",".join(cells) for cells in rows)]
    return (end.join(lines) + draw(st.sampled_from(["", end]))).encode()


class Read(NamedTuple):
    """What the engine reads of files: which it calls unreadable, by their numbers, and all rows."""

    problems: set[int]
    rows: list[tuple[str | None, ...]]


def read(folder: Path, bodies: Sequence[bytes]) -> Read:
    files = [DataFile(str(number), folder / f"{number}.csv") for number in range(len(bodies))]
    for file, body in zip(files, bodies, strict=True):
        file.path.write_bytes(body)
    data = Data.model_validate({"format": "csv", "label": "y", "schema": TEXT}, strict=False)
    with Engine(256, folder / "spill") as engine:
        found = engine.inspect(files, data)
        problems = {int(key) for problem in found.problems for key in problem.objects}
        has_both = found.columns == ("x", "y")
        return Read(problems, engine.query(f"SELECT x, y FROM {DATA}") if has_both else [])  # noqa: S608


# Several at a time, as to open an engine takes longer than to read a file.
@given(bodies=st.lists(files(), min_size=5, max_size=5))
@example(bodies=[b"x,y\n1,a,\n"])
@example(bodies=[b"x,y"] * 4 + [b'x,y\n"'])
@example(bodies=[b"x,y\r\n\r ,"])
@example(bodies=[b"x,y\r\n1,2\r 5,6\r\n7,8\r\n"])
@example(bodies=[b'x,y\r\n"1",2\r 5,6'])
@example(bodies=[b'x,y\n1,"\r "\r\n 2,"\r\r\n "\n'])
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_valid_file_reads_as_python_reads_it(tmp_path: Path, bodies: list[bytes]) -> None:
    problems = read(tmp_path, bodies).problems
    good = [body for number, body in enumerate(bodies) if number not in problems]
    found = read(tmp_path, good)
    assert not found.problems
    rows = [row for body in good for row in csv.DictReader(io.StringIO(body.decode(), newline=""))]
    # Where lines end in different ways, those within a value are made alike too.
    assert alike(found.rows) == alike((row["x"] or None, row["y"] or None) for row in rows)


def alike(rows: Iterable[tuple[str | None, ...]]) -> list[list[str]]:
    return [[(cell or "").replace("\r\n", "\n").replace("\r", "\n") for cell in row] for row in rows]


@pytest.mark.parametrize("cut", [b'"', b'"a', b'3,"a\n', b'"3",4\n"5,6\n7,8\n'])
@pytest.mark.parametrize("place", [0, 4, 9])
def test_a_file_that_ends_within_quotes_is_malformed_also_among_many(
    tmp_path: Path, cut: bytes, place: int
) -> None:
    bodies = [b"x,y\n1,2\n"] * 10
    bodies[place] = b"x,y\n1,2\n" + cut
    assert read(tmp_path, bodies).problems == {place}
