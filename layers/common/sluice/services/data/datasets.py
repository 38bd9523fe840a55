"""Store and read data set versions: heads, segments, and the list of files that jobs read."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from sluice.domain import canonical
from sluice.domain.data import datasets, segments
from sluice.domain.data.datasets import DatasetManifest, ObjectVersion
from sluice.domain.data.segment_files import Pieces, SegmentFile
from sluice.domain.data.segments import Change, DatasetHead, Packed, Segment
from sluice.domain.locations import bucket_and_key
from sluice.lazy import dataclass
from sluice.services.building import locations
from sluice.services.side_by_side import on_each, together

if TYPE_CHECKING:
    from sluice.ports import Cloud, Piece

# What reading a version raises whose files were changed to what is no version, and also if they are gone.
DAMAGED = (ValueError, KeyError, TypeError)
UNREADABLE = (FileNotFoundError, *DAMAGED)
_JSON = "application/json"


def find_head(cloud: Cloud, pipeline: str, version: str) -> DatasetHead | None:
    """Find a version's head; None for a version of an older stack, which has no segments."""
    return DatasetHead.from_json(cloud.objects.read(locations(cloud, pipeline).dataset_manifest(version)))


def find_manifest(cloud: Cloud, pipeline: str, version: str) -> DatasetManifest:
    """Read all objects of a version."""
    stored = cloud.objects.read(locations(cloud, pipeline).dataset_manifest(version))
    head = DatasetHead.from_json(stored)
    if head is None:
        return DatasetManifest.from_json(stored)
    return find_all(cloud, pipeline, head).objects


def read_segments(cloud: Cloud, pipeline: str, digests: Collection[str]) -> dict[str, SegmentFile]:
    """Read segments, by digest."""
    places = locations(cloud, pipeline)
    read = on_each(digests, lambda digest: SegmentFile(cloud.objects.read(places.segment(digest))))
    return dict(zip(digests, read, strict=True))


def find_added(cloud: Cloud, pipeline: str, head: DatasetHead) -> DatasetManifest:
    """Read the objects that a version has and its parent lacks."""
    return _all(read_segments(cloud, pipeline, head.added).values())


@dataclass(frozen=True, slots=True)
class Found:
    """A segment that was read, and the objects that were wanted of it."""

    file: SegmentFile
    objects: Sequence[ObjectVersion]


@dataclass(frozen=True, slots=True)
class Held:
    """Objects that a version holds, and the segments that were read to find them, by digest."""

    objects: DatasetManifest
    segments: Mapping[str, Found]

    @classmethod
    def of(cls, found: Mapping[str, Found]) -> Held:
        return cls(DatasetManifest.of(obj for each in found.values() for obj in each.objects), found)


def find_all(cloud: Cloud, pipeline: str, head: DatasetHead) -> Held:
    """Find all objects of a version."""
    read = read_segments(cloud, pipeline, [each.digest for each in head.segments])
    return Held.of({digest: Found(file, file.objects()) for digest, file in read.items()})


def find_near(cloud: Cloud, pipeline: str, head: DatasetHead, keys: Collection[str]) -> Held:
    """Find what a version holds at some keys, below or above them; reads the segments that may hold it."""
    places = locations(cloud, pipeline)
    folders = {folder for key in keys for folder in segments.above(key)}

    def look(digest: str) -> tuple[str, Found] | None:
        file = SegmentFile(cloud.objects.read(places.segment(digest)))
        objects = [*file.near(keys, folders)]
        # Where names are random nearly all may hold a key: keep in memory those that do.
        return (digest, Found(file, objects)) if objects else None

    found = on_each(head.near(keys) if keys else (), look)
    return Held.of(dict(filter(None, found)))


def _all(files: Iterable[SegmentFile]) -> DatasetManifest:
    return DatasetManifest.of(obj for file in files for obj in file.objects())


def grow(cloud: Cloud, pipeline: str, former: DatasetHead, new: Iterable[ObjectVersion]) -> DatasetHead:
    """Store a version with these objects and those of a former one, without reading the latter."""
    added = [*segments.parts(sorted(new))]
    return _store(cloud, pipeline, former, former.grown(added), added)


def change(
    cloud: Cloud, pipeline: str, former: DatasetHead, held: Held, wanted: DatasetManifest
) -> DatasetHead:
    """Store a version that has the wanted objects in place of those that were found in a former one.

    An object with new content stays in its segment.
    """
    before, after = set(held.objects.objects), set(wanted.objects)
    gone, new = {obj.key for obj in before - after}, {obj.key: obj for obj in after - before}
    if not gone:
        return grow(cloud, pipeline, former, new.values()) if new else former
    changes: dict[str, Change] = {}
    for each in former.segments:
        found = held.segments.get(each.digest)
        lost = [obj for obj in found.objects if obj.key in gone] if found else []
        # A version of a former release may name a segment twice.
        if found and lost and each.digest not in changes:
            put = [new.pop(obj.key) for obj in lost if obj.key in new]
            changes[each.digest] = Change.of(each, found.file, lost, put)
    added = [*segments.parts(sorted(new.values()))]
    # It did not only grow: its objects are judged anew.
    head = replace(former.changed(changes).grown(added), parent=None, added=())
    return _store(cloud, pipeline, former, head, added, changes)


