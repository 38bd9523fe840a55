"""The trial component that SageMaker makes for each job, as its description gives it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sluice.containers.configuration import outputs_of
from sluice_local.sagemaker.api.core import Item, Scope
from sluice_local.sagemaker.jobs.lifecycle import JobKind

_NAME_LENGTH = 120


def ending(kind: JobKind) -> str:
    """Return what follows the job's name in its component's."""
    return f"-aws-{kind.noun.lower()}-job"


def trials(job: Item) -> list[str]:
    """Return the trials that a job is told to be part of: one or none."""
    name = (job.get("ExperimentConfig") or {}).get("TrialName")
    return [name] if name else []


def described(scope: Scope, kind: JobKind, job: Item) -> Item:
    """Describe the component of a job."""
    name = job[kind.name_key] + ending(kind)
    config = job.get("ExperimentConfig") or {}
    status = job[kind.status_key]
    return {
        "TrialComponentName": name,
        "TrialComponentArn": scope.arn("experiment-trial-component", name),
        "DisplayName": config.get("TrialComponentDisplayName", name[:_NAME_LENGTH]),
        "Source": {"SourceArn": job[kind.arn_key], "SourceType": f"SageMaker{kind.noun}Job"},
        "Status": {
            "PrimaryStatus": status,
            "Message": f"Status: {status}, secondary status: {job.get('SecondaryStatus', status)}, "
            f"failure reason: {job.get('FailureReason', '')}.",
        },
        "StartTime": job.get(kind.start_key),
        "EndTime": job.get(kind.end_key),
        "CreationTime": job["CreationTime"],
        "LastModifiedTime": job["LastModifiedTime"],
        "Parameters": dict(_parameters(job)),
        "InputArtifacts": dict(inputs(job)),
        "OutputArtifacts": dict(outputs(job)),
        "Metrics": [{"SourceArn": job[kind.arn_key], **each} for each in job.get("_MetricSummaries", ())],
        "Tags": job.get("Tags", []),
        "_Trials": trials(job),
    }


def image(job: Item) -> str | None:
    """Return the image that a job runs, None for a transform, which has a model."""
    specification = job.get("AlgorithmSpecification") or job.get("AppSpecification") or {}
    found: str | None = specification.get("TrainingImage") or specification.get("ImageUri")
    return found


def inputs(job: Item) -> Iterator[tuple[str, Item]]:
    """Yield what a job reads: its name, and where it lies."""
    if found := image(job):
        yield "SageMaker.ImageUri", {"Value": found}
    for channel in job.get("InputDataConfig", ()):
        uri = channel["DataSource"].get("S3DataSource", {}).get("S3Uri")
        media = {"MediaType": channel["ContentType"]} if channel.get("ContentType") else {}
        if uri:
            yield channel["ChannelName"], {**media, "Value": uri}
    for given in job.get("ProcessingInputs", ()):
        if uri := given.get("S3Input", {}).get("S3Uri"):
            yield given["InputName"], {"Value": uri}
    if "TransformInput" in job:
        yield (
            "SageMaker.TransformInput",
            {"Value": job["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]},
        )


def outputs(job: Item) -> Iterator[tuple[str, Item]]:
    """Yield what a job writes: its name, and where it lies."""
    if model := job.get("ModelArtifacts", {}).get("S3ModelArtifacts"):
        yield "SageMaker.ModelArtifact", {"Value": model}
    for output in outputs_of(job):
        if "S3Output" in output:
            yield output["OutputName"], {"Value": output["S3Output"]["S3Uri"]}
    if "TransformOutput" in job:
        yield "SageMaker.TransformOutput", {"Value": job["TransformOutput"]["S3OutputPath"]}


def _parameters(job: Item) -> Iterator[tuple[str, Item]]:
    for name, value in job.get("HyperParameters", {}).items():
        yield name, _parameter(value)
    cluster = job.get("ResourceConfig") or job.get("ProcessingResources", {}).get("ClusterConfig")
    for name in ("InstanceCount", "InstanceType", "VolumeSizeInGB"):
        if (value := (cluster or job.get("TransformResources", {})).get(name)) is not None:
            yield f"SageMaker.{name}", _parameter(value)


def _parameter(value: Any) -> Item:
    try:
        return {"NumberValue": float(value)}
    except ValueError:
        return {"StringValue": value}
