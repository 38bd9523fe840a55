"""Data set versions in segments: a version names files of objects, and a build adds a file of new ones.

A segment never changes. A version that grows shares its predecessor's segments, so a build reads and writes
only what is new.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from functools import cached_property
from itertools import accumulate
from json.encoder import encode_basestring

from sluice.domain.data import set_hash
from sluice.domain.data.datasets import ObjectVersion, listed
from sluice.domain.data.segment_files import Pieces, SegmentFile
from sluice.lazy import dataclass

# Objects of a segment: a file of some 2 MB.
OBJECTS_MAX = 10_000
# Merge so many segments that are less than half full.
SMALL_MAX = 100


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of objects: the sha256 of its content, its size, and its first and last key.

    `listed_bytes` is the length of its keys in the list of files. Of a segment that an older stack wrote
    these three are empty here: it may hold any keys.
    """

    digest: str
    objects: int
    size_bytes: int
    first: str = ""
    last: str = ""
    listed_bytes: int = 0

    def to_json(self) -> str:
        """Return its canonical JSON, written here: a version has hundreds, and each build writes them."""
        first, last = encode_basestring(self.first), encode_basestring(self.last)
        return (
            f'{{"digest":"{self.digest}","first":{first},"last":{last},"listed_bytes":{self.listed_bytes},'
            f'"objects":{self.objects},"size_bytes":{self.size_bytes}}}'
        )

    @property
    def is_small(self) -> bool:
        return self.objects < OBJECTS_MAX // 2


@dataclass(frozen=True, slots=True)
class Packed:
    """A segment with its file, and its keys as the list of files has them."""

    segment: Segment
    file: SegmentFile
    listed: bytes

    @classmethod
    def of(cls, file: SegmentFile, size_bytes: int) -> Packed:
        """Pack a file of objects, at least one, of so many bytes together."""
        keys = file.keys()
        in_list = listed(keys)
        segment = Segment(digest(file.data), len(keys), size_bytes, keys[0], keys[-1], len(in_list))
        return cls(segment, file, in_list)


def digest(*pieces: bytes | memoryview) -> str:
    """Return the name of a segment, by the content of its file."""
    found = hashlib.sha256()
    for piece in pieces:
        found.update(piece)
    return found.hexdigest()


@dataclass(frozen=True, slots=True)
class Change:
    """What a segment loses, what it gets at keys of that, and what it becomes, with its file in pieces.

    `segment` is None if nothing is left.
    """

    before: SegmentFile
    lost: Sequence[ObjectVersion]
    put: Sequence[ObjectVersion]
    segment: Segment | None
    pieces: Pieces

    @classmethod
    def of(
        cls, former: Segment, before: SegmentFile, lost: Sequence[ObjectVersion], put: Sequence[ObjectVersion]
    ) -> Change:
        changed = before.changed({**{obj.key: None for obj in lost}, **{obj.key: obj for obj in put}})
        if changed is None:
            return cls(before, lost, put, None, ())
        cut_bytes = sum(len(listed([key])) for key in _without(lost, put))
        segment = Segment(
            digest(*changed.pieces),
            former.objects + len(put) - len(lost),
            former.size_bytes + _size_bytes(put) - _size_bytes(lost),
            changed.first,
            changed.last,
            former.listed_bytes and former.listed_bytes - cut_bytes,
        )
        return cls(before, lost, put, segment, changed.pieces)

    @property
    def unlisted(self) -> list[str]:
        """The keys that the segment no longer has."""
        return _without(self.lost, self.put)


def _without(lost: Iterable[ObjectVersion], put: Iterable[ObjectVersion]) -> list[str]:
    kept = {obj.key for obj in put}
    return [obj.key for obj in lost if obj.key not in kept]