def make(cloud: Cloud, pipeline: str, manifest: DatasetManifest, former: DatasetHead | None) -> DatasetHead:
    """Store a version given by all its objects; it shares unchanged segments with a former one."""
    if former is not None:
        return change(cloud, pipeline, former, find_all(cloud, pipeline, former), manifest)
    added = [*segments.parts(manifest.objects)]
    head = replace(DatasetHead().grown(added), parent=None, added=())
    return _store(cloud, pipeline, None, head, added)


def _store(
    cloud: Cloud,
    pipeline: str,
    former: DatasetHead | None,
    head: DatasetHead,
    added: Sequence[Packed],
    changes: Mapping[str, Change] | None = None,
) -> DatasetHead:
    """Write a version's segments, its list of files, and at last its head."""
    changes = changes or {}
    changed = {each.segment.digest: each.pieces for each in changes.values() if each.segment}
    write = partial(_write_segments, cloud, pipeline, {**changed, **_files(added)})
    if changes or head.small:
        # What follows may read them.
        write()
        head, small, merged = _merge_small(cloud, pipeline, head)
        listed = {each.segment.digest: each.listed for each in (*added, *merged)}
        head = _write_list(cloud, pipeline, former, head, _Edit(listed, changes, small))
    else:
        edit = _Edit({each.segment.digest: each.listed for each in added}, {}, {})
        _, head = together(write, partial(_write_list, cloud, pipeline, former, head, edit))
    _write_head(cloud, pipeline, head)
    return head


def _write_head(cloud: Cloud, pipeline: str, head: DatasetHead) -> None:
    """Write a version's head. One that was made before, in other segments, leaves the rows of its objects.

    Nobody may read these again: a run of data that were judged before is skipped.
    """
    uri, written = locations(cloud, pipeline).dataset_manifest(head.version), head.to_json()
    if cloud.objects.create(uri, written, _JSON):
        return
    with suppress(*UNREADABLE):
        before = find_head(cloud, pipeline, head.version)
        if before is not None:
            _carry_rows(cloud, pipeline, before, head)
    cloud.objects.write(uri, written, _JSON)


def _carry_rows(cloud: Cloud, pipeline: str, before: DatasetHead, head: DatasetHead) -> None:
    """Store the rows of a version's objects beside the segments that they are in now."""
    former, now = ({each.digest for each in its.segments} for its in (before, head))
    if new := now - former:
        known = read_rows(cloud, pipeline, {*(former - now), *new})
        for digest, file in read_segments(cloud, pipeline, new).items():
            write_segment_rows(cloud, pipeline, digest, file.keys(), known)


def _files(packed: Iterable[Packed]) -> dict[str, Pieces]:
    return {each.segment.digest: [each.file.data] for each in packed}


def _write_segments(cloud: Cloud, pipeline: str, files: Mapping[str, Pieces]) -> None:
    """Write segments, named by their digests, so that writing one again changes nothing."""
    places = locations(cloud, pipeline)
    for digest, pieces in files.items():
        cloud.objects.create(places.segment(digest), pieces, _JSON)


def _merge_small(
    cloud: Cloud, pipeline: str, head: DatasetHead
) -> tuple[DatasetHead, dict[str, SegmentFile], list[Packed]]:
    """Merge small segments once there are many, so that heads stay short: the work is bounded.

    Returns the version, the segments that were merged, and what they became.
    """
    if not head.small:
        return head, {}, []
    small = read_segments(cloud, pipeline, [each.digest for each in head.small])
    merged, rows = [*segments.parts(_all(small.values()).objects)], read_rows(cloud, pipeline, small)
    _write_segments(cloud, pipeline, _files(merged))
    for part in merged:
        write_segment_rows(cloud, pipeline, part.segment.digest, part.file.keys(), rows)
    return head.merged(head.small, merged), small, merged


# --------------------------------------------------------------------------------------- the list of files


@dataclass(frozen=True, slots=True)
class _Edit:
    """How a version's segments came of a former one's, all by digest.

    `listed` are the keys of new segments as a list has them. Others changed, and `small` ones were merged.
    """

    listed: Mapping[str, bytes]
    changes: Mapping[str, Change]
    small: Mapping[str, SegmentFile]

    def after(self, digest: str) -> str:
        """Return what a former segment became; empty if nothing was left."""
        change = self.changes.get(digest)
        return digest if change is None else change.segment.digest if change.segment else ""

    @property
    def keeps_keys(self) -> bool:
        return not any(change.unlisted for change in self.changes.values())


