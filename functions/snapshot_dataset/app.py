"""SnapshotDataset task: make a data set version of what arrived."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog import keys
from sluice.catalog.changes import arrivals as changes
from sluice.catalog.changes import builds
from sluice.catalog.changes.data import add_dataset, index_dataset
from sluice.catalog.records.builds import Built, Project
from sluice.catalog.records.data import Dataset
from sluice.domain import wording
from sluice.domain.build.errors import DatasetChangedError
from sluice.domain.data.batches import Batch
from sluice.domain.data.datasets import ObjectVersion
from sluice.events import BuildTask, event_parser
from sluice.observability import logger
from sluice.ports import Cloud
from sluice.quality.validation import Report, Violation
from sluice.services import building
from sluice.services.building import Begun
from sluice.services.data import batching, presence, recalling, versioning
from sluice.services.data.versioning import Former, Made
from sluice.services.side_by_side import on_each, together
from sluice.services.timeline import noting
from sluice.tasks import machine_task

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
        partial(versioning.find_former, cloud, task.pipeline, pipeline),
        partial(recalling.find, cloud, task.pipeline),
        partial(versioning.find_waiting, cloud, task.pipeline),
    )
    recalled = {each.sha256: each for each in recalls}
    is_listed = presence.is_few(counts)
    made = versioning.make(cloud, task, begun.config().data, former, recalled, waiting, is_listed=is_listed)
    version = made.head.version
    _, reasons = together(
        partial(_record, cloud, task, made),
        partial(_skip_reasons, cloud, task, made, begun.project),
    )
    _take_up(cloud, task, version, made.found)
    if reasons:
        _judge_again(cloud, task, version, made.fresh, former)
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


def _judge_again(
    cloud: Cloud, task: BuildTask, version: str, fresh: Sequence[ObjectVersion], former: Former | None
) -> None:
    """Do with data that this project judged before what the verdict did, without another run.

    Data that were released are quarantined again if they were rejected. A version that was valid and left
    since, as when a recall is taken back, is what later data are added to: what it took up would be lost.
    """
    dataset = building.find_dataset(cloud, task.pipeline, version)
    if dataset is None:
        return
    if dataset.status == "rejected":
        batching.quarantine(cloud, task.pipeline, version, fresh, _verdict(cloud, dataset))
    elif dataset.status == "valid" and (former is None or former.version != version):
        cloud.catalog.apply(builds.base_on(task.pipeline, version, task.run_id))


def _verdict(cloud: Cloud, dataset: Dataset) -> Report:
    """Return a rejected version's report; if it is gone, the catalog's reasons, which name no object."""
    try:
        return Report.from_json(cloud.objects.read(str(dataset.report_uri)))
    except FileNotFoundError:
        return Report(dataset.rows or 0, tuple(Violation(None, "", why, 0) for why in dataset.reasons))


def _record(cloud: Cloud, task: BuildTask, made: Made) -> None:
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


def _skip_reasons(cloud: Cloud, task: BuildTask, made: Made, project: Project) -> list[str]:
    """Say why there is nothing to build; empty if there is."""
    if not made.head.objects:
        reasons = ["no data are left to build a model of"]
    elif _was_built(cloud, task, made.head.version, project):
        reasons = ["this project version came to a verdict on this data before"]
    else:
        return []
    if made.recalled:
        held = wording.count(made.recalled, "object")
        listed = f"`sluice data list {task.pipeline} --quarantined`"
        reasons.append(f"{held} set aside, as the content was recalled: {listed}")
    return reasons


def _was_built(cloud: Cloud, task: BuildTask, dataset_version: str, project: Project) -> bool:
    """Tell whether another run came to a conclusion on the same data with the same project.

    A run that compared with a champion does not count if a later push waives that comparison.
    """
    item = cloud.catalog.get(keys.built_key(task.pipeline, dataset_version, task.project_version))
    if item is None:
        return False
    return Built.of(item).started_at >= (project.replaces_champion_at or "")
