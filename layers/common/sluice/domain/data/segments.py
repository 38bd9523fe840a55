"""Data set versions in segments: a version names files of objects, and a build adds a file of new ones.

A segment never changes. A version that grows shares its predecessor's segments, so a build reads and writes
only what is new.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property

from sluice.domain import canonical
from sluice.domain.data import set_hash
from sluice.domain.data.datasets import DatasetManifest, ObjectVersion
from sluice.lazy import dataclass

# Objects of a segment: a file of some 2 MB.
OBJECTS_MAX = 10_000
# Merge so many segments that are less than half full.
SMALL_MAX = 100


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of objects: the sha256 of its content, its size, and its first and last key.

    A segment that an older stack wrote has no keys here: it may hold any.
    """

    digest: str
    objects: int
    size_bytes: int
    first: str = ""
    last: str = ""

    @property
    def is_small(self) -> bool:
        return self.objects < OBJECTS_MAX // 2


@dataclass(frozen=True, slots=True)
class Packed:
    """A segment with its objects and the content of its file."""

    segment: Segment
    objects: DatasetManifest
    file: bytes

    @classmethod
    def of(cls, objects: DatasetManifest) -> Packed:
        """Pack objects, at least one."""
        file = to_file(objects)
        first, last = objects.objects[0].key, objects.objects[-1].key
        segment = Segment(digest(file), len(objects.objects), objects.size_bytes, first, last)
        return cls(segment, objects, file)


def to_file(manifest: DatasetManifest) -> bytes:
    """Write a segment's objects, and the state of their hash as a set, which takes long to compute."""
    return canonical.to_json({"objects": list(map(asdict, manifest.objects)), "state": f"{manifest.state:x}"})


def digest(file: bytes) -> str:
    """Return the name of a segment, by the content of its file."""
    return hashlib.sha256(file).hexdigest()


def from_file(data: bytes) -> DatasetManifest:
    """Parse what `to_file` wrote."""
    manifest = DatasetManifest.from_json(data)
    # Set the cached property, so that it need not be computed.
    manifest.__dict__["state"] = int(json.loads(data)["state"], 16)
    return manifest


@dataclasses.dataclass(frozen=True)
class DatasetHead:
    """A data set version: its segments and, if it only grew, its parent and the segments added to that.

    `state` is that of the hash of all objects as a set. `added` may be in `segments` under other names, once
    small ones have been merged.
    """

    segments: tuple[Segment, ...] = ()
    state: int = set_hash.EMPTY
    parent: str | None = None
    added: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: bytes) -> DatasetHead | None:
        """Parse what `to_json` wrote; None for a version of an older stack, which lists its objects."""
        stored = json.loads(data)
        if "segments" not in stored:
            return None
        segments = tuple(Segment(**each) for each in stored["segments"])
        return cls(segments, int(stored["state"], 16), stored["parent"], tuple(stored["added"]))

    def to_json(self) -> bytes:
        stored = {"segments": list(map(asdict, self.segments)), "state": f"{self.state:x}"}
        return canonical.to_json({**stored, "parent": self.parent, "added": list(self.added)})

    @cached_property
    def version(self) -> str:
        """The data set version: 64 hex digits that depend only on the objects, not on how they came."""
        return set_hash.digest(self.state)

    @property
    def objects(self) -> int:
        return sum(each.objects for each in self.segments)

    @property
    def size_bytes(self) -> int:
        return sum(each.size_bytes for each in self.segments)

    @property
    def small(self) -> tuple[Segment, ...]:
        """The segments to merge now; empty while there are few."""
        found = tuple(each for each in self.segments if each.is_small)
        return found if len(found) > SMALL_MAX else ()

    def grown(self, added: Sequence[Packed]) -> DatasetHead:
        """Return the version with more objects, all with new keys."""
        segments = [each.segment for each in added]
        state = set_hash.union([self.state, *(each.objects.state for each in added)])
        return DatasetHead(
            (*self.segments, *segments), state, self.version, tuple(each.digest for each in segments)
        )

    def merged(self, former: Iterable[Segment], parts: Iterable[Packed]) -> DatasetHead:
        """Return the same version with segments in place of former ones."""
        gone = {each.digest for each in former}
        kept = (each for each in self.segments if each.digest not in gone)
        return replace(self, segments=(*kept, *(each.segment for each in parts)))

    def reduced(self, gone: Mapping[str, DatasetManifest], rest: Iterable[Packed]) -> DatasetHead:
        """Return the version without what some segments, given by digest, lose; `rest` is left of them."""
        kept = (each for each in self.segments if each.digest not in gone)
        # A version of a former release may name a segment twice.
        lost = (gone[each.digest].state for each in self.segments if each.digest in gone)
        state = set_hash.difference(self.state, set_hash.union(lost))
        return DatasetHead((*kept, *(each.segment for each in rest)), state)

    def near(self, keys: Collection[str]) -> list[str]:
        """Return the digests of the segments that may hold one of these keys, or one below or above it."""
        points = sorted({point for key in keys for point in (*above(key), key, f"{key}/")})
        return [each.digest for each in self.segments if each.first == "" or _may_hold(each, points, keys)]


def _may_hold(segment: Segment, points: Sequence[str], keys: Collection[str]) -> bool:
    at = bisect_left(points, segment.first)
    if at < len(points) and points[at] <= segment.last:
        return True
    # All of a segment may be in a folder.
    return any(folder in keys for folder in above(segment.first))


def above(key: str) -> list[str]:
    """Return the folders that a key is in, without the slash at their end."""
    return [key[:at] for at, sign in enumerate(key) if sign == "/"]


def is_near(key: str, keys: Collection[str], folders: Collection[str]) -> bool:
    """Tell whether a key is one of some keys, or below or above one; `folders` are those above them."""
    return key in keys or key in folders or any(folder in keys for folder in above(key))


def split(part: DatasetManifest, gone: Collection[ObjectVersion]) -> tuple[DatasetManifest, DatasetManifest]:
    """Return what is left of a segment without some objects, and what it loses."""
    rest = DatasetManifest(tuple(obj for obj in part.objects if obj not in gone))
    lost = DatasetManifest(tuple(obj for obj in part.objects if obj in gone))
    # Set the cached property: to divide states is faster than to hash all objects again.
    rest.__dict__["state"] = set_hash.difference(part.state, lost.state)
    return rest, lost


def parts(objects: Sequence[ObjectVersion]) -> Iterator[Packed]:
    """Pack objects, one version for each key, ordered by key, into segments of at most OBJECTS_MAX."""
    for start in range(0, len(objects), OBJECTS_MAX):
        yield Packed.of(DatasetManifest.of(objects[start : start + OBJECTS_MAX]))
