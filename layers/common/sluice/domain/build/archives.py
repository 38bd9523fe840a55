"""Look into archives of jobs without reading all of them: model.tar.gz and output.tar.gz."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, cast


class _Stream(io.RawIOBase):
    """Chunks as a file that is read once from its beginning."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks: Iterator[bytes] = iter(chunks)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        taken, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)


def problem(chunks: Iterable[bytes]) -> str | None:
    """Say why a model's archive is unusable: it has no file or cannot be read. Reads up to the first file."""
    stream = cast("Any", io.BufferedReader(_Stream(chunks)))
    try:
        with tarfile.open(fileobj=stream, mode="r|gz") as archive:
            if any(member.isfile() for member in archive):
                return None
    except (tarfile.TarError, zlib.error, OSError, ValueError) as error:
        return f"its model.tar.gz cannot be read: {error}"
    return NOTHING_SAVED


class ArchiveError(ValueError):
    """An archive cannot be read, or not as far as a file in it; the message is a predicate of its name."""


def content(chunks: Iterable[bytes], name: str, most_bytes: int, unpacked_max: int) -> bytes | None:
    """Return a file of a .tar.gz, at most a byte more than `most_bytes` of it; None if it has no such file.

    Unpacks no more than `unpacked_max` bytes, however small the archive is; raises ArchiveError beyond, and
    for what cannot be read.
    """
    stream = cast("Any", io.BufferedReader(_Stream(_unpacked(chunks, unpacked_max))))
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                if member.isfile() and member.name.removeprefix("./") == name:
                    file = archive.extractfile(member)
                    return file.read(most_bytes + 1) if file else None
    except ArchiveError:
        raise
    except (tarfile.TarError, zlib.error, OSError, ValueError) as error:
        raise ArchiveError(f"cannot be read: {error}") from None
    return None


def _unpacked(chunks: Iterable[bytes], most_bytes: int) -> Iterator[bytes]:
    # 16 more than zlib's greatest window: the gzip format.
    unpacker, left = zlib.decompressobj(16 + zlib.MAX_WBITS), most_bytes
    for chunk in chunks:
        rest = chunk
        while rest and not unpacker.eof:
            data = unpacker.decompress(rest, _PIECE_BYTES)
            left -= len(data)
            if left < 0:
                raise ArchiveError(f"has {most_bytes} bytes before it, unpacked, and is read no further")
            yield data
            rest = unpacker.unconsumed_tail
    if not unpacker.eof:
        raise ArchiveError("cannot be read: it ends too early")


_PIECE_BYTES = 1 << 20


def contents(chunks: Iterable[bytes]) -> dict[str, str]:
    """Return the sha256 of each file in an archive by its path.

    Unlike the archive's bytes, they do not depend on the time of its making, nor on the order of its files.
    Raises tarfile.TarError, zlib.error or OSError.
    """
    stream = cast("Any", io.BufferedReader(_Stream(chunks)))
    found: dict[str, str] = {}
    with tarfile.open(fileobj=stream, mode="r|gz") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None:
                digest = hashlib.sha256()
                while data := file.read(_PIECE_BYTES):
                    digest.update(data)
                found[member.name.removeprefix("./")] = digest.hexdigest()
    return found


NOTHING_SAVED = (
    "it saved no model: nothing lies in /opt/ml/model (SM_MODEL_DIR), where a script must write it"
)
