"""Score what is uploaded below `batch/<pipeline>/`: one transform at a time takes all that waits.

So a burst of files makes two transforms, not a thousand, and events may be lost, late or repeated: an upload
is recorded once, taken by a transaction, and found by `reconcile` if nobody took it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.catalog.changes import transforms as changes
from sluice.catalog.records.transforms import (
    Awaited,
    Batches,
    Input,
    SetAside,
    Transform,
    TransformTask,
)
from sluice.domain import lost_events, names, tags, wording
from sluice.domain.data import uploads
from sluice.domain.quotas import QuotaError
from sluice.domain.release import batch_schema, transforms
from sluice.domain.times import from_iso, to_iso
from sluice.ports import RequestRefusedError
from sluice.services import announcing
from sluice.services.building import locations
from sluice.services.release import deploying, releasing
from sluice.services.timeline import note

if TYPE_CHECKING:
    from sluice.catalog.records.releases import Deployment
    from sluice.domain.config import PipelineConfig
    from sluice.ports import Cloud, ObjectHead

_TASK_VALID_FOR = timedelta(days=7)
_DELETED = "it was deleted before it was scored"


def take(cloud: Cloud, pipeline: str, head: ObjectHead) -> str:
    """Record an upload, once; returns what it is."""
    arrived_at = to_iso(from_iso(head.last_modified))
    new = Input(pipeline, head.key, head.version_id, head.size_bytes, arrived_at)
    if problem := uploads.unusable(head.key.removeprefix(transforms.folder(pipeline)), head):
        if cloud.catalog.apply(*changes.refuse_input(replace(new, status="refused", reason=problem))):
            note(cloud, pipeline, arrived_at, head.key, "batch refused", problem)
        return "refused"
    if not cloud.catalog.apply(*changes.add_input(new)):
        return "known"
    note(cloud, pipeline, arrived_at, head.key, "batch arrived", wording.count(head.size_bytes, "byte"))
    return "recorded"


def ask(cloud: Cloud, pipeline: str, key: str, version_id: str, request_id: str) -> str:
    """Have an upload scored by the model that is live, unless that did so; once for each request."""
    head = cloud.objects.head(cloud.data_bucket, key, version_id)
    if head is None or not _is_there(cloud, key):
        return "gone"
    # The request may overtake S3's event.
    if take(cloud, pipeline, head) == "refused":
        return "refused"
    item = cloud.catalog.get(keys.input_key(pipeline, key, version_id))
    known = Input.of(item) if item else None
    if known is None or known.request_id == request_id:
        return "known"
    return "asked" if cloud.catalog.apply(*changes.ask(known, request_id)) else "known"


def _is_there(cloud: Cloud, key: str) -> bool:
    """Tell whether a job finds an upload: the bucket keeps the versions of what was deleted."""
    return cloud.objects.head(cloud.data_bucket, key) is not None


def begin(cloud: Cloud, pipeline: str, *, is_now: bool = False) -> str:
    """Start the next transform, if something waits and nothing runs; returns its id, or why there is none.

    A person need not wait for the schedule.
    """
    batches = find_batches(cloud, pipeline)
    if batches.in_flight:
        return f"{batches.in_flight} is under way"
    live = find_live(cloud, pipeline)
    config = releasing.live_config(cloud, live) if live else None
    if live is None or config is None or config.serve.compute.batch is None:
        return "no stage scores batches"
    due_at = None if is_now else transforms.due_at(batches, config.serve.compute.batch.every_s)
    if due_at and cloud.now() < due_at:
        return f"the next is due at {due_at}"
    inputs = _readable(cloud, config, _waiting(cloud, pipeline, live))
    if inputs is None:
        # Others may wait behind those that were set aside.
        return begin(cloud, pipeline, is_now=is_now)
    if not inputs:
        return "nothing waits"
    transform, task = _planned(cloud, batches, live, inputs)
    if not cloud.catalog.apply(*changes.take_up(batches, transform, task, inputs, live.model_id)):
        return "another took it"
    detail = f"v{live.package_version} of {live.stage}, {wording.count(len(inputs), 'file')}"
    note(cloud, pipeline, transform.started_at, transform.transform_id, "transform started", detail)
    if launch(cloud, transform, live, config):
        # SageMaker refuses it: its end is told at once, as that of a job that is not there.
        look_again(cloud, transform.job_name)
    return transform.transform_id


def look_again(cloud: Cloud, job_name: str) -> None:
    """Have a job's end heard that may have no event, or had it too early."""
    if ended := lost_events.job_ended("transform_job", job_name, None):
        cloud.bus.put(ended.detail_type, ended.detail)


def find_batches(cloud: Cloud, pipeline: str) -> Batches:
    item = cloud.catalog.get(keys.batches_key(pipeline))
    if item is None:
        cloud.catalog.apply(changes.make_batches(pipeline))
    return Batches.of(item) if item else Batches(pipeline)


