"""Make a data set version: of the last valid one, and of the current objects of complete batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.catalog.records.arrivals import Arrival
from sluice.catalog.records.recalls import Recall
from sluice.domain.data import batches, uploads
from sluice.domain.data.batches import Batch
from sluice.domain.data.datasets import DatasetManifest, ObjectVersion, combine
from sluice.domain.data.datasets import changes as changed
from sluice.domain.data.segments import DatasetHead
from sluice.lazy import dataclass
from sluice.ports import Cloud, Item
from sluice.services.data import arrivals, batching, datasets, presence, recalling
from sluice.services.data.datasets import Held
from sluice.services.side_by_side import on_each, together
from sluice.services.timeline import note

if TYPE_CHECKING:
    from sluice.domain.config.models import Data
    from sluice.events import BuildTask


@dataclass(frozen=True, slots=True)
class Former:
    """The last valid data set; an older stack's version has no head."""

    version: str
    head: DatasetHead | None


@dataclass(frozen=True, slots=True)
class Made:
    """A stored version, its new objects, all batches that were found, and how it differs from the last."""

    head: DatasetHead
    fresh: Sequence[ObjectVersion]
    found: Sequence[Batch]
    changes: Mapping[str, int]
    # How many objects arrived whose content was recalled before.
    recalled: int = 0


def find_former(cloud: Cloud, pipeline: str, item: Item | None) -> Former | None:
    """Find the last valid data set of a pipeline, by its item."""
    version = (item or {}).get("dataset_version")
    return None if version is None else Former(version, datasets.find_head(cloud, pipeline, version))


def make(
    cloud: Cloud,
    task: BuildTask,
    data: Data,
    former: Former | None,
    recalled: Mapping[str, Recall],
    waiting: list[Arrival],
    *,
    is_listed: bool,
) -> Made:
    """Make and store a version; set aside what was recalled, and keys that no file system can hold.

    `recalled` is by sha256. `is_listed`: there are so few objects that the bucket is listed.
    """
    recalled_again = 0
    while True:
        whole = data.mode == "replace"
        found = batching.find(cloud, task.pipeline, data.complete_when, waiting, whole=whole)
        known = _known(cloud, task.pipeline, data, former, waiting, recalled, is_listed=is_listed)
        parts = _parts(cloud, task.pipeline, data, known, batches.ready(found)).without(recalled)
        aside = recalling.set_aside_waiting(cloud, waiting, recalled)
        recalled_again += aside
        if not aside and not _set_aside_obstructed(cloud, task.pipeline, data.mode, parts):
            break
        waiting = find_waiting(cloud, task.pipeline)
    manifest = _combine(cloud, task.pipeline, data, waiting, parts)
    _say_doubt(cloud, task, data, parts.complete)
    if former is None or former.head is None:
        head = datasets.make(cloud, task.pipeline, manifest, None)
    else:
        head = datasets.change(cloud, task.pipeline, former.head, known.held, manifest)
    held = set(manifest.objects)
    # Two manifest files may list the same object.
    fresh = dict.fromkeys(obj for obj in map(ObjectVersion.of, parts.fresh) if obj in held)
    return Made(head, [*fresh], found, changed(known.held.objects, manifest, known.current), recalled_again)


@dataclass(frozen=True, slots=True)
class _Known:
    """Objects of the last valid data set, and the bucket's current version ids by key."""

    held: Held
    current: Mapping[str, str]


def _known(
    cloud: Cloud,
    pipeline: str,
    data: Data,
    former: Former | None,
    waiting: Sequence[Arrival],
    recalled: Mapping[str, Recall],
    *,
    is_listed: bool,
) -> _Known:
    """Read the part of the last valid data set that may change.

    In mode append that is what lies at, below or above a key where something happened since. Another mode
    may drop anything, as may a recall that no model was built for. A small pipeline is read whole, so that
    it needs no event.
    """
    is_recalled = any(each.status == "open" for each in recalled.values())
    if former is None:
        return _Known(Held(DatasetManifest(()), {}), presence.listed_versions(cloud, pipeline))
    if is_listed:
        held, current = together(
            partial(_all_held, cloud, pipeline, former), partial(presence.listed_versions, cloud, pipeline)
        )
        return _Known(held, current)
    touched = arrivals.touched(cloud, pipeline, waiting)
    if former.head is None or is_recalled or data.mode != "append":
        held = _all_held(cloud, pipeline, former)
    else:
        near = presence.related(cloud, pipeline, touched, waiting)
        held = datasets.find_near(cloud, pipeline, former.head, near)
    return _Known(held, presence.current_versions(cloud, held.objects, touched))


