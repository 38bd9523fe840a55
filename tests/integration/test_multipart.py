"""An object is put together by parts that S3 takes, reading as little as its cuts need."""

from __future__ import annotations

from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.adapters import multipart

LEAST, MOST = 10, 25
PIECES = st.lists(
    st.binary(min_size=1, max_size=14)
    | st.tuples(st.integers(0, 200), st.integers(0, 200)).map(lambda ends: slice(min(ends), max(ends))),
    max_size=8,
)


@given(st.integers(0, 200), PIECES)
def test_parts_are_what_the_pieces_are_and_none_is_too_small(size: int, pieces: list[slice | bytes]) -> None:
    source = bytes(range(200))[:size]
    with (
        mock.patch.object(multipart, "PART_BYTES_MIN", LEAST),
        mock.patch.object(multipart, "COPY_BYTES_MAX", MOST),
    ):
        parts = multipart.plan(size, pieces)
    made = [b"".join(map(taken(source), part if isinstance(part, list) else [part])) for part in parts]
    expected = b"".join(each if isinstance(each, bytes) else source[each] for each in pieces)
    assert b"".join(made) == expected
    assert all(len(each) >= LEAST for each in made[:-1])
    assert all(len(part) <= MOST for part in parts if isinstance(part, range))
    read = [each for part in parts if isinstance(part, list) for each in part if isinstance(each, range)]
    assert sum(map(len, read)) <= sum(2 * LEAST for each in pieces if isinstance(each, slice))


def taken(source: bytes):  # type: ignore[no-untyped-def]
    return lambda each: each if isinstance(each, bytes) else bytes(source[at] for at in each)


@pytest.mark.parametrize("size", [40_000_000, 4_000_000_000])
def test_of_a_list_that_is_longer_no_more_is_read(size: int) -> None:
    parts = multipart.plan(size, [slice(0, 100), b"x" * 400_000, slice(400_000, size - 1), b"]"])
    uploaded = [part for part in parts if isinstance(part, list)]
    read = sum(len(each) for part in uploaded for each in part if isinstance(each, range))
    assert read == multipart.PART_BYTES_MIN - 400_000
    assert len(parts) == 3