def find_live(cloud: Cloud, pipeline: str) -> Deployment | None:
    """Return what scores batches: the live release of the last stage that has one."""
    stages = sorted(releasing.find_stages(cloud, pipeline), key=lambda each: each.position or 0, reverse=True)
    for stage in stages:
        live = deploying.find_deployment(cloud, pipeline, stage.name, stage.live)
        if live is not None and live.is_batch:
            return live
    return None


def _waiting(cloud: Cloud, pipeline: str, live: Deployment) -> list[Input]:
    """Return what the next transform takes; forgets what this model has scored already."""
    found = list[Input]()
    items = cloud.catalog.query(keys.partition(pipeline), keys.AWAITED, limit=changes.INPUTS_MAX)
    for awaited in map(Awaited.of, items):
        item = cloud.catalog.get(keys.input_key(pipeline, awaited.key, awaited.version_id))
        known = Input.of(item) if item else None
        if known is None or known.is_scored_by(live.model_id):
            cloud.catalog.apply(changes.drop(awaited))
        elif awaited.is_alone:
            return found or [known]
        else:
            found.append(known)
    return found


def _readable(cloud: Cloud, config: PipelineConfig, inputs: list[Input]) -> list[Input] | None:
    """Return the inputs that a transform can read, and set aside all others; None if none is left of some."""
    if not inputs or not batch_schema.checks(config):
        return inputs
    faults = {each.key: _fault(cloud, config, each) for each in inputs}
    for each in inputs:
        if reason := faults[each.key]:
            _set_aside(cloud, each, reason)
    return [each for each in inputs if not faults[each.key]] or None


def _fault(cloud: Cloud, config: PipelineConfig, each: Input) -> str | None:
    span = 0, batch_schema.READ_BYTES - 1
    if not _is_there(cloud, each.key):
        return _DELETED
    try:
        data = b"".join(cloud.objects.chunks(cloud.data_bucket, each.key, each.version_id, span=span))
    except FileNotFoundError:
        return _DELETED
    return batch_schema.fault(data, config, is_whole=each.size_bytes <= batch_schema.READ_BYTES)


def _set_aside(cloud: Cloud, each: Input, reason: str) -> None:
    aside = SetAside(each.pipeline, each.key, each.version_id, cloud.now(), reason)
    if cloud.catalog.apply(*changes.set_aside(each, aside)):
        note(cloud, each.pipeline, aside.at, each.key, "batch refused", reason)
        announcing.batch_refused(cloud, aside)


def _planned(
    cloud: Cloud, batches: Batches, live: Deployment, inputs: list[Input]
) -> tuple[Transform, TransformTask]:
    pipeline, at = live.pipeline, cloud.now()
    transform_id = names.transform_id(pipeline, batches.seq + 1)
    job_name = names.transform_name(cloud.stack_name, transform_id)
    transform = Transform(
        pipeline=pipeline,
        transform_id=transform_id,
        status="running",
        stage=live.stage,
        release_id=live.release_id,
        package_arn=live.package_arn,
        package_version=live.package_version,
        job_name=job_name,
        output_uri=f"{locations(cloud, pipeline).transform(transform_id)}/{transforms.OUTPUT}",
        started_at=at,
        run_id=live.run_id,
        inputs=[
            {"key": each.key, "version_id": each.version_id, "size_bytes": each.size_bytes} for each in inputs
        ],
    )
    return transform, task_of(cloud, job_name, pipeline, transform_id)


def task_of(cloud: Cloud, job_name: str, pipeline: str, transform_id: str = "") -> TransformTask:
    """Return the open task of a job that begins now."""
    at = cloud.now()
    expires_at = int((from_iso(at) + _TASK_VALID_FOR).timestamp())
    return TransformTask(job_name, pipeline, at, expires_at, transform_id)


def launch(cloud: Cloud, transform: Transform, live: Deployment, config: PipelineConfig) -> str | None:
    """Create the transform's job, or adopt it; returns why SageMaker will have none."""
    place = locations(cloud, transform.pipeline).transform(transform.transform_id)
    listed = transforms.manifest(
        cloud.data_bucket, transform.pipeline, [each["key"] for each in transform.inputs]
    )
    cloud.objects.write(f"{place}/{transforms.MANIFEST}", listed, "application/json")
    owner = {**tags.of_pipeline(cloud.stack_name, transform.pipeline), tags.RELEASE: transform.release_id}
    request = transforms.job_request(transform.job_name, live.model_name, config.serve, place, owner)
    try:
        cloud.jobs.start("transform_job", request)
    except RequestRefusedError as refusal:
        return str(refusal)
    except QuotaError as full:
        # `reconcile` finds that the job is not there, and this tries again.
        note(
            cloud,
            transform.pipeline,
            transform.started_at,
            transform.transform_id,
            "waits for a quota",
            str(full),
        )
    return None
