"""Check a model.tar.gz without reading all of it."""

from __future__ import annotations

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


NOTHING_SAVED = (
    "it saved no model: nothing lies in /opt/ml/model (SM_MODEL_DIR), where a script must write it"
)
