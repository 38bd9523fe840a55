"""Recognize compressed files and bound their inflated size, before trusting any of their content."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import BinaryIO, Literal

Compression = Literal["none", "gzip", "zstd"]
_CHUNK_BYTES = 1 << 20
_MAGIC: dict[bytes, Compression] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
# RFC 8878 (Zstandard): a block never inflates to more than this.
_ZSTD_BLOCK_MAX = 128 * 1024
_ZSTD_SKIPPABLE = range(0x184D2A50, 0x184D2A60)
_ZSTD_MAGIC = 0xFD2FB528
_RAW, _RLE, _COMPRESSED = 0, 1, 2


class TruncatedError(Exception):
    """The file's compressed data are cut off or damaged."""


class TooLargeError(Exception):
    """The file inflates to more than the limit."""


def compression(path: Path) -> Compression:
    """Return a file's compression by its first bytes: names are not reliable."""
    with path.open("rb") as file:
        start = file.read(4)
    return next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), "none")


def inflate_gzip(source: Path, target: Path, limit_bytes: int) -> int:
    """Inflate all members of a gzip file; returns the size. Raises if it exceeds the limit."""
    size, inflater = 0, zlib.decompressobj(wbits=31)
    with source.open("rb") as file, target.open("wb") as inflated:
        data = file.read(_CHUNK_BYTES)
        while data:
            try:
                part = inflater.decompress(data, _CHUNK_BYTES)
            except zlib.error as error:
                raise TruncatedError from error
            size += len(part)
            if size > limit_bytes:
                raise TooLargeError
            inflated.write(part)
            data = inflater.unconsumed_tail or inflater.unused_data
            if inflater.eof and (data := (data or file.read(_CHUNK_BYTES)).lstrip(b"\0")):
                inflater = zlib.decompressobj(wbits=31)
            data = data or file.read(_CHUNK_BYTES)
    if not inflater.eof:
        raise TruncatedError
    return size


def zstd_bound(path: Path) -> int:
    """Bound the inflated size of a zstd file by counting its frames' blocks, without inflating."""
    bound = 0
    with path.open("rb") as file:
        while magic := file.read(4):
            number = int.from_bytes(magic, "little")
            if number in _ZSTD_SKIPPABLE:
                _skip(file, int.from_bytes(_exactly(file, 4), "little"))
            elif number == _ZSTD_MAGIC:
                bound += _zstd_frame(file)
            else:
                raise TruncatedError
    return bound


def _zstd_frame(file: BinaryIO) -> int:
    descriptor = _exactly(file, 1)[0]
    has_checksum, is_single = bool(descriptor & 0x04), bool(descriptor & 0x20)
    dictionary_bytes = (0, 1, 2, 4)[descriptor & 0x03]
    size_bytes = (1 if is_single else 0, 2, 4, 8)[descriptor >> 6]
    _skip(file, (0 if is_single else 1) + dictionary_bytes + size_bytes)
    bound, is_last = 0, False
    while not is_last:
        header = int.from_bytes(_exactly(file, 3), "little")
        is_last, kind, size = bool(header & 1), (header >> 1) & 3, header >> 3
        if kind not in {_RAW, _RLE, _COMPRESSED}:
            raise TruncatedError
        _skip(file, 1 if kind == _RLE else size)
        bound += _ZSTD_BLOCK_MAX if kind == _COMPRESSED else size
    _skip(file, 4 if has_checksum else 0)
    return bound


def _skip(file: BinaryIO, count: int) -> None:
    """Skip bytes that must exist."""
    if count:
        file.seek(count - 1, 1)
        _exactly(file, 1)


def _exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise TruncatedError
    return data
