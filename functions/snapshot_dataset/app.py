"""SnapshotDataset task: make a data set version of what arrived."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog import keys
from sluice.catalog.changes import arrivals as changes
from sluice.catalog.changes import builds
from sluice.catalog.changes.data import add_dataset, index_dataset
from sluice.catalog.records.arrivals import Arrival
from sluice.catalog.records.builds import Built, Project
from sluice.catalog.records.data import Dataset
from sluice.catalog.records.recalls import Recall
from sluice.domain import wording
from sluice.domain.build.errors import DatasetChangedError
from sluice.domain.data import batches, uploads
from sluice.domain.data.batches import Batch
from sluice.domain.data.datasets import DatasetManifest, ObjectVersion, combine
from sluice.domain.data.datasets import changes as changed
from sluice.domain.data.segments import DatasetHead
from sluice.events import BuildTask, event_parser
from sluice.lazy import dataclass
from sluice.observability import logger
from sluice.ports import Cloud, Item
from sluice.quality.validation import Report, Violation
from sluice.services import building
from sluice.services.building import Begun
from sluice.services.data import arrivals, batching, datasets, presence, recalling
from sluice.services.data.datasets import Held
from sluice.services.side_by_side import on_each, together
from sluice.services.timeline import note, noting
from sluice.tasks import machine_task

if TYPE_CHECKING:
    from sluice.domain.config.models import Data

_KEYS_SHOWN = 5


@logger.inject_lambda_context(clear_state=True)
@machine_task
@event_parser(model=BuildTask)
def lambda_handler(task: BuildTask, context: LambdaContext) -> dict[str, Any]:
    cloud = wiring.cloud()
    logger.append_keys(run_id=task.run_id)
    begun = building.find_begun(cloud, task, *presence.known_by(task.pipeline))
    run, (pipeline, counts) = begun.run, begun.others
    if run.given_dataset:
        return _given(cloud, task, begun, run.given_dataset)
    former, recalls, waiting = together(
        partial(_former, cloud, task.pipeline, pipeline),
        partial(recalling.find, cloud, task.pipeline),
        partial(_waiting, cloud, task.pipeline),
    )
    recalled = {each.sha256: each for each in recalls}
    is_listed = presence.is_few(counts)
    made = _make(cloud, task, begun.config().data, former, recalled, waiting, is_listed=is_listed)
    version = made.head.version
    _, reasons = together(
        partial(_record, cloud, task, made),
        partial(_skip_reasons, cloud, task, made.head, begun.project),
    )
    _take_up(cloud, task, version, made.found)
    if reasons:
        _set_aside_again(cloud, task.pipeline, version, made.fresh)
    is_wanted = run.actor is not None and bool(made.head.objects)
    return _answer(
        cloud, task, version, made.head.objects, made.head.size_bytes, [] if is_wanted else reasons
    )


def _answer(
    cloud: Cloud, task: BuildTask, version: str, objects: int, size_bytes: int, skip_reasons: Sequence[str]
) -> dict[str, Any]:
    locations = building.locations(cloud, task.pipeline)
    return {
        "dataset_version": version,
        "manifest_uri": locations.dataset_manifest(version),
        "files_uri": locations.dataset_files(version),
        "is_new": not skip_reasons,
        "skip_reasons": [*skip_reasons],
        "objects": objects,
        "size_bytes": size_bytes,
    }


def _given(cloud: Cloud, task: BuildTask, begun: Begun, version: str) -> dict[str, Any]:
    """Use a version that a person named. A retry also takes up again what the failed run had taken up."""
    run, changed = begun.run, presence.changed_since_made(cloud, task.pipeline, version, begun.others)
    if changed and run.reads_versions:
        from sluice.services.build import reproducing

        uri = reproducing.restore(cloud, run, version)
        cloud.catalog.apply(builds.read_restored(task.pipeline, task.run_id, uri))
    elif changed:
        shown = ", ".join(changed[:_KEYS_SHOWN])
        raise DatasetChangedError(
            f"{wording.count(len(changed), 'object')} changed since the data set {version[:12]} was made: "
            f"{shown}"
        )
    cloud.catalog.apply(
        builds.read_data(task.pipeline, task.run_id, version),
        builds.index_reader(task.pipeline, task.run_id, version, cloud.now()),
    )
    if run.retry_of:
        batching.take_up_again(cloud, task.pipeline, run.retry_of, version, task.run_id)
    dataset = building.require_dataset(cloud, task.pipeline, version)
    return _answer(cloud, task, version, dataset.objects, dataset.size_bytes, [])


@dataclass(frozen=True, slots=True)
class _Former:
    """The last valid data set; an older stack's version has no head."""

    version: str
    head: DatasetHead | None


@dataclass(frozen=True, slots=True)
class _Made:
    """A stored version, its new objects, all batches that were found, and how it differs from the last."""

    head: DatasetHead
    fresh: Sequence[ObjectVersion]
    found: Sequence[Batch]
    changes: Mapping[str, int]


def _former(cloud: Cloud, pipeline: str, item: Item | None) -> _Former | None:
    version = (item or {}).get("dataset_version")
    return None if version is None else _Former(version, datasets.find_head(cloud, pipeline, version))


