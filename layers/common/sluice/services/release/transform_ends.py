"""End transforms: find the results, record what became of each input, and tell it; then the next begins.

All of it can be repeated: the job's task stays open until everything is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sluice.catalog import keys
from sluice.catalog.changes import transforms as changes
from sluice.catalog.changes.tasks import close_task
from sluice.catalog.records.transforms import Transform, TransformTask
from sluice.domain import failures, wording
from sluice.domain.build import costs, log_tails, usage
from sluice.domain.locations import bucket_and_key
from sluice.domain.release import serving, transforms
from sluice.domain.times import from_iso
from sluice.services import announcing
from sluice.services.building import locations
from sluice.services.release import deploying, releasing, transforming
from sluice.services.timeline import note

if TYPE_CHECKING:
    from sluice.catalog.records.releases import Deployment
    from sluice.domain.config import PipelineConfig
    from sluice.ports import Cloud

# As long as a quota is waited for.
_PATIENCE = timedelta(hours=6)
_ENDED = ("Completed", "Failed", "Stopped")
_FAULTS_MAX = 20


def conclude(cloud: Cloud, job_name: str) -> str:
    """Act on the end of a job, as it is described; returns what was done."""
    item = cloud.catalog.get(keys.task_key(job_name))
    task = TransformTask.of(item) if item and item["kind"] == "transform_job" else None
    if task is None or task.status != "open":
        return "ignored"
    described = cloud.jobs.describe("transform_job", job_name)
    if described is not None and described["TransformJobStatus"] not in _ENDED:
        return "waiting"
    if task.task_token:
        return _answer(cloud, task, described)
    transform = find_transform(cloud, task.pipeline, task.transform_id)
    if transform is None:
        return "ignored"
    why = None
    if described is None and transform.status == "running":
        why = _launched(cloud, task, transform)
        if why is None:
            return "launched"
    _end(cloud, transform, described or {}, why)
    cloud.catalog.apply(close_task(job_name, task.task_token))
    transforming.begin(cloud, task.pipeline)
    return "ended"


def find_transform(cloud: Cloud, pipeline: str, transform_id: str) -> Transform | None:
    item = cloud.catalog.get(keys.transform_key(pipeline, transform_id))
    return Transform.of(item) if item else None


def _answer(cloud: Cloud, task: TransformTask, described: Mapping[str, Any] | None) -> str:
    """Tell the release that waits whether its model answered the sample."""
    if described is not None and described["TransformJobStatus"] == "Completed":
        cloud.workflows.succeed(task.task_token, {"stage": task.step, "transform_job": task.job_name})
    else:
        cause = failures.cut(f"{task.job_name}: {_why(cloud, task.job_name, described)}")
        cloud.workflows.fail(task.task_token, serving.TransformFailedError.__name__, cause)
    cloud.catalog.apply(close_task(task.job_name, task.task_token))
    return "answered"


def _launched(cloud: Cloud, task: TransformTask, transform: Transform) -> str | None:
    """Start a job that is not there; returns why there will be none."""
    found = _config(cloud, transform)
    if found is None:
        return f"the release {transform.release_id} is not in the catalog any more"
    if from_iso(cloud.now()) - from_iso(task.opened_at) > _PATIENCE:
        return f"SageMaker has had no room for {transform.job_name} for hours: raise the quota"
    return transforming.launch(cloud, transform, *found)


def _config(cloud: Cloud, transform: Transform) -> tuple[Deployment, PipelineConfig] | None:
    """Return what scores, and the config of its project."""
    live = deploying.find_deployment(cloud, transform.pipeline, transform.stage, transform.release_id)
    config = releasing.live_config(cloud, live) if live else None
    return (live, config) if live and config else None


def _why(cloud: Cloud, job_name: str, described: Mapping[str, Any] | None) -> str:
    """Say why a job did not complete, with what its log says last."""
    if described is None:
        return f"there is no transform job {job_name}"
    status = described["TransformJobStatus"]
    reason = str(described.get("FailureReason") or f"it is {status}, without a reason given")
    tail = cloud.job_logs.tail(log_tails.SAGEMAKER_GROUPS["transform_job"], job_name, log_tails.LINES_MAX)
    return log_tails.told(reason, tail)


def _end(cloud: Cloud, transform: Transform, described: Mapping[str, Any], why: str | None) -> None:
    if transform.status == "running":
        ended = _ended(cloud, transform, described, why)
        cloud.catalog.apply(*changes.end_transform(ended))
        transform = find_transform(cloud, transform.pipeline, transform.transform_id) or ended
    _end_inputs(cloud, transform)
    if transform.told_at is None:
        _tell(cloud, transform)
        cloud.catalog.apply(changes.tell_end(transform, cloud.now()))


def _ended(cloud: Cloud, transform: Transform, described: Mapping[str, Any], why: str | None) -> Transform:
    """Return the transform with its end: what it used, and its results or why there are none."""
    used = usage.of_job("transform_job", described)
    ended = replace(
        transform,
        ended_at=cloud.now(),
        usage=used,
        cost_usd=costs.of_step("transform", "sagemaker", used).usd if used else None,
    )
    if described.get("TransformJobStatus") != "Completed":
        reason = why or _why(cloud, transform.job_name, described)
        is_split = described.get("TransformJobStatus") == "Failed" and len(ended.inputs) > 1
        return replace(ended, status="failed", reason=failures.cut(reason), is_split=is_split)
    return _with_results(cloud, replace(ended, status="completed"))


def _with_results(cloud: Cloud, ended: Transform) -> Transform:
    """Find the result of each input, count its rows, and record them for who watches the model."""
    bucket, output = bucket_and_key(ended.output_uri)
    found = {head.key for head in cloud.objects.listing(bucket, f"{output}/")}
    config, inputs, faults = _config(cloud, ended), list[dict[str, Any]](), list[str]()
    for number, each in enumerate(ended.inputs):
        key = transforms.result_key(ended.pipeline, each["key"], output, found)
        name = transforms.inference_id(ended.pipeline, each["key"])
        known = {**each, "uri": f"s3://{bucket}/{key}" if key else None}
        if key is None:
            faults.append(f"{name}: the transform wrote no result")
        elif not _is_current(cloud, each):
            faults.append(f"{name}: it was overwritten or deleted meanwhile, so its result may be of another")
        elif config is not None and each["size_bytes"] <= transforms.WATCHED_MAX_BYTES:
            rows, fault = _watch(cloud, ended, known, config[1], f"{ended.transform_id}-{number}")
            known["rows"] = rows
            faults += [fault] if fault else []
        inputs.append(known)
    counted = [each["rows"] for each in inputs if each.get("rows") is not None]
    return replace(ended, inputs=inputs, faults=faults[:_FAULTS_MAX], rows=sum(counted) if counted else None)


def _is_current(cloud: Cloud, each: Mapping[str, Any]) -> bool:
    """Tell whether the bucket has the version that was to be scored: a job reads the current one."""
    head = cloud.objects.head(cloud.data_bucket, each["key"])
    return head is not None and head.version_id == each["version_id"]


def _watch(
    cloud: Cloud, ended: Transform, known: Mapping[str, Any], config: PipelineConfig, event_id: str
) -> tuple[int | None, str | None]:
    """Record an input with its answers as a captured request, once; returns its rows, and what is wrong."""
    serve, name = config.serve, transforms.inference_id(ended.pipeline, known["key"])
    chunks = cloud.objects.chunks(cloud.data_bucket, known["key"], known["version_id"])
    request = b"".join(chunks).decode("utf-8", "replace")
    answer = cloud.objects.read(known["uri"]).decode("utf-8", "replace")
    rows = transforms.rows(answer, serve.accept)
    if config.monitor is not None:
        endpoint = releasing.find_endpoint_name(cloud, ended.pipeline, ended.stage)
        capture = locations(cloud, ended.pipeline).capture
        at = str(ended.ended_at)
        line = transforms.record(name, at, request, answer, serve, event_id)
        cloud.objects.create(transforms.record_uri(capture, endpoint, at, event_id), line)
    return rows, transforms.fault(name, transforms.rows(request, serve.content_type), rows)


def _end_inputs(cloud: Cloud, ended: Transform) -> None:
    """Note the result of each input; of several that failed together, each is scored alone once more."""
    for each in ended.inputs:
        status = "scored" if each.get("uri") else "failed"
        reason = ended.reason or ("" if each.get("uri") else "the transform wrote no result")
        cloud.catalog.apply(changes.end_input(ended, each, status, reason))
        if ended.is_split and ended.told_at is None:
            again = changes.try_alone(ended.pipeline, each["key"], each["version_id"])
            cloud.catalog.apply(again)


def _tell(cloud: Cloud, ended: Transform) -> None:
    rows = "an unknown number of rows" if ended.rows is None else wording.count(ended.rows, "row")
    done = f"{rows} of {wording.count(len(ended.inputs), 'file')}"
    said = "; ".join([f"{done}, in {ended.output_uri}", *ended.faults])
    event = f"transform {ended.status}"
    note(cloud, ended.pipeline, str(ended.ended_at), ended.transform_id, event, ended.reason or said)
    announcing.transform_ended(cloud, ended)
