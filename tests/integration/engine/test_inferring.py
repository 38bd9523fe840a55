"""A schema that is inferred says what a file's own types and values say, and is one that the file keeps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sluice.quality import inference
from sluice.quality.engine import DataFile, Engine, UnreadableError, inferring

Infer = Callable[[bytes], dict[str, dict[str, Any]]]


@pytest.fixture
def infer(tmp_path: Path) -> Infer:
    """The schema of a file of such bytes."""

    def infer(body: bytes) -> dict[str, dict[str, Any]]:
        path = tmp_path / "file"
        path.write_bytes(body)
        with Engine(256, tmp_path / "spill") as engine:
            return inference.schema(inferring.infer(engine, DataFile("file", path)).columns)

    return infer


def parquet(tmp_path: Path, value: str) -> bytes:
    """A file of one column, x, with such a value and a missing one."""
    target = tmp_path / "source"
    duckdb.connect().execute(
        f"COPY (SELECT {value} AS x UNION ALL SELECT NULL) TO '{target}' (FORMAT parquet)"
    )
    return target.read_bytes()


@pytest.mark.parametrize("written", ["001", "-007", "+01", " 08", "00.5", "0123456789"])
def test_what_has_leading_zeros_is_a_name_and_no_number(infer: Infer, written: str) -> None:
    assert infer(f"id,y\n{written},1\n2,0\n".encode())["id"] == {"type": "string", "required": True}


@pytest.mark.parametrize(("written", "type_"), [("0", "integer"), ("-0.5", "number"), ("100", "integer")])
def test_a_zero_alone_is_a_number(infer: Infer, written: str, type_: str) -> None:
    assert infer(f"x,y\n{written},1\n2,0\n".encode())["x"]["type"] == type_


@pytest.mark.parametrize(
    ("values", "type_"),
    [("true false", "boolean"), ("True False", "boolean"), ("yes no", "string"), ("t f", "string")],
)
def test_only_true_and_false_are_booleans_to_every_reader_of_a_csv(
    infer: Infer, values: str, type_: str
) -> None:
    rows = "".join(f"{value},1\n" for value in values.split())
    assert infer(f"x,y\n{rows}".encode())["x"]["type"] == type_


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        ("'7'", "string"),
        ("'2026-01-01'", "string"),
        ("7", "integer"),
        ("7::UTINYINT", "integer"),
        ("7::DECIMAL(10, 2)", "number"),
        ("7::DOUBLE", "number"),
        ("'nan'::DOUBLE", "string"),
        ("true", "boolean"),
        ("DATE '2026-01-01'", "timestamp"),
        ("TIMESTAMPTZ '2026-01-01 00:00:00+00'", "timestamp"),
        ("TIME '12:00:00'", "string"),
        ("[1, 2]", "string"),
        ("{'a': 1}", "string"),
        ("uuid()", "string"),
    ],
)
def test_a_column_of_parquet_is_what_the_file_says(
    infer: Infer, tmp_path: Path, value: str, type_: str
) -> None:
    assert infer(parquet(tmp_path, value))["x"]["type"] == type_


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        (['"1"', '"2"'], "string"),
        (['"1"', "2"], "string"),
        (['"true"', '"false"'], "string"),
        (['"2026-01-01"', '"2026-01-02T10:00:00"'], "timestamp"),
        (["1", "2.0"], "integer"),
        (["1", "2.5"], "number"),
        (["1", "null"], "integer"),
        (["true", "false"], "boolean"),
        (["true", "1"], "string"),
        (["[1]", "[2]"], "string"),
        (['{"a": 1}', "1"], "string"),
    ],
)
def test_a_column_of_json_lines_is_what_its_values_are_written_as(
    infer: Infer, values: list[str], type_: str
) -> None:
    lines = "".join(f'{{"a/b": {value}, "y": 1}}\n' for value in values)
    assert infer(lines.encode())["a/b"]["type"] == type_


def test_values_beyond_what_a_float_holds_are_listed_as_they_are(infer: Infer) -> None:
    body = "id\n" + "9007199254740993\n" * 5 + "1.0\n1\n" * 5
    assert infer(body.encode())["id"]["allowed"] == [1, 9007199254740993]


def test_objects_without_any_key_have_no_column(infer: Infer) -> None:
    with pytest.raises(UnreadableError, match=r"^has no column$"):
        infer(b"{}\n{}\n")


@pytest.mark.parametrize("body", [b"x,y\r\n1,1\n2,0\r\n", b'{"x": 1}\n{"x": 2}\r\n'])
def test_lines_may_end_in_different_ways(infer: Infer, body: bytes) -> None:
    assert infer(body)["x"] == {"type": "integer", "required": True}


def test_a_line_that_does_not_fit_is_named(infer: Infer) -> None:
    with pytest.raises(UnreadableError, match="line"):
        infer(b"x,y\n" + b"1,0\n" * 9 + b"1,0,5\n")


def test_hundreds_of_columns_of_text_are_inferred(infer: Infer) -> None:
    names = [f"c{number}" for number in range(inferring._WIDE + 1)]
    rows = [",".join(f"{number % 7}{end}" for number in range(len(names))) for end in (".5", "", "")]
    found = infer("\n".join([",".join(names), *rows, ""]).encode())
    assert {name: column["type"] for name, column in found.items()} == dict.fromkeys(names, "number")


def test_a_json_array_is_no_csv_of_one_column(infer: Infer) -> None:
    with pytest.raises(UnreadableError, match="write one object a line"):
        infer(b'[{"x": 1}, {"x": 2}]\n')
