"""Store and read data set versions: heads, segments, and the list of files that jobs read."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sluice.domain import canonical
from sluice.domain.data import datasets, segments
from sluice.domain.data.datasets import DatasetManifest, ObjectVersion
from sluice.domain.data.segments import DatasetHead, Segment
from sluice.domain.locations import Locations
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
    found = read_segments(cloud, pipeline, [each.digest for each in head.segments])
    return DatasetManifest.of(obj for manifest in found.values() for obj in manifest.objects)


def read_segments(cloud: Cloud, pipeline: str, digests: Collection[str]) -> dict[str, DatasetManifest]:
    """Read segments, by digest."""
    places = locations(cloud, pipeline)
    read = on_each(digests, lambda digest: cloud.objects.read(places.segment(digest)))
    return dict(zip(digests, map(segments.from_file, read), strict=True))


def find_added(cloud: Cloud, pipeline: str, head: DatasetHead) -> DatasetManifest:
    """Read the objects that a version has and its parent lacks."""
    found = read_segments(cloud, pipeline, head.added)
    return DatasetManifest.of(obj for manifest in found.values() for obj in manifest.objects)


def grow(cloud: Cloud, pipeline: str, former: DatasetHead, new: Sequence[ObjectVersion]) -> DatasetHead:
    """Store a version with these objects and those of a former one, without reading the latter."""
    places = locations(cloud, pipeline)
    added = [*segments.parts(sorted(new))]
    _write_segments(cloud, pipeline, added)
    head = former.grown(added)
    _extend_files(cloud, places, former.version, head.version, [obj.key for obj in sorted(new)])
    return _store(cloud, pipeline, _merge_small(cloud, pipeline, head))


def make(cloud: Cloud, pipeline: str, manifest: DatasetManifest, former: DatasetHead | None) -> DatasetHead:
    """Store a version given by all its objects; it shares unchanged segments with a former one."""
    digests = [each.digest for each in former.segments] if former else []
    known = read_segments(cloud, pipeline, digests)
    wanted, had = set(manifest.objects), {obj for each in known.values() for obj in each.objects}
    if former is not None and had <= wanted:
        return grow(cloud, pipeline, former, [*wanted - had]) if wanted != had else former
    divided = segments.divide(manifest, known)
    # Those that stayed are there.
    _write_segments(cloud, pipeline, (part for part in divided if not any(part is k for k in known.values())))
    head = replace(DatasetHead().grown(divided), parent=None, added=())
    files = datasets.files_manifest(cloud.data_bucket, manifest.objects)
    uri = locations(cloud, pipeline).dataset_files(head.version)
    cloud.objects.write(uri, json.dumps(files).encode(), _JSON)
    return _store(cloud, pipeline, head)


def _store(cloud: Cloud, pipeline: str, head: DatasetHead) -> DatasetHead:
    cloud.objects.write(locations(cloud, pipeline).dataset_manifest(head.version), head.to_json(), _JSON)
    return head


def _write_segments(cloud: Cloud, pipeline: str, parts: Iterable[DatasetManifest]) -> None:
    """Write segments, named by their digests, so that writing one again changes nothing."""
    places = locations(cloud, pipeline)
    for part in parts:
        file = segments.to_file(part)
        cloud.objects.create(places.segment(segments.digest(file)), file, _JSON)


def _merge_small(cloud: Cloud, pipeline: str, head: DatasetHead) -> DatasetHead:
    """Merge small segments once there are many, so that heads stay short: the work is bounded."""
    if not head.small:
        return head
    digests = [each.digest for each in head.small]
    objects = sorted(obj for each in read_segments(cloud, pipeline, digests).values() for obj in each.objects)
    merged, rows = [*segments.parts(objects)], read_rows(cloud, pipeline, digests)
    _write_segments(cloud, pipeline, merged)
    for part in merged:
        _write_rows(cloud, pipeline, Segment.of(part).digest, part, rows)
    return head.merged(head.small, merged)


def _extend_files(
    cloud: Cloud, places: Locations, former: str, version: str, new_keys: Sequence[str]
) -> None:
    """Write the list of files that a job reads: SageMaker takes one list for an input, of any length."""
    tail = "".join(f", {json.dumps(key)}" for key in new_keys) + "]"
    cloud.objects.extend(places.dataset_files(former), 1, tail.encode(), places.dataset_files(version))


# -------------------------------------------------------------------------------------------- rows of objects


def write_rows(cloud: Cloud, pipeline: str, version: str, rows: Mapping[str, int]) -> None:
    """Store the rows of objects that validation read, beside their segments."""
    head = find_head(cloud, pipeline, version)
    if head is None:
        return
    parent = find_head(cloud, pipeline, head.parent) if head.parent else None
    shared = {each.digest for each in parent.segments} if parent else set()
    own = [each.digest for each in head.segments if each.digest not in shared]
    known = {**read_rows(cloud, pipeline, own), **rows}
    for digest, manifest in read_segments(cloud, pipeline, own).items():
        _write_rows(cloud, pipeline, digest, manifest, known)


def _write_rows(
    cloud: Cloud, pipeline: str, digest: str, manifest: DatasetManifest, rows: Mapping[str, int]
) -> None:
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