def _all_held(cloud: Cloud, pipeline: str, former: Former) -> Held:
    if former.head is None:
        return Held(datasets.find_manifest(cloud, pipeline, former.version), {})
    return datasets.find_all(cloud, pipeline, former.head)


def find_waiting(cloud: Cloud, pipeline: str) -> list[Arrival]:
    """Return what waits, including what a dead attempt or an invalid version took up."""
    return [arrival.as_untaken() for arrival in arrivals.waiting(cloud, pipeline)]


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts of a data set: the last valid one, and the current objects of complete batches."""

    former: DatasetManifest
    fresh: list[Arrival]
    complete: list[Batch]

    def keys(self, mode: str) -> Iterator[str]:
        """Yield the keys of the objects in order of arrival."""
        if mode != "replace" or not self.fresh:
            yield from (obj.key for obj in self.former.objects)
        yield from (obj.key for obj in self.fresh)

    def without(self, recalled: Mapping[str, Recall]) -> _Parts:
        """Return them without objects of a recalled content."""
        fresh = [obj for obj in self.fresh if obj.sha256 not in recalled]
        return replace(self, former=recalling.without(self.former, recalled), fresh=fresh)


def _parts(
    cloud: Cloud,
    pipeline: str,
    data: Data,
    known: _Known,
    complete: list[Batch],
) -> _Parts:
    """Collect the parts, without what was overwritten or deleted since."""
    # The newest complete batch replaced the others before they were built.
    taken = complete[-1:] if data.mode == "replace" else complete
    objects = [obj for batch in taken for obj in batch.objects]
    # Settled objects of a batch need not be in the last data set.
    others = presence.present_versions(cloud, {obj.key for obj in objects} - known.current.keys())
    now = {**known.current, **others}
    fresh = [obj for obj in objects if now.get(obj.key) == obj.version_id]
    return _Parts(_unchanged(cloud, pipeline, known), fresh, complete)


def _set_aside_obstructed(cloud: Cloud, pipeline: str, mode: str, parts: _Parts) -> bool:
    """Quarantine keys that a file system cannot hold beside the others; True if there was any."""
    reasons = uploads.obstructed(parts.keys(mode))
    found = [obj for obj in parts.fresh if obj.key in reasons and obj.is_waiting]
    on_each(found, lambda obj: _set_aside(cloud, pipeline, obj, reasons[obj.key]))
    return bool(found)


def _set_aside(cloud: Cloud, pipeline: str, obj: Arrival, reason: str) -> None:
    arrival = arrivals.find(cloud, pipeline, obj.key, obj.version_id)
    if arrival is not None and arrival.state == keys.WAITING:
        batching.set_aside(cloud, arrival, reason)
    note(cloud, pipeline, obj.arrived_at, obj.key, "data quarantined", reason)


def _say_doubt(cloud: Cloud, task: BuildTask, data: Data, complete: list[Batch]) -> None:
    """Note which of several batches that were completed within one second was taken."""
    tied = batches.in_doubt(complete) if data.mode == "replace" else complete[:1]
    if len(tied) > 1:
        *others, taken = (batch.folder or batch.name for batch in tied)
        detail = f"{taken} is taken as the newest, as it was heard of after {', '.join(others)}"
        note(cloud, task.pipeline, tied[-1].completed_at, task.run_id, "batches of one second", detail)


def _combine(
    cloud: Cloud, pipeline: str, data: Data, waiting: list[Arrival], parts: _Parts
) -> DatasetManifest:
    manifest = combine(data.mode, parts.former, [*map(ObjectVersion.of, parts.fresh)])
    if data.window is None:
        return manifest
    from sluice.services.data import windows

    named = {obj: batch.name for batch in parts.complete for obj in batch.waiting}
    dated = [replace(obj, batch=named.get(obj, obj.batch)) for obj in waiting]
    return windows.within(cloud, pipeline, data.window, parts.former, manifest, dated)


def _unchanged(cloud: Cloud, pipeline: str, known: _Known) -> DatasetManifest:
    changed = set(presence.changed_objects(cloud, pipeline, known.held.objects, known.current))
    return DatasetManifest.of(obj for obj in known.held.objects.objects if obj.key not in changed)