def _make(
    cloud: Cloud,
    task: BuildTask,
    data: Data,
    former: _Former | None,
    recalled: Mapping[str, Recall],
    waiting: list[Arrival],
    *,
    is_listed: bool,
) -> _Made:
    while True:
        whole = data.mode == "replace"
        found = batching.find(cloud, task.pipeline, data.complete_when, waiting, whole=whole)
        known = _known(cloud, task.pipeline, data, former, waiting, recalled, is_listed=is_listed)
        parts = _parts(cloud, task.pipeline, data, known, batches.ready(found)).without(recalled)
        is_aside = recalling.set_aside_waiting(cloud, waiting, recalled)
        if not is_aside and not _set_aside_obstructed(cloud, task.pipeline, data.mode, parts):
            break
        waiting = _waiting(cloud, task.pipeline)
    manifest = _combine(cloud, task.pipeline, data, waiting, parts)
    _say_doubt(cloud, task, data, parts.complete)
    if former is None or former.head is None:
        head = datasets.make(cloud, task.pipeline, manifest, None)
    else:
        head = datasets.change(cloud, task.pipeline, former.head, known.held, manifest)
    held = set(manifest.objects)
    # Two manifest files may list the same object.
    fresh = dict.fromkeys(obj for obj in map(ObjectVersion.of, parts.fresh) if obj in held)
    return _Made(head, [*fresh], found, changed(known.held.objects, manifest, known.current))


@dataclass(frozen=True, slots=True)
class _Known:
    """Objects of the last valid data set, and the bucket's current version ids by key."""

    held: Held
    current: Mapping[str, str]


def _known(
    cloud: Cloud,
    pipeline: str,
    data: Data,
    former: _Former | None,
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


def _all_held(cloud: Cloud, pipeline: str, former: _Former) -> Held:
    if former.head is None:
        return Held(datasets.find_manifest(cloud, pipeline, former.version), {})
    return datasets.find_all(cloud, pipeline, former.head)


def _waiting(cloud: Cloud, pipeline: str) -> list[Arrival]:
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


def _take_up(cloud: Cloud, task: BuildTask, version: str, found: Iterable[Batch]) -> None:
    """Mark what this version takes up: complete batches, and the manifest files that list them."""
    settled = {
        arrival: batch.name
        for batch in found
        if not batch.missing
        for arrival in (*batch.waiting, *([batch.manifest] if batch.manifest else []))
    }
    on_each(
        settled.items(),
        lambda each: cloud.catalog.apply(*changes.take_up(each[0], version, each[1], task.run_id)),
    )


def _set_aside_again(cloud: Cloud, pipeline: str, version: str, fresh: Sequence[ObjectVersion]) -> None:
    """Quarantine released data again, without another run, if this project rejected the same before."""
    dataset = building.find_dataset(cloud, pipeline, version)
    if dataset is not None and dataset.status == "rejected":
        batching.quarantine(cloud, pipeline, version, fresh, _verdict(cloud, dataset))


def _verdict(cloud: Cloud, dataset: Dataset) -> Report:
    """Return a rejected version's report; if it is gone, the catalog's reasons, which name no object."""
    try:
        return Report.from_json(cloud.objects.read(str(dataset.report_uri)))
    except FileNotFoundError:
        return Report(dataset.rows or 0, tuple(Violation(None, "", why, 0) for why in dataset.reasons))


def _record(cloud: Cloud, task: BuildTask, made: _Made) -> None:
    now, head = cloud.now(), made.head
    dataset = Dataset(
        pipeline=task.pipeline,
        version=head.version,
        status="new" if head.objects else "empty",
        manifest_uri=building.locations(cloud, task.pipeline).dataset_manifest(head.version),
        objects=head.objects,
        size_bytes=head.size_bytes,
        created_at=now,
        reasons=() if head.objects else ("it has no objects",),
    )
    read = (
        builds.read_data(task.pipeline, task.run_id, head.version, made.changes),
        builds.index_reader(task.pipeline, task.run_id, head.version, now),
    )
    held = f"{wording.count(head.objects, 'object')}, {wording.count(head.size_bytes, 'byte')}"
    detail = f"{head.version[:12]}: {held}"
    detail += f"; {wording.changes(made.changes)}" if made.changes else ""
    noted = noting(task.pipeline, now, task.run_id, "dataset versioned", detail)
    if not cloud.catalog.apply(add_dataset(dataset), index_dataset(dataset), *read, noted):
        # It was made before.
        cloud.catalog.apply(*read)


def _skip_reasons(cloud: Cloud, task: BuildTask, head: DatasetHead, project: Project) -> list[str]:
    """Say why there is nothing to build; empty if there is."""
    if not head.objects:
        return ["no data are left to build a model of"]
    if _was_built(cloud, task, head.version, project):
        return ["this project version came to a verdict on this data before"]
    return []


def _was_built(cloud: Cloud, task: BuildTask, dataset_version: str, project: Project) -> bool:
    """Tell whether another run came to a conclusion on the same data with the same project.

    A run that compared with a champion does not count if a later push waives that comparison.
    """
    item = cloud.catalog.get(keys.built_key(task.pipeline, dataset_version, task.project_version))
    if item is None:
        return False
    return Built.of(item).started_at >= (project.replaces_champion_at or "")
