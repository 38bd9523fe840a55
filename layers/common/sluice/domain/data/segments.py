"""Data set versions in segments: a version names files of objects, and a build adds a file of new ones.

A segment never changes. A version that grows shares its predecessor's segments, so a build reads and writes
only what is new.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property

from sluice.domain import canonical
from sluice.domain.data import set_hash
from sluice.domain.data.datasets import DatasetManifest, ObjectVersion

# Objects of a segment: a file of some 2 MB.
OBJECTS_MAX = 10_000
# Merge so many segments that are less than half full.
SMALL_MAX = 100


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of objects: the sha256 of its content, and its size."""

    digest: str
    objects: int
    size_bytes: int

    @classmethod
    def of(cls, manifest: DatasetManifest) -> Segment:
        return cls(digest(to_file(manifest)), len(manifest.objects), manifest.size_bytes)

    @property
    def is_small(self) -> bool:
        return self.objects < OBJECTS_MAX // 2


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


@dataclass(frozen=True)
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

    def grown(self, added: Sequence[DatasetManifest]) -> DatasetHead:
        """Return the version with more objects, all with new keys."""
        segments = [Segment.of(each) for each in added]
        state = set_hash.union([self.state, *(each.state for each in added)])
        return DatasetHead(
            (*self.segments, *segments), state, self.version, tuple(each.digest for each in segments)
        )

    def merged(self, former: Iterable[Segment], parts: Iterable[DatasetManifest]) -> DatasetHead:
        """Return the same version with segments in place of former ones."""
        gone = {each.digest for each in former}
        kept = (each for each in self.segments if each.digest not in gone)
        return replace(self, segments=(*kept, *map(Segment.of, parts)))


def divide(manifest: DatasetManifest, known: Mapping[str, DatasetManifest]) -> list[DatasetManifest]:
    """Divide a data set into segments; keep the `known` ones, by digest, that it contains."""
    wanted = set(manifest.objects)
    kept = [each for each in known.values() if wanted.issuperset(each.objects)]
    wanted.difference_update(obj for each in kept for obj in each.objects)
    return [*kept, *parts(sorted(wanted))]


def parts(objects: Sequence[ObjectVersion]) -> Iterator[DatasetManifest]:
    """Split objects, one version for each key, into segments of at most OBJECTS_MAX."""
    for start in range(0, len(objects), OBJECTS_MAX):
        yield DatasetManifest.of(objects[start : start + OBJECTS_MAX])
