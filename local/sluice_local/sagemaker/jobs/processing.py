"""Run processing jobs: inputs below /opt/ml/processing, the user's entry point, outputs to S3."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

from sluice.containers import instances
from sluice.containers.configuration import (
    OUT_OF_MEMORY,
    exit_message,
    host_names,
    outputs_of,
    processing_reason,
    write_processing,
)
from sluice.containers.data import (
    S3Location,
    Synchronizer,
    data_objects,
    download,
    shard,
    upload,
)
from sluice.containers.environments import image_command
from sluice_local.sagemaker.api.core import ApiError, Item, Scope, Table, now, operation
from sluice_local.sagemaker.containers import images
from sluice_local.sagemaker.containers.container import Sandbox, available_cpus
from sluice_local.sagemaker.jobs import cluster
from sluice_local.sagemaker.jobs.cluster import End, Instance
from sluice_local.sagemaker.jobs.lifecycle import (
    Ending,
    Job,
    JobFailedError,
    JobKind,
    epoch_ms,
    submit,
    tag_map,
)

_PROCESSING = PurePosixPath("/opt/ml/processing")
_DEFAULT_MAX_RUNTIME_S = 86400


@operation("CreateProcessingJob")
def create_processing_job(scope: Scope, params: dict[str, Any]) -> Item:
    _check(params)
    job = submit(PROCESSING, scope, _completed(params))
    return {"ProcessingJobArn": job.arn}


def _check(params: Item) -> None:
    """Raise ApiError for what the API's model allows but SageMaker or the local one refuses."""
    inputs, outputs = params.get("ProcessingInputs", []), outputs_of(params)
    for kind, names in (
        ("input", [item["InputName"] for item in inputs]),
        ("output", [item["OutputName"] for item in outputs]),
    ):
        if len(names) != len(set(names)):
            raise _invalid(f"The {kind} names of a processing job must be unique.")
    for item in inputs:
        if "S3Input" not in item:
            raise _invalid(f"Input {item['InputName']}: the local SageMaker reads an S3Input only.")
        _check_local_path(f"Input {item['InputName']}", item["S3Input"])
        if item["S3Input"].get("S3InputMode", "File") != "File":
            raise _invalid(f"Input {item['InputName']}: the local SageMaker has the S3InputMode File only.")
    for item in outputs:
        if "S3Output" not in item:
            raise _invalid(f"Output {item['OutputName']}: the local SageMaker writes an S3Output only.")
        _check_local_path(f"Output {item['OutputName']}", item["S3Output"])
    application = params["AppSpecification"]
    if not application.get("ContainerEntrypoint") and not images.analyzer(application["ImageUri"]):
        raise _invalid("The local SageMaker needs AppSpecification.ContainerEntrypoint.")


def _check_local_path(owner: str, source: Item) -> None:
    path = PurePosixPath(source.get("LocalPath", ""))
    if not path.is_relative_to(_PROCESSING) or ".." in path.parts:
        raise _invalid(f"{owner}: LocalPath must begin with {_PROCESSING}/.")


def _invalid(message: str) -> ApiError:
    return ApiError("ValidationException", message)


def _completed(params: Item) -> Item:
    """Return the request with the defaults that SageMaker describes."""
    defaults = {
        "S3InputMode": "File",
        "S3DataDistributionType": "FullyReplicated",
        "S3CompressionType": "None",
    }
    inputs = [
        {"AppManaged": False, **item, "S3Input": {**defaults, **item["S3Input"]}}
        for item in params.get("ProcessingInputs", [])
    ]
    completed = {
        "StoppingCondition": {"MaxRuntimeInSeconds": _DEFAULT_MAX_RUNTIME_S},
        **params,
        "ProcessingInputs": inputs,
    }
    resources = params["ProcessingResources"]["ClusterConfig"]
    completed["ProcessingResources"] = {"ClusterConfig": {"InstanceCount": 1, **resources}}
    if "ProcessingOutputConfig" in params:
        outputs = [{"AppManaged": False, **item} for item in outputs_of(params)]
        completed["ProcessingOutputConfig"] = {**params["ProcessingOutputConfig"], "Outputs": outputs}
    return completed


def run(job: Job) -> Ending:
    """Run the job, from the download of inputs to the upload of outputs."""
    request = job.request
    sandboxes = _prepare(job)
    job.advance("Processing", "Processing the data", ProcessingStartTime=now())
    with _continuous_outputs(job, sandboxes):
        running = [_instance(job, sandbox) for sandbox in sandboxes]
        outcome = cluster.run(job, running, request["StoppingCondition"]["MaxRuntimeInSeconds"])
    message = exit_message(sandboxes[outcome.index].ml)
    changes = {"ExitMessage": message} if message else {}
    if outcome.end is End.FAILED:
        reason = processing_reason(sandboxes[outcome.index].ml, outcome.exit_code)
        raise JobFailedError(OUT_OF_MEMORY if outcome.is_out_of_memory else reason, changes)
    for sandbox in sandboxes:
        for output in outputs_of(request):
            if output["S3Output"]["S3UploadMode"] == "EndOfJob":
                folder = sandbox.outside(output["S3Output"]["LocalPath"])
                upload(job.storage, folder, S3Location.of(output["S3Output"]["S3Uri"]))
    return Ending("Completed" if outcome.end is End.COMPLETED else "Stopped", changes=changes)


