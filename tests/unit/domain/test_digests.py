"""An object's digest depends on its content alone, and is S3's own where the parts are ours."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.domain import digests
from sluice.domain.digests import Part


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "PART_BYTES", 4)
    monkeypatch.setattr(digests, "WHOLE_MAX_BYTES", 10)


def checksum(data: bytes) -> str:
    """What S3 stores of a part."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def test_a_small_object_is_known_by_its_plain_sha256() -> None:
    assert digests.of_content(10, [b"01234", b"56789"]) == hashlib.sha256(b"0123456789").hexdigest()
    assert digests.of_upload(10, [Part(4, checksum(b"0123"))]) is None


def test_a_large_one_by_that_of_its_parts_as_s3_has_it() -> None:
    data = b"0123456789ab"
    parts = [hashlib.sha256(part).digest() for part in (b"0123", b"4567", b"89ab")]
    wanted = hashlib.sha256(b"".join(parts)).hexdigest()
    assert digests.of_content(12, [data]) == digests.combined(parts) == wanted
    assert digests.of_upload(12, [Part(4, checksum(part)) for part in cut(data, 4)]) == wanted
    assert digests.spans(11) == [(0, 3), (4, 7), (8, 10)]


@pytest.mark.parametrize("sizes", [[6, 6], [4, 5, 3], [4, 4, 2, 2], []])
def test_parts_of_other_sizes_say_nothing(sizes: list[int]) -> None:
    assert digests.of_upload(12, [Part(size, checksum(b"x")) for size in sizes]) is None


@given(st.binary(min_size=11, max_size=40), st.integers(1, 13))
def test_it_is_the_same_however_the_content_comes(data: bytes, size: int) -> None:
    parts = [hashlib.sha256(part).digest() for part in cut(data, 4)]
    assert digests.of_content(len(data), cut(data, size)) == digests.combined(parts)
