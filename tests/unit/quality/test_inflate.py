"""What a zstd file inflates to is bounded by the heads of its blocks alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.quality.engine import inflate

BLOCK_MAX = 128 * 1024
RAW, RLE, COMPRESSED, RESERVED = range(4)


def block(kind: int, size: int, *, is_last: bool = True) -> bytes:
    body = b"x" * (1 if kind == RLE else size)
    return (size << 3 | kind << 1 | is_last).to_bytes(3, "little") + body


def frame(*blocks: bytes) -> bytes:
    """A frame of a single segment, whose size takes a byte."""
    return b"\x28\xb5\x2f\xfd" + b"\x20\x00" + b"".join(blocks)


def bound(folder: Path, data: bytes) -> int:
    path = folder / "file.zst"
    path.write_bytes(data)
    return inflate.zstd_bound(path)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (frame(block(RAW, 7)), 7),
        (frame(block(RLE, 9000)), 9000),
        (frame(block(COMPRESSED, 5)), BLOCK_MAX),
        (frame(block(RAW, 7, is_last=False), block(RLE, 2)) + frame(block(RAW, 1)), 10),
    ],
)
def test_blocks_are_added_up(tmp_path: Path, data: bytes, size: int) -> None:
    assert bound(tmp_path, data) == size


@pytest.mark.parametrize("magic", [0x184D2A50, 0x184D2A5F])
def test_a_frame_for_other_programs_is_passed_over(tmp_path: Path, magic: int) -> None:
    other = magic.to_bytes(4, "little") + (3).to_bytes(4, "little") + b"any"
    assert bound(tmp_path, other + frame(block(RAW, 7)) + other) == 7


@pytest.mark.parametrize(
    "data",
    [frame(block(RESERVED, 1)), frame(block(RAW, 7))[:-1], frame(), b"\x28\xb5\x2f\xfd", b"none of it"],
)
def test_what_is_no_whole_frame_is_damaged(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(inflate.TruncatedError):
        bound(tmp_path, data)