def _write_list(
    cloud: Cloud, pipeline: str, former: DatasetHead | None, head: DatasetHead, edit: _Edit
) -> DatasetHead:
    """Write the list of files that jobs read, of a former list and what is new; S3 copies what is large."""
    if former is None:
        return _write_list_anew(cloud, pipeline, head, edit.listed)
    places = locations(cloud, pipeline)
    source, uri = places.dataset_files(former.version), places.dataset_files(head.version)
    before = [each.digest for each in former.segments]
    stay = [each.digest for each in head.segments[: len(before)]]
    if edit.keeps_keys and stay == [*map(edit.after, before)]:
        tail = (edit.listed[each.digest] for each in head.segments[len(before) :])
        cloud.objects.splice(source, [slice(0, -len(datasets.LIST_END)), *tail, datasets.LIST_END], uri)
        return head
    begin = len(datasets.list_opening(cloud.data_bucket))
    pieces = _pieces(cloud, source, former.listed_at(begin), head, edit)
    if pieces is None:
        return _write_list_anew(cloud, pipeline, head, edit.listed)
    cloud.objects.splice(source, [slice(0, begin), *pieces, datasets.LIST_END], uri)
    return head


def _pieces(
    cloud: Cloud, source: str, spans: Mapping[str, slice], head: DatasetHead, edit: _Edit
) -> list[slice | Piece] | None:
    """Return a list's keys by segment: parts of the former list, and those that are new or cut.

    None if the former list lacks a key where it should be: it may have been written anew, in another order,
    when the same version was made again in another way.
    """
    digests = {each.digest for each in head.segments}
    found: dict[str, Sequence[slice | Piece]] = {at: [keys] for at, keys in edit.listed.items()}
    cuts: list[tuple[slice, Sequence[str], str]] = []
    for digest, span in spans.items():
        after, change = edit.after(digest), edit.changes.get(digest)
        if after not in digests:
            file = change.before if change else edit.small[digest]
            cuts.append((span, file.keys(), ""))
        elif change and change.unlisted:
            cuts.append((span, change.unlisted, after))
        else:
            found[after] = [span]
    bucket, key = bucket_and_key(source)

    def cut(each: tuple[slice, Sequence[str], str]) -> list[memoryview] | None:
        span, keys, _ = each
        part = b"".join(cloud.objects.chunks(bucket, key, span=(span.start, span.stop - 1)))
        return datasets.unlisted(part, keys)

    for (_, _, after), rest in zip(cuts, on_each(cuts, cut), strict=True):
        if rest is None or bool(rest) != bool(after):
            return None
        found[after] = rest
    return [piece for each in head.segments for piece in found[each.digest]] if spans else None


def _write_list_anew(
    cloud: Cloud, pipeline: str, head: DatasetHead, known: Mapping[str, bytes]
) -> DatasetHead:
    """Write the list of a version of which no former list tells; its head tells what is where from now on."""
    places = locations(cloud, pipeline)

    def listed(each: Segment) -> tuple[Segment, bytes]:
        if each.digest in known:
            return each, known[each.digest]
        file = SegmentFile(cloud.objects.read(places.segment(each.digest)))
        packed = Packed.of(file, each.size_bytes)
        # Its name stays, though an older stack's file has more in it.
        return replace(packed.segment, digest=each.digest), packed.listed

    found = on_each(head.segments, listed)
    opening = datasets.list_opening(cloud.data_bucket)
    files = [opening, *(keys for _, keys in found), datasets.LIST_END]
    cloud.objects.write(places.dataset_files(head.version), files, _JSON)
    return replace(head, segments=tuple(each for each, _ in found))


# -------------------------------------------------------------------------------------------- rows of objects


def write_rows(cloud: Cloud, pipeline: str, head: DatasetHead, rows: Mapping[str, int]) -> None:
    """Store the rows of a version's objects that validation read, beside their segments."""
    added = [each for each in head.segments if each.digest in head.added]
    if head.parent and len(added) == len(head.added) == 1 and added[0].objects == len(rows):
        # These are its objects, as those of all other segments were read before.
        write_segment_rows(cloud, pipeline, added[0].digest, rows, rows)
        return
    parent = find_head(cloud, pipeline, head.parent) if head.parent else None
    shared = {each.digest for each in parent.segments} if parent else set()
    own = [each.digest for each in head.segments if each.digest not in shared]
    # What was added may have been merged into others since.
    known = {**read_rows(cloud, pipeline, {*own, *head.added}), **rows}
    for digest, file in read_segments(cloud, pipeline, own).items():
        write_segment_rows(cloud, pipeline, digest, file.keys(), known)


def write_segment_rows(
    cloud: Cloud, pipeline: str, digest: str, keys: Iterable[str], rows: Mapping[str, int]
) -> None:
    """Store the rows of those objects of a segment whose rows are known."""
    known = {key: rows[key] for key in keys if key in rows}
    if known:
        cloud.objects.write(locations(cloud, pipeline).segment_rows(digest), canonical.to_json(known), _JSON)


def read_rows(cloud: Cloud, pipeline: str, digests: Collection[str]) -> dict[str, int]:
    """Read the rows of segments' objects; without those that validation did not read."""
    places = locations(cloud, pipeline)

    def read(digest: str) -> dict[str, int]:
        try:
            found: dict[str, int] = json.loads(cloud.objects.read(places.segment_rows(digest)))
        except FileNotFoundError:
            return {}
        return found

    return {key: rows for found in on_each(digests, read) for key, rows in found.items()}