def _prepare(job: Job) -> list[Sandbox]:
    """Make a sandbox for each instance, with all that its container finds below /opt/ml."""
    request = job.request
    image = job.runtime.images.environment(request["AppSpecification"]["ImageUri"])
    names = host_names(request["ProcessingResources"]["ClusterConfig"]["InstanceCount"])
    has_network = not request.get("NetworkConfig", {}).get("EnableNetworkIsolation", False)
    memory_mb = instances.memory_mb(request["ProcessingResources"]["ClusterConfig"]["InstanceType"])
    sandboxes = [
        Sandbox.create(job.directory / name, image, has_network=has_network, memory_mb=memory_mb)
        for name in names
    ]
    for name, sandbox in zip(names, sandboxes, strict=True):
        write_processing(sandbox.ml, job.arn, request, name, names)
        for output in outputs_of(request):
            sandbox.outside(output["S3Output"]["LocalPath"]).mkdir(parents=True, exist_ok=True)
    for item in request["ProcessingInputs"]:
        source = item["S3Input"]
        objects = data_objects(job.storage, source)
        for index, sandbox in enumerate(sandboxes):
            folder = sandbox.outside(source["LocalPath"])
            folder.mkdir(parents=True, exist_ok=True)
            part = shard(objects, source, index, len(sandboxes))
            download(job.storage, part, folder, gunzip=source["S3CompressionType"] == "Gzip")
    return sandboxes


@contextmanager
def _continuous_outputs(job: Job, sandboxes: Sequence[Sandbox]) -> Iterator[None]:
    """Upload continuous outputs to S3 while they are written."""
    synchronizers = [
        Synchronizer(
            job.storage,
            sandbox.outside(output["S3Output"]["LocalPath"]),
            S3Location.of(output["S3Output"]["S3Uri"]),
        )
        for sandbox in sandboxes
        for output in outputs_of(job.request)
        if output["S3Output"]["S3UploadMode"] == "Continuous"
    ]
    try:
        yield
    finally:
        for synchronizer in synchronizers:
            synchronizer.finish()


def _instance(job: Job, sandbox: Sandbox) -> Instance:
    request = job.request
    application = request["AppSpecification"]
    count = request["ProcessingResources"]["ClusterConfig"]["InstanceCount"]
    variables = {
        **sandbox.variables(available_cpus(count)),
        **job.aws_variables(),
        "PROCESSING_JOB_NAME": job.name,
        "PROCESSING_JOB_ARN": job.arn,
        **request.get("Environment", {}),
    }
    program = images.analyzer(application["ImageUri"])
    entrypoint = application.get("ContainerEntrypoint") or ["python3", "-m", program]
    command = image_command([*entrypoint, *application.get("ContainerArguments", [])])
    return Instance(sandbox.directory.name, sandbox, command, variables)


# Only this event writes the API's values so.
_EVENT_VALUES = {
    "S3Prefix": "S3_PREFIX",
    "ManifestFile": "MANIFEST_FILE",
    "File": "FILE",
    "Pipe": "PIPE",
    "FullyReplicated": "FULLYREPLICATED",
    "ShardedByS3Key": "SHARDEDBYS3KEY",
    "EndOfJob": "END_OF_JOB",
    "Continuous": "CONTINUOUS",
    "None": "NONE",
    "Gzip": "GZIP",
}
_EVENT_ENUMS = ("S3DataType", "S3InputMode", "S3DataDistributionType", "S3CompressionType", "S3UploadMode")
_EVENT_MEMBERS = (
    *("ProcessingJobName", "ProcessingJobArn", "ProcessingJobStatus", "FailureReason", "ExitMessage"),
    *("ProcessingResources", "StoppingCondition", "AppSpecification", "Environment", "NetworkConfig"),
    *("RoleArn", "ExperimentConfig"),
)
_EVENT_TIMES = ("CreationTime", "ProcessingStartTime", "ProcessingEndTime", "LastModifiedTime")


def _event_detail(item: Item) -> Item:
    detail = {name: item[name] for name in _EVENT_MEMBERS if name in item}
    detail |= {name: epoch_ms(item[name]) for name in _EVENT_TIMES if name in item}
    detail["ProcessingInputs"] = [
        {"InputName": given["InputName"], "S3Input": _event_spelling(given["S3Input"])}
        for given in item["ProcessingInputs"]
    ]
    detail["ProcessingOutputConfig"] = {
        "Outputs": [
            {"OutputName": output["OutputName"], "S3Output": _event_spelling(output["S3Output"])}
            for output in outputs_of(item)
        ],
        "KmsKeyId": item.get("ProcessingOutputConfig", {}).get("KmsKeyId", ""),
    }
    return {**detail, "Tags": tag_map(item)}


def _event_spelling(source: Item) -> Item:
    return {name: _EVENT_VALUES[value] if name in _EVENT_ENUMS else value for name, value in source.items()}


PROCESSING = JobKind(
    noun="Processing",
    table=Table("processing job", "processing-job", "ProcessingJobName"),
    run=run,
    event_detail=_event_detail,
)
