"""The file of a segment: objects as JSON, ordered by key, searched and changed without parsing the rest.

A build changes a few of ten thousand objects. Each is canonical JSON that begins with its key, and a quote
within a string has a backslash before it: so `{"key":"` begins an object wherever it stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from sluice.domain.data.datasets import ObjectVersion
from sluice.lazy import dataclass

_HEAD, _TAIL = b'{"objects":[', b"]}"
_OPEN = b'{"key":"'
_KEY = re.compile(rb'\{"key":"([^"]*)"')
# The first step of a search, some five objects.
_STEP_BYTES = 1024

# What a file consists of, in order. Of a changed file nearly all lies in memory: it is not copied.
Pieces = Sequence[bytes | memoryview]


@dataclass(frozen=True, slots=True)
class Changed:
    """A file of at least one object that a change made, and its first and last key."""

    pieces: Pieces
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class SegmentFile:
    """The content of a file of at least one object.

    An older stack wrote the state of the objects' hash behind them.
    """

    data: bytes

    @classmethod
    def of(cls, objects: Iterable[ObjectVersion]) -> SegmentFile:
        """Write objects that are ordered by key, each key once."""
        return _written([obj.to_json() for obj in objects])

    def objects(self) -> list[ObjectVersion]:
        """Parse all."""
        return [ObjectVersion(**each) for each in json.loads(self.data)["objects"]]

    def each(self) -> list[bytes]:
        """Return each object's JSON."""
        entries = self.data[len(_HEAD) : self._stop - 1].split(_OPEN)
        return [_OPEN + entry.removesuffix(b",") for entry in entries[1:]]

    def keys(self) -> list[str]:
        """Return all keys in order."""
        if b"\\" in self.data:
            return [obj.key for obj in self.objects()]
        return [key.decode() for key in _KEY.findall(self.data)]

    def runs(self, is_last: Callable[[bytes], bool]) -> Iterator[tuple[SegmentFile, int]]:
        """Yield runs of objects, each up to a key that is a last one, with the number of objects.

        `is_last` gets keys as JSON writes them, those with a quote only up to that.
        """
        begin, objects = len(_HEAD), 0
        for number, each in enumerate(_KEY.finditer(self.data), start=1):
            if is_last(each[1]):
                end = self._after(each.start())
                yield _written([self.data[begin : end - 1]]), number - objects
                begin, objects = end, number
        if begin < self._stop:
            yield _written([self.data[begin : self._stop - 1]]), number - objects

    def ends(self) -> tuple[str, str]:
        """Return the first and the last key."""
        return self._key(len(_HEAD)), self._key(self.data.rindex(_OPEN))

    def at(self, key: str) -> ObjectVersion | None:
        """Return the object at a key, if there is one."""
        begin = self._seek(key, len(_HEAD))
        return self._object(begin) if self._is_at(begin, key) else None

    def near(self, keys: Collection[str], folders: Collection[str]) -> Iterator[ObjectVersion]:
        """Yield the objects at some keys and below these, and those at the keys of folders, in order."""
        begin, below = len(_HEAD), {f"{key}/" for key in keys}
        for wanted in sorted({*keys, *folders, *below}):
            begin = self._seek(wanted, begin)
            while self._is_at(begin, wanted, is_folder=wanted in below):
                yield self._object(begin)
                begin = self._after(begin)

    def changed(self, changes: Mapping[str, ObjectVersion | None]) -> Changed | None:
        """Return the file with other objects at some keys, or with none; None if nothing is left."""
        parts, begin = list[range | ObjectVersion](), len(_HEAD)
        for key, obj in sorted(changes.items()):
            at = self._seek(key, begin)
            parts += [range(begin, at - 1)] if at > begin else []
            parts += [obj] if obj else []
            begin = self._after(at) if self._is_at(at, key) else at
        parts += [range(begin, self._stop - 1)] if begin < self._stop else []
        if not parts:
            return None
        first, last, view = parts[0], parts[-1], memoryview(self.data)
        begins = self._key(first.start) if isinstance(first, range) else first.key
        ends = self._key(self._begin(last.stop, last.start)) if isinstance(last, range) else last.key
        written = (
            view[each.start : each.stop] if isinstance(each, range) else each.to_json() for each in parts
        )
        return Changed(_pieces(written), begins, ends)

    @property
    def _stop(self) -> int:
        """Where one more object would begin, behind a comma."""
        return self.data.rindex(b"]") + 1

    def _seek(self, wanted: str, low: int) -> int:
        """Return where the first object from `low` on begins whose key is not below the wanted one.

        The first steps double, so that many keys that lie close together are found one after the other.
        """
        high, stop, step = low, self._stop, _STEP_BYTES
        while high < stop and self._key(high) < wanted:
            low = self._after(high)
            high = self._begin(low + step, low) if low + step < stop else stop
            step *= 2
        while low < high:
            middle = self._begin((low + high) // 2, low)
            if self._key(middle) < wanted:
                low = self._after(middle)
            else:
                high = middle
        return low

    def _begin(self, at: int, low: int) -> int:
        """Return where the object at a byte begins; one begins at `low`."""
        return self.data.rfind(_OPEN, low, at + len(_OPEN))

    def _after(self, begin: int) -> int:
        """Return where the next object begins, or would begin."""
        found = self.data.find(_OPEN, begin + 1)
        return self._stop if found < 0 else found

    def _is_at(self, begin: int, wanted: str, *, is_folder: bool = False) -> bool:
        if begin >= self._stop:
            return False
        key = self._key(begin)
        return key.startswith(wanted) if is_folder else key == wanted

    def _key(self, begin: int) -> str:
        start = begin + len(_OPEN)
        key = self.data[start : self.data.index(b'"', start)]
        return self._object(begin).key if b"\\" in key else key.decode()

    def _object(self, begin: int) -> ObjectVersion:
        return ObjectVersion(**json.loads(self.data[begin : self._after(begin) - 1]))


def _written(parts: Iterable[bytes]) -> SegmentFile:
    return SegmentFile(b"".join(_pieces(parts)))


def _pieces(parts: Iterable[bytes | memoryview]) -> Pieces:
    """Return the file of parts, at least one, each of objects with commas between them."""
    pieces: list[bytes | memoryview] = [_HEAD]
    for part in parts:
        pieces += [part, b","]
    return [*pieces[:-1], _TAIL]
