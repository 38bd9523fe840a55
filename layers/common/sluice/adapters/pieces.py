"""Send what lies in memory in pieces, without putting it together before."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from os import SEEK_CUR, SEEK_END, SEEK_SET
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sluice.ports import Piece


class PiecesFile:
    """A file to read that consists of pieces: as much of one as botocore needs of a request's body."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self._pieces = [memoryview(piece) for piece in pieces]
        self._ends = [*accumulate(map(len, self._pieces))]
        self._size = self._ends[-1] if self._ends else 0
        self._at = 0

    def read(self, size: int | None = None) -> bytes:
        """Return so many bytes, or all that are left."""
        stop = self._size if size is None or size < 0 else min(self._at + size, self._size)
        parts = list[memoryview]()
        while self._at < stop:
            number = bisect_right(self._ends, self._at)
            piece = self._pieces[number]
            begin = self._ends[number] - len(piece)
            parts.append(piece[self._at - begin : stop - begin])
            self._at += len(parts[-1])
        return b"".join(parts)

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Go to where a retry, or a checksum, begins; behind the end there is nothing to read."""
        self._at = {SEEK_SET: 0, SEEK_CUR: self._at, SEEK_END: self._size}[whence] + offset
        return self._at

    def tell(self) -> int:
        return self._at
