"""Compare a data set with the bucket: whether its objects are still what the data set says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.domain.data.datasets import DatasetManifest, ObjectVersion, changed_since
from sluice.domain.data.segments import above, is_near
from sluice.services.data import arrivals, datasets
from sluice.services.side_by_side import on_each, together

if TYPE_CHECKING:
    from sluice.catalog.records.arrivals import Arrival
    from sluice.ports import Cloud, Item

# With more objects than this, do not list the bucket.
LISTED_MAX = 1_000
# So many objects are asked for one by one; more are listed, if no more than so many times others lie between.
_HEADS_MAX = 10
_OTHERS_MAX = 3


def related(
    cloud: Cloud, pipeline: str, wanted: Collection[str], waiting: Iterable[Arrival] = ()
) -> set[str]:
    """Return the keys that a data set may hold, or that have such a key below or above.

    It holds what is settled, and what a run took up that failed after its data were valid.
    """
    loose = {arrival.key for arrival in waiting if arrival.failed_run}
    states = [keys.SETTLED]
    if cloud.catalog.query(keys.partition(pipeline), keys.LOOSE, limit=1):
        states.append(keys.LOOSE)
    found = {key for state in states for key in _related(cloud, pipeline, wanted, state)}
    folders = {folder for key in loose for folder in above(key)}
    return found | {key for key in wanted if is_near(key, loose, folders)}


def _related(cloud: Cloud, pipeline: str, wanted: Collection[str], state: str) -> set[str]:
    """Return the keys that have an item of a state at the same key, below it or above it."""
    pk = keys.partition(pipeline)

    def is_known(folder: str) -> bool:
        return bool(cloud.catalog.query(pk, keys.versions_prefix(state, folder), limit=1))

    def known(group: Sequence[str]) -> list[str]:
        """The keys among and below a folder's keys, or all of these, if there is more than a page."""
        span = f"{state}{group[0]}", f"{state}{group[-1]}/\U0010ffff"
        found = cloud.catalog.query(pk, between=span, limit=arrivals.PAGE)
        return [item["key"] for item in found] if len(found) < arrivals.PAGE else [*group]

    groups = [group for group in _by_folder(wanted) if not any(map(keys.is_long, group))]
    there = {key for found in on_each(groups, known) for key in found}
    there |= {folder for key in there for folder in above(key)}
    folders = sorted({folder for key in wanted for folder in above(key)} - {pipeline})
    files = {name for name, known in zip(folders, on_each(folders, is_known), strict=True) if known}
    return {key for key in wanted if key in there or keys.is_long(key) or not files.isdisjoint(above(key))}


def _by_folder(wanted: Iterable[str]) -> list[list[str]]:
    """Keys in order, by the folder that they lie in."""
    groups: dict[str, list[str]] = defaultdict(list)
    for key in sorted(wanted):
        groups[key.rpartition("/")[0]].append(key)
    return [*groups.values()]


def known_by(pipeline: str) -> list[keys.Key]:
    """Return the keys of the items that tell what is known of a pipeline's objects."""
    return [keys.pipeline_key(pipeline), keys.counts_key(pipeline)]


def is_few(counts: Item | None) -> bool:
    """Tell by a pipeline's counts whether it has few enough objects to list them whenever needed."""
    return int((counts or {}).get("included", 0)) <= LISTED_MAX


def present_versions(cloud: Cloud, wanted: Iterable[str]) -> dict[str, str]:
    """Return the current version id, by key, of those objects that exist.

    Objects that lie together are listed. The listing is given up where others lie between them.
    """
    found: dict[str, str] = {}
    alone: list[str] = []
    for group in _by_folder(wanted):
        listed = _listed(cloud, group) if len(group) > _HEADS_MAX else None
        if listed is None:
            alone += group
        else:
            found |= listed
    heads = on_each(alone, lambda key: cloud.objects.head(cloud.data_bucket, key))
    return {**found, **{head.key: head.version_id for head in heads if head}}


def _listed(cloud: Cloud, group: Sequence[str]) -> dict[str, str] | None:
    """List a folder from the first to the last of its keys; None if others are many times more."""
    first, last, wanted = group[0], group[-1], set(group)
    found: dict[str, str] = {}
    if (head := cloud.objects.head(cloud.data_bucket, first)) is not None:
        found[first] = head.version_id
    folder = first[: first.rfind("/") + 1]
    for seen, head in enumerate(cloud.objects.listing(cloud.data_bucket, folder, after=first)):
        if head.key > last:
            break
        if seen > _OTHERS_MAX * len(group):
            return None
        if head.key in wanted:
            found[head.key] = head.version_id
    return found


def listed_versions(cloud: Cloud, pipeline: str) -> dict[str, str]:
    """Return the current version id, by key, of all objects of a pipeline."""
    listing = cloud.objects.listing(cloud.data_bucket, f"{pipeline}/")
    return {head.key: head.version_id for head in listing}


def current_versions(cloud: Cloud, held: DatasetManifest, touched: Collection[str]) -> dict[str, str]:
    """Return the current version id, by key, of objects of a data set and of touched keys.

    Looks only at keys where something happened since the last valid data set, by S3's events and by what
    `reconcile` finds.
    """
    known = {obj.key: obj.version_id for obj in held.objects if obj.key not in touched}
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
    known = [ObjectVersion.of(arrival) for arrival in found if arrival and arrival.sha256]
    return changed_since(manifest, current, known)


def changed_since_made(cloud: Cloud, pipeline: str, version: str, known: Sequence[Item | None]) -> list[str]:
    """Return the keys of a data set whose content changed since it was made; `known` are items by `known_by`.

    What happened is known since the last valid data set alone, so of any other the whole bucket is looked at.
    """
    head, (its, counts) = datasets.find_head(cloud, pipeline, version), known
    if head is None or version != (its or {}).get("dataset_version") or is_few(counts):
        manifest, current = together(
            lambda: (
                datasets.find_manifest(cloud, pipeline, version)
                if head is None
                else datasets.find_all(cloud, pipeline, head).objects
            ),
            lambda: listed_versions(cloud, pipeline),
        )
        return changed_objects(cloud, pipeline, manifest, current)
    waiting = arrivals.waiting(cloud, pipeline)
    touched = arrivals.touched(cloud, pipeline, waiting)
    # What the version took up is not settled yet, so the catalog does not tell that it holds this.
    new = {arrival.key for arrival in waiting if arrival.dataset_version == version}
    near = related(cloud, pipeline, touched - new, waiting)
    if head.parent is None:
        held = datasets.find_near(cloud, pipeline, head, near | new).objects.objects
    else:
        added = datasets.find_added(cloud, pipeline, head).objects
        held = (*added, *datasets.find_near(cloud, pipeline, head, near).objects.objects)
    asked = DatasetManifest.of(obj for obj in held if obj.key in touched)
    return changed_objects(cloud, pipeline, asked, present_versions(cloud, touched))
