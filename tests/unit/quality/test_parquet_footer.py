"""The names of a Parquet file's columns are read from its footer, whatever else that holds, or it is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.quality.engine import UnreadableError, parquet_footer

# A field's head has its type below, and its number's step above; without a step its number follows.
ELSEWHERE = b"\xc8\x01"


def field(kind: int, value: bytes) -> bytes:
    """A field that the columns are not told by, in the compact protocol of Thrift."""
    return bytes([kind]) + ELSEWHERE + value


def element(name: str, *others: bytes, children: int = 0) -> bytes:
    named = b"\x48" + bytes([len(name)]) + name.encode()
    return named + (b"\x15" + bytes([2 * children]) if children else b"") + b"".join(others) + b"\0"


def schema(*elements: bytes) -> bytes:
    return b"\x09\x04" + bytes([len(elements) << 4 | 12]) + b"".join(elements)


def columns(folder: Path, footer: bytes) -> tuple[str, ...]:
    path = folder / "file.parquet"
    path.write_bytes(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    return parquet_footer.columns(path)


SCHEMA = schema(element("root", children=2), element("a"), element("b", children=1), element("inner"))


@pytest.mark.parametrize(
    "other",
    [
        b"",
        field(1, b""),
        field(3, b"x"),
        field(5, b"\x80\x80\x01"),
        field(7, b"12345678"),
        field(8, b"\x02ab"),
        field(9, b"\x25\x02\x04"),
        field(9, b"\x21\x01\x00"),
        field(9, b"\xf5\x10" + b"\x02" * 16),
        field(12, b"\x15\x02\x00"),
        field(9, b"\x2c" + b"\x15\x02\x00" * 2),
    ],
    ids=["nothing", "boolean", "byte", "integer", "double", "text", "integers", "booleans", "many", "struct",
         "structs"],
)  # fmt: skip
def test_columns_are_named_whatever_stands_before_and_within_them(tmp_path: Path, other: bytes) -> None:
    assert columns(tmp_path, other + SCHEMA + b"\0") == ("a", "b")
    within = schema(element("root", children=1), element("a", other))
    assert columns(tmp_path, within + b"\0") == ("a",)


@pytest.mark.parametrize(
    "footer",
    [
        b"\0",
        field(5, b"\x02") + b"\0",
        field(12, b"\x1c" * 30),
        field(8, b"\x7fab") + SCHEMA,
        field(5, b"\xff" * 12) + SCHEMA,
        field(9, b"\xf1" + b"\xff" * 8 + b"\x7f") + SCHEMA,
        field(9, b"\xf7" + b"\xff" * 8 + b"\x7f") + SCHEMA,
        field(13, b"") + SCHEMA,
        SCHEMA[:-3],
        b"\x09\x04\x15\x02",
    ],
    ids=["empty", "no columns", "too deep", "text beyond the end", "endless number", "booleans without end",
         "doubles without end", "unknown type", "cut off", "columns that are none"],
)  # fmt: skip
def test_what_is_no_footer_is_refused(tmp_path: Path, footer: bytes) -> None:
    with pytest.raises(UnreadableError) as caught:
        columns(tmp_path, footer)
    assert str(caught.value) == parquet_footer.NO_FILE
