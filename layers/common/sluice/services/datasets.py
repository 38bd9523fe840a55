"""Store and read data set versions: heads, segments, and the list of files that jobs read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sluice.domain import canonical
from sluice.domain.data import datasets, segments
from sluice.domain.data.datasets import DatasetManifest, ObjectVersion
from sluice.domain.data.segments import DatasetHead, Packed
from sluice.lazy import dataclass
from sluice.services.arrivals import on_each
from sluice.services.building import locations

if TYPE_CHECKING:
    from sluice.ports import Cloud

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


def read_segments(cloud: Cloud, pipeline: str, digests: Collection[str]) -> dict[str, DatasetManifest]:
    """Read segments, by digest."""
    places = locations(cloud, pipeline)
    read = on_each(digests, lambda digest: cloud.objects.read(places.segment(digest)))
    return dict(zip(digests, map(segments.from_file, read), strict=True))


def find_added(cloud: Cloud, pipeline: str, head: DatasetHead) -> DatasetManifest:
    """Read the objects that a version has and its parent lacks."""
    return _all(read_segments(cloud, pipeline, head.added))


@dataclass(frozen=True, slots=True)
class Held:
    """Objects that a version holds, and the segments that were read to find them, by digest."""

    objects: DatasetManifest
    segments: Mapping[str, DatasetManifest]


def find_all(cloud: Cloud, pipeline: str, head: DatasetHead) -> Held:
    """Find all objects of a version."""
    read = read_segments(cloud, pipeline, [each.digest for each in head.segments])
    return Held(_all(read), read)


def find_near(cloud: Cloud, pipeline: str, head: DatasetHead, keys: Collection[str]) -> Held:
    """Find what a version holds at some keys, below or above them; reads the segments that may hold it."""
    read = read_segments(cloud, pipeline, head.near(keys)) if keys else {}
    folders = {folder for key in keys for folder in segments.above(key)}
    found = (obj for obj in _all(read).objects if segments.is_near(obj.key, keys, folders))
    return Held(DatasetManifest.of(found), read)


def _all(read: Mapping[str, DatasetManifest]) -> DatasetManifest:
    return DatasetManifest.of(obj for manifest in read.values() for obj in manifest.objects)


def grow(cloud: Cloud, pipeline: str, former: DatasetHead, new: Iterable[ObjectVersion]) -> DatasetHead:
    """Store a version with these objects and those of a former one, without reading the latter."""
    added = [*segments.parts(sorted(new))]
    _write_segments(cloud, pipeline, added)
    head = former.grown(added)
    keys = [obj.key for each in added for obj in each.objects.objects]
    _write_files(cloud, pipeline, former.version, head.version, keys)
    return _store(cloud, pipeline, _merge_small(cloud, pipeline, head))


def change(
    cloud: Cloud, pipeline: str, former: DatasetHead, held: Held, wanted: DatasetManifest
) -> DatasetHead:
    """Store a version that has the wanted objects in place of those that were found in a former one."""
    before, after = set(held.objects.objects), set(wanted.objects)
    gone, new = before - after, after - before
    if not gone:
        return grow(cloud, pipeline, former, new) if new else former
    split = {
        digest: segments.split(part, gone)
        for digest, part in held.segments.items()
        if not gone.isdisjoint(part.objects)
    }
    lost = {digest: lost for digest, (_, lost) in split.items()}
    rest = [Packed.of(left) for left, _ in split.values() if left.objects]
    added = [*segments.parts(sorted(new))]
    _write_segments(cloud, pipeline, [*rest, *added])
    # It did not only grow: its objects are judged anew.
    head = replace(former.reduced(lost, rest).grown(added), parent=None, added=())
    # A version of a former release may list a key twice.
    listed = Counter(
        obj.key for each in former.segments if each.digest in lost for obj in lost[each.digest].objects
    )
    replaced = {obj.key for obj in new if listed[obj.key] == 1}
    more = sorted({obj.key for obj in new} - replaced)
    _write_files(cloud, pipeline, former.version, head.version, more, listed.keys() - replaced)
    return _store(cloud, pipeline, _merge_small(cloud, pipeline, head))


def make(cloud: Cloud, pipeline: str, manifest: DatasetManifest, former: DatasetHead | None) -> DatasetHead:
    """Store a version given by all its objects; it shares unchanged segments with a former one."""
    if former is not None:
        return change(cloud, pipeline, former, find_all(cloud, pipeline, former), manifest)
    added = [*segments.parts(manifest.objects)]
    _write_segments(cloud, pipeline, added)
    head = replace(DatasetHead().grown(added), parent=None, added=())
    files = datasets.files_manifest(cloud.data_bucket, manifest.objects)
    uri = locations(cloud, pipeline).dataset_files(head.version)
    cloud.objects.write(uri, json.dumps(files).encode(), _JSON)
    return _store(cloud, pipeline, head)


def _store(cloud: Cloud, pipeline: str, head: DatasetHead) -> DatasetHead:
    cloud.objects.write(locations(cloud, pipeline).dataset_manifest(head.version), head.to_json(), _JSON)
    return head


def _write_segments(cloud: Cloud, pipeline: str, packed: Iterable[Packed]) -> None:
    """Write segments, named by their digests, so that writing one again changes nothing."""
    places = locations(cloud, pipeline)
    for each in packed:
        cloud.objects.create(places.segment(each.segment.digest), each.file, _JSON)


def _merge_small(cloud: Cloud, pipeline: str, head: DatasetHead) -> DatasetHead:
    """Merge small segments once there are many, so that heads stay short: the work is bounded."""
    if not head.small:
        return head
    digests = [each.digest for each in head.small]
    objects = sorted(obj for each in read_segments(cloud, pipeline, digests).values() for obj in each.objects)
    merged, rows = [*segments.parts(objects)], read_rows(cloud, pipeline, digests)
    _write_segments(cloud, pipeline, merged)
    for part in merged:
        write_segment_rows(cloud, pipeline, part.segment.digest, part.objects, rows)
    return head.merged(head.small, merged)


def _write_files(
    cloud: Cloud,
    pipeline: str,
    former: str,
    version: str,
    new_keys: Sequence[str],
    lost_keys: Collection[str] = (),
) -> None:
    """Write the list of files that a job reads: SageMaker takes one list for an input, of any length."""
    places = locations(cloud, pipeline)
    uri = places.dataset_files(version)
    if not lost_keys:
        tail = "".join(f", {json.dumps(key)}" for key in new_keys) + "]"
        cloud.objects.extend(places.dataset_files(former), 1, tail.encode(), uri)
        return
    prefix, *listed = json.loads(cloud.objects.read(places.dataset_files(former)))
    files = [prefix, *(key for key in listed if key not in lost_keys), *new_keys]
    cloud.objects.write(uri, json.dumps(files).encode(), _JSON)


# -------------------------------------------------------------------------------------------- rows of objects


def write_rows(cloud: Cloud, pipeline: str, head: DatasetHead, rows: Mapping[str, int]) -> None:
    """Store the rows of a version's objects that validation read, beside their segments."""
    parent = find_head(cloud, pipeline, head.parent) if head.parent else None
    shared = {each.digest for each in parent.segments} if parent else set()
    own = [each.digest for each in head.segments if each.digest not in shared]
    # What was added may have been merged into others since.
    known = {**read_rows(cloud, pipeline, {*own, *head.added}), **rows}
    for digest, manifest in read_segments(cloud, pipeline, own).items():
        write_segment_rows(cloud, pipeline, digest, manifest, known)


def write_segment_rows(
    cloud: Cloud, pipeline: str, digest: str, manifest: DatasetManifest, rows: Mapping[str, int]
) -> None:
    """Store the rows of those objects of a segment whose rows are known."""
    known = {obj.key: rows[obj.key] for obj in manifest.objects if obj.key in rows}
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
