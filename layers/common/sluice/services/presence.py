"""Compare a data set with the bucket: whether its objects are still what the data set says."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.domain.data.datasets import DatasetManifest, ObjectVersion, changed_since
from sluice.services import arrivals, datasets
from sluice.services.arrivals import on_each

if TYPE_CHECKING:
    from sluice.ports import Cloud, Item

# With more objects than this, do not list the bucket.
LISTED_MAX = 1_000


def related(cloud: Cloud, pipeline: str, wanted: Collection[str]) -> set[str]:
    """Return the keys that have something settled at the same key, below it or above it."""
    folders = {key[:at] for key in wanted for at, sign in enumerate(key) if sign == "/"}
    folders.discard(pipeline)
    asked = {
        **{key: [keys.versions_prefix(keys.SETTLED, key), f"{keys.SETTLED}{key}/"] for key in wanted},
        **{folder: [keys.versions_prefix(keys.SETTLED, folder)] for folder in folders},
    }

    def is_known(key: str) -> bool:
        pk = keys.partition(pipeline)
        return any(cloud.catalog.query(pk, prefix, limit=1) for prefix in asked[key])

    names = sorted(asked)
    found = {name for name, known in zip(names, on_each(names, is_known), strict=True) if known}
    return {key for key in wanted if key in found or any(key.startswith(f"{name}/") for name in found)}


def is_listed(cloud: Cloud, pipeline: str) -> bool:
    """Tell whether the pipeline has few enough objects to list them whenever needed."""
    counts = cloud.catalog.get(keys.counts_key(pipeline)) or {}
    return bool(counts.get("included", 0) <= LISTED_MAX)


def present_versions(cloud: Cloud, wanted: Iterable[str]) -> dict[str, str]:
    """Return the current version id, by key, of those objects that exist."""
    heads = on_each(wanted, lambda key: cloud.objects.head(cloud.data_bucket, key))
    return {head.key: head.version_id for head in heads if head}


def current_versions(cloud: Cloud, pipeline: str, manifest: DatasetManifest | None) -> dict[str, str]:
    """Return the current version id, by key, of each object of a data set and each that waits.

    Lists a small bucket. In a large one it looks only at keys where something happened since the last valid
    data set, by S3's events and by what `reconcile` finds.
    """
    if manifest is None or is_listed(cloud, pipeline):
        listing = cloud.objects.listing(cloud.data_bucket, f"{pipeline}/")
        return {head.key: head.version_id for head in listing}
    touched = arrivals.touched(cloud, pipeline)
    known = {obj.key: obj.version_id for obj in manifest.objects if obj.key not in touched}
    return {**known, **present_versions(cloud, touched)}


def changed_objects(
    cloud: Cloud, pipeline: str, manifest: DatasetManifest, current: Mapping[str, str]
) -> list[str]:
    """Return the data set's keys whose content has changed: jobs read by key, so they would read it.

    If a key has another version, the arrivals tell whether its content differs.
    """
    others = [
        (obj.key, current[obj.key])
        for obj in manifest.objects
        if current.get(obj.key, obj.version_id) != obj.version_id
    ]
    found = on_each(others, lambda other: arrivals.find(cloud, pipeline, *other))
    known = [_object_version(arrival) for arrival in found if arrival and "sha256" in arrival]
    return changed_since(manifest, current, known)


def changed_since_made(cloud: Cloud, pipeline: str, version: str) -> list[str]:
    """Return the keys of a data set whose content changed since it was made."""
    head = datasets.find_head(cloud, pipeline, version)
    if head is not None and head.parent is not None and not is_listed(cloud, pipeline):
        new = datasets.find_added(cloud, pipeline, head)
        if not related(cloud, pipeline, arrivals.touched(cloud, pipeline) - {obj.key for obj in new.objects}):
            present = present_versions(cloud, [obj.key for obj in new.objects])
            return changed_objects(cloud, pipeline, new, present)
    manifest = datasets.find_manifest(cloud, pipeline, version)
    return changed_objects(cloud, pipeline, manifest, current_versions(cloud, pipeline, manifest))


def _object_version(arrival: Item) -> ObjectVersion:
    return ObjectVersion(arrival["key"], arrival["version_id"], arrival["size_bytes"], arrival["sha256"])
