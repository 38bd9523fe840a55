"""Pieces are read as the file that they are together."""

from __future__ import annotations

from io import BytesIO
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from sluice.adapters.pieces import PiecesFile

STEPS = st.lists(
    st.tuples(st.just("read"), st.integers(-1, 9)) | st.tuples(st.just("seek"), st.integers(0, 30))
)


@given(st.lists(st.binary(max_size=5), max_size=8), STEPS)
def test_whatever_is_read_of_pieces_is_what_is_read_of_a_file(
    pieces: list[bytes], steps: list[tuple[Literal["read", "seek"], int]]
) -> None:
    file, plain = PiecesFile(pieces), BytesIO(b"".join(pieces))
    for act, number in steps:
        assert getattr(file, act)(number) == getattr(plain, act)(number)
        assert file.tell() == plain.tell()
    assert file.seek(0, 2) == plain.seek(0, 2) == len(b"".join(pieces))
    assert file.seek(-0, 1) == plain.seek(0, 1)
    assert file.read() == b""
    file.seek(0)
    assert file.read() == b"".join(pieces)
