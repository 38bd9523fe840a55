"""Whatever bytes arrive, a validation ends soon and says what is wrong with them."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import duckdb
import pytest
import zstandard

from engine_world import SCHEMA, Inspect
from sluice.domain.config.models import Data
from sluice.quality.engine import DataFile, Engine, EngineLimitError, inflate

ROWS = b"x,y\n" + b"1,0\n" * 5000
# ruff: noqa: S608 - queries of tests

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def zstd(tmp_path: Path) -> bytes:
    """ROWS, compressed."""
    target = tmp_path / "rows.zst"
    rows = "SELECT 1 AS x, range % 2 AS y FROM range(5000) ORDER BY hash(range)"
    duckdb.connect().execute(f"COPY ({rows}) TO '{target}' (FORMAT csv, COMPRESSION zstd)")
    return target.read_bytes()


def said(inspect: Inspect, *bodies: bytes, **given: Any) -> str:
    report = inspect(*bodies, **given)
    assert not report.is_valid
    return report.reasons[0]


def test_a_compressed_file_is_known_by_its_content(inspect: Inspect, zstd: bytes) -> None:
    bodies = (ROWS, gzip.compress(ROWS), zstd, gzip.compress(ROWS) + gzip.compress(b"1,0\n"))
    report = inspect(*bodies, limits={"memory_mb": 1228})
    assert (report.rows, report.reasons) == (20_001, ())
    lines = gzip.compress(b'{"x": 1, "y": 0}\n' * 3)
    assert inspect(lines, data_format="jsonl").rows == 3


@pytest.mark.parametrize("cut", [1, 8, 30])
def test_a_truncated_gzip_file_is_damaged_and_not_short(inspect: Inspect, cut: int) -> None:
    assert said(inspect, gzip.compress(ROWS)[:-cut]) == (
        "p/0 is damaged: its gzip data end too early or are not sound"
    )


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_truncated_zstd_file_is_damaged_and_not_short(inspect: Inspect, zstd: bytes, cut: int) -> None:
    assert said(inspect, zstd[:-cut]).startswith("p/0 is damaged: its zstd data")


def test_compressed_data_followed_by_others_are_damaged(inspect: Inspect, zstd: bytes) -> None:
    assert said(inspect, gzip.compress(ROWS) + b"junk").startswith("p/0 is damaged")
    assert said(inspect, zstd + b"junk").startswith("p/0 is damaged")


def test_a_compressed_bomb_is_given_up_when_the_storage_is_full(inspect: Inspect, zstd: bytes) -> None:
    bomb = gzip.compress(b"0" * 100_000_000)
    assert len(bomb) < 100_000
    for body in (bomb, gzip.compress(ROWS), zstd):
        reason = said(inspect, body, limits={"inflated_max_bytes": 10_000})
        assert reason.startswith(
            "p/0 inflates to more than is left of 10000 bytes of storage: split the data"
        )


def test_the_storage_of_a_file_is_free_for_the_next_when_it_is_read(inspect: Inspect) -> None:
    report = inspect(*[gzip.compress(ROWS)] * 3, limits={"inflated_max_bytes": 25_000})
    assert (report.rows, report.reasons) == (15_000, ())


def test_the_storage_is_shared_by_files_that_are_read_where_they_are(
    inspect: Inspect, tmp_path: Path
) -> None:
    target = tmp_path / "file.parquet"
    duckdb.connect().execute(f"COPY (SELECT 1 AS x, 0 AS y) TO '{target}' (FORMAT parquet)")
    limit = int(target.stat().st_size * 2.5)
    bodies = [gzip.compress(target.read_bytes())] * 3
    report = inspect(*bodies, data_format="parquet", limits={"inflated_max_bytes": limit})
    assert report.rows == 2
    assert [reason[:12] for reason in report.reasons] == ["p/2 inflates"]


def test_a_bound_of_a_zstd_file_is_no_less_than_what_it_becomes(tmp_path: Path) -> None:
    for count in (1, 1000, 300_000):
        target = tmp_path / f"{count}.zst"
        rows = f"SELECT hash(range) AS h FROM range({count})"
        plain = f"COPY ({rows}) TO '{tmp_path}/plain' (FORMAT csv)"
        duckdb.connect().execute(plain)
        duckdb.connect().execute(
            plain.replace(f"{tmp_path}/plain", str(target)).replace("csv)", "csv, COMPRESSION zstd)")
        )
        size = (tmp_path / "plain").stat().st_size
        assert size <= inflate.zstd_bound(target) <= size + 2 * 128 * 1024 + size // 4


@pytest.mark.parametrize(
    ("body", "data_format", "words"),
    [
        (
            b"x,y\n1,0\n" + b"z" * 50_000_000 + b",1\n",
            "csv",
            "p/0 has a line of more than 16777216 bytes, from byte",
        ),
        (b"z" * 50_000_000, "csv", "p/0 has a line of more than 16777216 bytes, from byte 0"),
        (b'x,y\n1,0\n"' + b"z\n" * 25_000_000, "csv", "p/0 has 1 line with a quote out of place"),
        (
            b'{"x": 1, "y": 0}\n{"x": "' + b"z" * 50_000_000 + b'"}\n',
            "jsonl",
            "p/0 has a line of more than 16777216 bytes, from byte",
        ),
    ],
    ids=["line", "first line", "quoted", "json"],
)
def test_a_line_of_50_mb_is_too_long(inspect: Inspect, body: bytes, data_format: str, words: str) -> None:
    assert said(inspect, body, data_format=data_format).startswith(words)


def test_a_long_line_is_told_in_compressed_files_too(inspect: Inspect, tmp_path: Path) -> None:
    target = tmp_path / "long.zst"
    rows = "SELECT 1 AS x, 0 AS y UNION ALL SELECT repeat('z', 17000000), 1"
    duckdb.connect().execute(
        f"COPY (SELECT x::VARCHAR AS x, y FROM ({rows})) TO '{target}' (FORMAT csv, COMPRESSION zstd)"
    )
    words = "p/0 has a line of more than 16777216 bytes"
    roomy = {"memory_mb": 1228}
    assert said(inspect, target.read_bytes(), limits=roomy).startswith(words)
    assert said(inspect, gzip.compress(b"x,y\n1,0\n" + b"z" * 50_000_000)).startswith(words)


def test_10_000_columns_are_read(inspect: Inspect) -> None:
    header = ",".join(["x", "y", *(f"c{index}" for index in range(9_998))])
    body = (header + "\n" + ("1," * 9_999 + "1\n") * 20).encode()
    report = inspect(body, extra="warn")
    assert (report.rows, report.reasons) == (20, ())
    assert report.warnings[0].startswith("9998 columns not in the schema: c0, c1, ")


@pytest.mark.parametrize("data_format", ["csv", "jsonl"])
def test_hundreds_of_columns_are_all_checked(inspect: Inspect, data_format: str) -> None:
    names = [f"c{index}" for index in range(400)]
    schema = {"y": {"type": "integer"}, **{name: {"type": "number", "max": 1} for name in names}}
    if data_format == "csv":
        body = (",".join(["y", *names]) + "\n" + ",".join(["0"] * 400 + ["2"]) + "\n").encode()
    else:
        body = (
            '{"y": 0, ' + ", ".join(f'"{name}": {int(name == "c399") * 2}' for name in names) + "}\n"
        ).encode()
    (reason,) = inspect(body, schema=schema, data_format=data_format).reasons
    assert reason == "c399: 1 row above 1 (such as p/0 row 1)"


@pytest.mark.parametrize(
    "name", ["'); DROP TABLE data; --", '"; SELECT 1; --', "<script>alert(1)</script>", "{0}", "%s"]
)
@pytest.mark.parametrize("data_format", ["csv", "jsonl"])
def test_a_hostile_column_name_is_a_name(inspect: Inspect, name: str, data_format: str) -> None:
    schema = {"y": {"type": "integer"}, name: {"type": "number", "max": 1, "unique": True}}
    quoted = '"' + name.replace('"', '""') + '"'
    body = (
        f"y,{quoted}\n1,2\n1,2\n"
        if data_format == "csv"
        else '{"y": 1, NAME: 2}\n{"y": 1, NAME: 2}\n'.replace("NAME", '"' + name.replace('"', '\\"') + '"')
    )
    quality = [{"check": "mean", "column": name, "max": 1}]
    report = inspect(
        body.encode(), schema=schema, data_format=data_format, quality=quality, keys=[[name, "y"]]
    )
    assert [(v.column, v.check) for v in report.violations] == [
        (name, "max"),
        (name, "unique"),
        (f"{name}, y", "key"),
        (name, "mean"),
    ]


def test_mixed_encodings_are_told_by_line(inspect: Inspect) -> None:
    body = "x,y\n1,é\n".encode() + "1,é\n".encode("latin-1")
    schema = {"x": {"type": "number"}, "y": {"type": "string"}}
    assert (
        said(inspect, body, schema=schema)
        == "p/0 has 1 line with bytes that are no UTF-8, the first in line 3"
    )


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(("data_format", "text"), [("csv", "x,y\n1,0\n"), ("jsonl", '{"x": 1, "y": 0}\n')])
def test_utf_16_is_named_with_or_without_a_mark(
    inspect: Inspect, encoding: str, data_format: str, text: str
) -> None:
    reason = said(inspect, text.encode(encoding), data_format=data_format)
    assert reason == "p/0 is UTF-16 text: save it as UTF-8"


@pytest.mark.parametrize(("data_format", "name"), [("csv", "CSV"), ("jsonl", "JSON lines")])
def test_a_parquet_file_under_another_format_is_named(inspect: Inspect, data_format: str, name: str) -> None:
    words = f"p/0 is a Parquet file, not {name}, as data.format says"
    assert said(inspect, b"PAR1" + b"\0" * 100 + b"PAR1", data_format=data_format) == words


@pytest.mark.parametrize("body", [b'[{"x": 1, "y": 0}]\n', b'{\n  "x": 1,\n  "y": 0\n}\n'])
def test_json_that_is_no_json_lines_is_told_what_these_are(inspect: Inspect, body: bytes) -> None:
    reason = said(inspect, body, data_format="jsonl")
    assert reason.endswith(", the first is line 1: write one object a line")


# Each but the last is what files become that are put one after another.
LINE_ENDS = [("\r\n", "\n"), ("\n", "\r\n"), ("\n", "\r"), ("\r", "\n"), ("\r\n", "\r")]


@pytest.mark.parametrize("ends", LINE_ENDS)
@pytest.mark.parametrize("is_compressed", [False, True])
def test_lines_may_end_in_different_ways(
    inspect: Inspect, ends: tuple[str, str], is_compressed: bool
) -> None:
    def written(header: str, lines: list[str]) -> bytes:
        first, later = ends
        text = header and header + first
        text += "".join(line + first for line in lines[:3000]) + "".join(
            line + later for line in lines[3000:]
        )
        return gzip.compress(text.encode()) if is_compressed else text.encode()

    csv = written("x,y", ["1,0"] * 5000 + ["200,1"])
    jsonl = written("", ['{"x": 1, "y": 0}'] * 5000 + ['{"x": 200, "y": 1}'])
    for body, data_format in ((csv, "csv"), (jsonl, "jsonl")):
        report = inspect(body, body, data_format=data_format)
        assert report.rows == 10_002
        assert report.reasons == ("x: 2 rows above 100 (such as p/0 row 5001)",)


def test_a_line_that_is_broken_is_named_whatever_the_line_ends(inspect: Inspect) -> None:
    assert said(inspect, b'x,y\r\n1,0\n2,"1"3\r\n') == (
        "p/0 has 1 line with a quote out of place, the first in line 3"
    )
    lines = b'{"x": 1, "y": 0}\r\n{"x": 1, "y": 0}\n{\n'
    assert said(inspect, lines, data_format="jsonl").startswith("p/0 has 1 line that is no JSON object")


def test_different_line_ends_are_given_up_when_the_storage_is_full(inspect: Inspect) -> None:
    reason = said(inspect, b"x,y\r\n" + b"1,0\n" * 5000, limits={"inflated_max_bytes": 10_000})
    assert reason == "p/0 has lines that end in different ways, and there is no storage to make them alike"


def test_different_line_ends_in_zstd_are_named(inspect: Inspect, tmp_path: Path) -> None:
    target = tmp_path / "mixed.zst"
    lines = "SELECT line FROM (VALUES ('x,y' || chr(13)), ('1,0')) AS lines(line)"
    duckdb.connect().execute(
        f"COPY ({lines}) TO '{target}' (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', COMPRESSION zstd)"
    )
    reason = said(inspect, target.read_bytes(), limits={"memory_mb": 1228})
    assert reason.endswith("or lines that end in different ways")


def test_compressed_files_of_one_name_are_not_taken_for_each_other(tmp_path: Path) -> None:
    files = []
    for folder, value in (("a", 1), ("b", 200)):
        target = tmp_path / folder / "data.parquet"
        target.parent.mkdir()
        duckdb.connect().execute(f"COPY (SELECT {value} AS x, 0 AS y) TO '{target}' (FORMAT parquet)")
        target.write_bytes(gzip.compress(target.read_bytes()))
        files.append(DataFile(folder, target))
    contract = {"format": "parquet", "label": "y", "schema": SCHEMA}
    with Engine(256, tmp_path / "spill") as engine:
        engine.inspect(files, Data.model_validate(contract, strict=False))
        assert engine.query("SELECT x FROM data ORDER BY x") == [(1,), (200,)]


def test_a_byte_order_mark_is_no_part_of_a_name(inspect: Inspect) -> None:
    assert inspect(b"\xef\xbb\xbfx,y\n1,0\n", extra="fail").is_valid
    assert inspect(b'\xef\xbb\xbf{"x": 1, "y": 0}\n', extra="fail", data_format="jsonl").is_valid


@pytest.mark.parametrize(("separator", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")])
def test_another_delimiter_than_the_last_time_is_named(inspect: Inspect, separator: str, name: str) -> None:
    body = f"x{separator}y\n1{separator}0\n".encode()
    report = inspect(b"x,y\n1,0\n", body)
    assert report.reasons == (f"p/1 is separated by {name}, not by commas, as data.csv.delimiter says",)
    assert inspect(body, csv={"delimiter": separator}).is_valid
    assert said(inspect, body.partition(b"\n")[2], csv={"header": False}).startswith(
        f"p/0 is separated by {name}"
    )


def test_a_space_may_separate_values_and_then_is_none_of_them(inspect: Inspect) -> None:
    text = {"x": {"type": "string", "allowed": ["a b"]}, "y": {"type": "integer"}}
    assert inspect(b'x y\n"a b" 0\n', csv={"delimiter": " "}, schema=text).is_valid


def test_a_name_that_another_delimiter_could_not_split_is_not_said_to_be_separated_by_it(
    inspect: Inspect,
) -> None:
    report = inspect(b'x;"y"z\n1\n')
    assert not report.is_valid
    assert not any("is separated by" in reason for reason in report.reasons)


def test_a_parquet_file_within_zstd_says_how_to_write_it(inspect: Inspect, tmp_path: Path) -> None:
    target = tmp_path / "rows.parquet"
    duckdb.connect().execute(f"COPY (SELECT 1.0 AS x, 0 AS y) TO '{target}' (FORMAT parquet)")
    assert inspect(target.read_bytes(), data_format="parquet").is_valid
    packed = zstandard.ZstdCompressor().compress(target.read_bytes())
    assert said(inspect, packed, data_format="parquet") == (
        "p/0 is a Parquet file inside zstd: use zstd as the codec within Parquet"
    )


def test_without_a_header_columns_go_in_the_order_of_the_schema(inspect: Inspect) -> None:
    report = inspect(b"1,0\n200,1\n", csv={"header": False})
    assert report.reasons == ("x: 1 row above 100 (such as p/0 row 2)",)
    assert "more values than" in said(inspect, b"1,0,5\n", csv={"header": False})


def test_quotes_may_be_another_character(inspect: Inspect) -> None:
    schema = {"x": {"type": "string", "allowed": ["a,b"]}, "y": {"type": "integer"}}
    assert inspect(b"x,y\n'a,b',0\n", csv={"quote": "'"}, schema=schema).is_valid


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity", "1e999", "1_000", "0x10"])
def test_what_hardly_is_a_number_is_none(inspect: Inspect, text: str) -> None:
    assert said(inspect, f"x,y\n{text},0\n".encode()).startswith("x: 1 row not of type number")


def test_nan_in_parquet_is_no_number(inspect: Inspect, tmp_path: Path) -> None:
    target = tmp_path / "source"
    rows = "VALUES ('nan'::DOUBLE, 0), ('inf'::DOUBLE, 1), (NULL, 1), (7, 1)"
    duckdb.connect().execute(
        f"COPY (SELECT col0 AS x, col1 AS y FROM ({rows})) TO '{target}' (FORMAT parquet)"
    )
    report = inspect(target.read_bytes(), data_format="parquet")
    assert report.reasons == ("x: 2 rows not of type number (such as p/0 row 1)",)


def test_a_column_without_any_value_breaks_nothing_but_completeness(inspect: Inspect) -> None:
    quality = [{"check": "completeness", "column": "x", "min": 0.5}]
    assert inspect(b"x,y\n,0\n,1\n").is_valid
    assert said(inspect, b"x,y\n,0\n,1\n", quality=quality).startswith("x: 0 of the rows have a value")


def test_an_inflated_file_of_nothing_is_empty(inspect: Inspect) -> None:
    assert said(inspect, gzip.compress(b"")) == "p/0 is empty"
    assert said(inspect, gzip.compress(b"x,y\n")) == "0 rows, fewer than 1"


def test_a_validation_ends_when_its_time_is_over(inspect: Inspect) -> None:
    query = "SELECT count(*) FROM range(100000000000) a, range(1000000) b WHERE a.range * b.range = 7"
    quality = [{"check": "sql", "name": "endless", "query": query}]
    with pytest.raises(
        EngineLimitError, match="could not be checked within 1 s: give the function more memory"
    ):
        inspect(b"x,y\n1,0\n", quality=quality, limits={"max_s": 1.0})
