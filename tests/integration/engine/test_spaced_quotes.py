"""Where spaces before a quote begin a value is found as by a search for what may be before them."""

from __future__ import annotations

import mmap
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.quality.engine import csv_text
from trying import examples

PARTS = st.sampled_from([b" ", b'"', b",", b"\n", b"\r\n", b"x", csv_text.BOM, b" " * 300])
TEXTS = st.lists(PARTS, min_size=1, max_size=12).map(b"".join)


def found(text: bytes, folder: Path, delimiter: bytes = b",") -> list[int]:
    path = folder / "text.csv"
    path.write_bytes(text)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        return [*csv_text._spaced_beginnings(mapped, b'"', delimiter)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("texts")


@settings(max_examples=examples(300))
@given(TEXTS)
def test_a_value_begins_after_a_delimiter_a_line_end_or_nothing(folder: Path, text: bytes) -> None:
    before = re.compile(rb"(?:\A(?:%b)?|[\r\n]|,)( +)\"" % csv_text.BOM)
    assert found(text, folder) == [match.start(1) for match in before.finditer(text)]
