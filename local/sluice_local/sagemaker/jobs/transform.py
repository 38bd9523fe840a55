"""Run transform jobs: send each object's records to a model server, and write the answers to S3."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from itertools import islice
from typing import Any

from sluice.containers import instances
from sluice.containers.data import DataObject, S3Location, data_objects
from sluice_local.sagemaker.api.core import ApiError, Item, Scope, Table, now, operation
from sluice_local.sagemaker.api.events import iso_time
from sluice_local.sagemaker.hosting import fleets, models
from sluice_local.sagemaker.hosting.fleets import Variant
from sluice_local.sagemaker.hosting.launcher import HostingError, Launcher, ModelServer, Reply
from sluice_local.sagemaker.jobs.lifecycle import (
    Ending,
    Job,
    JobFailedError,
    JobKind,
    JobStoppedError,
    submit,
    tag_map,
)

_MB = 1024 * 1024
_DEFAULT_PAYLOAD_MB = 6
_MESSAGE_LENGTH = 512


@operation("CreateTransformJob")
def create_transform_job(scope: Scope, params: dict[str, Any]) -> Item:
    model = models.MODELS.get(scope, params["ModelName"])
    _check(params)
    job = submit(TRANSFORM, scope, {**_completed(params), "RoleArn": model["ExecutionRoleArn"]})
    return {"TransformJobArn": job.arn}


def _check(params: Item) -> None:
    """Raise ApiError for what the API's model allows but SageMaker or the local one refuses."""
    given = params["TransformInput"]
    if given["DataSource"]["S3DataSource"]["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise _invalid("The local SageMaker transforms data of the type S3Prefix or ManifestFile.")
    if given.get("SplitType", "None") not in ("None", "Line"):
        raise _invalid("The local SageMaker has the split types None and Line.")
    if params.get("BatchStrategy") == "MultiRecord" and given.get("SplitType", "None") == "None":
        raise _invalid("BatchStrategy MultiRecord needs a SplitType.")
    processing = params.get("DataProcessing", {})
    filters = {processing.get("InputFilter", "$"), processing.get("OutputFilter", "$")}
    if filters != {"$"} or processing.get("JoinSource", "None") != "None":
        raise _invalid("The local SageMaker neither filters nor joins in a transform job.")


def _invalid(message: str) -> ApiError:
    return ApiError("ValidationException", message)


def _completed(params: Item) -> Item:
    """Return the request with the defaults that SageMaker describes."""
    given = {"CompressionType": "None", "SplitType": "None", **params["TransformInput"]}
    return {
        "MaxConcurrentTransforms": 1,
        "MaxPayloadInMB": _DEFAULT_PAYLOAD_MB,
        "BatchStrategy": "SingleRecord" if given["SplitType"] == "None" else "MultiRecord",
        "Environment": {},
        **params,
        "TransformInput": given,
        "TransformOutput": {"AssembleWith": "None", "KmsKeyId": "", **params["TransformOutput"]},
    }


def run(job: Job) -> Ending:
    """Start the model's server, and send it every record of the input."""
    request = job.request
    objects = data_objects(job.storage, request["TransformInput"]["DataSource"]["S3DataSource"])
    job.advance("Transforming", "Transforming the data", TransformStartTime=now())
    try:
        server = _launch(job)
        try:
            server.wait_until_healthy(job.stopping)
            for item in objects:
                _transform(job, server, item)
        finally:
            server.stop()
    except HostingError as error:
        if job.stopping.is_set():
            raise JobStoppedError from error
        raise JobFailedError(f"AlgorithmError: {error}") from error
    return Ending()


def _launch(job: Job) -> ModelServer:
    launcher = Launcher(job.directory, job.runtime.images, job.runtime.endpoint_url)
    instance_type = job.request["TransformResources"]["InstanceType"]
    memory_mb = instances.memory_mb(instance_type)
    variant = Variant(job.name, job.request["ModelName"], 1.0, 1, memory_mb)
    spec = fleets.server_spec(job.scope, job.name, variant)
    environment = {
        **spec.environment,
        **job.request["Environment"],
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_BATCH_STRATEGY": job.request["BatchStrategy"],
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": str(job.request["MaxConcurrentTransforms"]),
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(job.request["MaxPayloadInMB"]),
    }
    return launcher.launch(replace(spec, environment=environment, log_group=job.kind.log_group))


def _transform(job: Job, server: ModelServer, item: DataObject) -> None:
    """Write an object's answers to `<its path>.out`."""
    request = job.request
    content = job.storage.read(item.location)
    if request["TransformInput"]["CompressionType"] == "Gzip":
        content = gzip.decompress(content)
    batches = payloads(
        content,
        by_line=request["TransformInput"]["SplitType"] == "Line",
        is_single=request["BatchStrategy"] == "SingleRecord",
        max_bytes=request["MaxPayloadInMB"] * _MB,
    )
    answers = list(_answers(job, server, batches))
    output = job.directory / "output"
    output.write_bytes(assembled(answers, by_line=request["TransformOutput"]["AssembleWith"] == "Line"))
    target = S3Location.of(request["TransformOutput"]["S3OutputPath"])
    job.storage.write(target.within(f"{item.path}.out"), output)


def _answers(job: Job, server: ModelServer, batches: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the model's answers in order, with as many parallel requests as the job allows."""
    headers = _headers(job.request)
    concurrency = max(1, job.request["MaxConcurrentTransforms"])
    pending: list[Future[Reply]] = [server.submit(body, headers) for body in islice(batches, concurrency)]
    while pending:
        if job.stopping.is_set():
            raise JobStoppedError
        reply = pending.pop(0).result()
        if not 200 <= reply.status < 300:
            raise JobFailedError(_reason(reply))
        yield reply.body
        pending += [server.submit(body, headers) for body in islice(batches, 1)]


def _headers(request: Item) -> Mapping[str, str]:
    headers = {"Content-Type": request["TransformInput"].get("ContentType", "application/octet-stream")}
    if "Accept" in request["TransformOutput"]:
        headers["Accept"] = request["TransformOutput"]["Accept"]
    return headers


def _reason(reply: Reply) -> str:
    side = "ClientError" if 400 <= reply.status < 500 else "AlgorithmError"
    message = reply.body.decode("utf-8", "replace")[:_MESSAGE_LENGTH]
    return f"{side}: {reply.status or 'no answer'}: {message} See job logs for more information."


def payloads(content: bytes, *, by_line: bool, is_single: bool, max_bytes: int) -> Iterator[bytes]:
    """Split an object into requests: whole, by line, or by as many lines as fit into a request.

    Raises JobFailedError for a record that does not fit into a request.
    """
    records = content.splitlines() if by_line else [content]
    batch: list[bytes] = []
    size = 0
    for record in records:
        if len(record) > max_bytes:
            raise JobFailedError(
                f"ClientError: A record of {len(record)} bytes is larger than MaxPayloadInMB allows."
            )
        if batch and (is_single or size + 1 + len(record) > max_bytes):
            yield b"\n".join(batch)
            batch, size = [], 0
        size += len(record) + bool(batch)
        batch.append(record)
    if batch:
        yield b"\n".join(batch)


def assembled(answers: Sequence[bytes], *, by_line: bool) -> bytes:
    """Join the answers to an output object's content, each on its own lines if asked."""
    if by_line:
        return b"".join(answer.removesuffix(b"\n") + b"\n" for answer in answers)
    return b"".join(answers)


_EVENT_MEMBERS = (
    *("TransformJobName", "TransformJobArn", "TransformJobStatus", "FailureReason", "ModelName"),
    *("MaxConcurrentTransforms", "MaxPayloadInMB", "BatchStrategy", "Environment", "TransformInput"),
    *("TransformOutput", "TransformResources"),
)
_EVENT_TIMES = ("CreationTime", "TransformStartTime", "TransformEndTime")


def _event_detail(item: Item) -> Item:
    """Return the event's detail; unlike those of other jobs, its times are text."""
    detail = {name: item[name] for name in _EVENT_MEMBERS if name in item}
    times = {name: iso_time(item[name]) for name in _EVENT_TIMES if name in item}
    return {**detail, **times, "Tags": tag_map(item)}


TRANSFORM = JobKind(
    noun="Transform",
    table=Table("transform job", "transform-job", "TransformJobName"),
    run=run,
    event_detail=_event_detail,
)