def _size_bytes(objects: Iterable[ObjectVersion]) -> int:
    return sum(obj.size_bytes for obj in objects)


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
        """Return its canonical JSON; the names of versions and segments are hex digits."""
        added = json.dumps(self.added, separators=(",", ":"))
        listed = ",".join(each.to_json() for each in self.segments)
        return (
            f'{{"added":{added},"parent":{json.dumps(self.parent)},"segments":[{listed}],'
            f'"state":"{self.state:x}"}}'
        ).encode()

    @cached_property
    def version(self) -> str:
        """The data set version: 64 hex digits that depend only on the objects, not on how they came."""
        return set_hash.digest(self.state)

    @cached_property
    def objects(self) -> int:
        return sum(each.objects for each in self.segments)

    @cached_property
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
        state = set_hash.union([self.state, *(set_hash.state(each.file.each()) for each in added)])
        return DatasetHead(
            (*self.segments, *segments), state, self.version, tuple(each.digest for each in segments)
        )

    def merged(self, former: Iterable[Segment], parts: Iterable[Packed]) -> DatasetHead:
        """Return the same version with segments in place of former ones."""
        gone = {each.digest for each in former}
        kept = (each for each in self.segments if each.digest not in gone)
        return replace(self, segments=(*kept, *(each.segment for each in parts)))

    def changed(self, changes: Mapping[str, Change]) -> DatasetHead:
        """Return the version with changes of its segments, by digest; each stays in its place."""
        segments, lost, put, seen = list[Segment](), list[bytes](), list[bytes](), set[str]()
        for each in self.segments:
            if (change := changes.get(each.digest)) is None:
                segments.append(each)
            elif each.digest in seen:
                # A version of a former release may name a segment twice.
                lost += change.before.each()
            else:
                seen.add(each.digest)
                lost += (obj.to_json() for obj in change.lost)
                put += (obj.to_json() for obj in change.put)
                segments += [change.segment] if change.segment else []
        state = set_hash.difference(set_hash.union([self.state, set_hash.state(put)]), set_hash.state(lost))
        return DatasetHead(tuple(segments), state)

    def listed_at(self, begin: int) -> dict[str, slice]:
        """Return where the list of files has each segment's keys, by digest, if the first are at `begin`.

        They are in the segments' order. Empty if that is not known, as an older stack did not tell.
        """
        lengths = {each.digest: each.listed_bytes for each in self.segments}
        # A version of a former release may name a segment twice.
        if not all(lengths.values()) or len(lengths) < len(self.segments):
            return {}
        ends = accumulate(lengths.values(), initial=begin)
        return {digest: slice(end, end + lengths[digest]) for digest, end in zip(lengths, ends, strict=False)}

    def near(self, keys: Collection[str]) -> list[str]:
        """Return the digests of the segments that may hold one of these keys, or one below or above it."""
        points, folders = sorted({point for key in keys for point in (*above(key), key, f"{key}/")}), {*keys}
        return [each.digest for each in self.segments if each.first == "" or _may_hold(each, points, folders)]


def _may_hold(segment: Segment, points: Sequence[str], folders: Set[str]) -> bool:
    at = bisect_left(points, segment.first)
    if at < len(points) and points[at] <= segment.last:
        return True
    # All of a segment may be in a folder.
    return not folders.isdisjoint(above(segment.first))


def above(key: str) -> list[str]:
    """Return the folders that a key is in, without the slash at their end."""
    found, at = list[str](), key.find("/")
    while at >= 0:
        found.append(key[:at])
        at = key.find("/", at + 1)
    return found


def is_near(key: str, keys: Collection[str], folders: Collection[str]) -> bool:
    """Tell whether a key is one of some keys, or below or above one; `folders` are those above them."""
    return key in keys or key in folders or any(folder in keys for folder in above(key))


def parts(objects: Sequence[ObjectVersion]) -> Iterator[Packed]:
    """Pack objects, one version for each key, ordered by key, into segments of at most OBJECTS_MAX."""
    for start in range(0, len(objects), OBJECTS_MAX):
        part = objects[start : start + OBJECTS_MAX]
        yield Packed.of(SegmentFile.of(part), _size_bytes(part))
