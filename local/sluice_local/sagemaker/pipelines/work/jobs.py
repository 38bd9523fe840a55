"""Processing, Training, Transform and Tuning steps: a job of the local SageMaker."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sluice.containers.configuration import outputs_of
from sluice_local.sagemaker.api.core import ApiError, Item
from sluice_local.sagemaker.jobs import lifecycle
from sluice_local.sagemaker.jobs.lifecycle import JobKind
from sluice_local.sagemaker.jobs.processing import PROCESSING
from sluice_local.sagemaker.jobs.training import TRAINING
from sluice_local.sagemaker.jobs.transform import TRANSFORM
from sluice_local.sagemaker.jobs.tuning import requests as tuning_requests
from sluice_local.sagemaker.jobs.tuning import views
from sluice_local.sagemaker.jobs.tuning.running import TUNING
from sluice_local.sagemaker.pipelines.access import call
from sluice_local.sagemaker.pipelines.definition.retries import fault_of_reason
from sluice_local.sagemaker.pipelines.work.task import (
    NAME_LENGTH_MAX,
    StepFailedError,
    StepStoppedError,
    Task,
)

KINDS = {"Tuning": TUNING, **{kind.noun: kind for kind in (PROCESSING, TRAINING, TRANSFORM)}}
# Tuning jobs begin the names of their training jobs.
_LENGTH_MAX = {"Tuning": 32}
# A step keeps the 50 best, says the SDK.
_LISTED, _KEPT = 100, 50


def run(task: Task) -> Any:
    """Run a job to its end; returns its description and where its property files lie."""
    kind = KINDS[task.step.type]
    request = task.arguments
    name = task.name(request.get(kind.name_key), _LENGTH_MAX.get(task.step.type, NAME_LENGTH_MAX))
    remark = tuning_requests.note(request) if kind is TUNING else None

    def told(arn: str) -> Item:
        return {f"{task.step.type}Job": {"Arn": arn}}

    job = ended(task, kind, {**request, kind.name_key: name}, told, remark)
    if kind is TUNING:
        return {**job, "TrainingJobSummaries": _trials(task, job)}
    return {**job, "PropertyFiles": _property_files(task, job)}


def ended(
    task: Task, kind: JobKind, request: Item, told: Callable[[str], Item], remark: str | None = None
) -> Item:
    """Run a job to its end; returns its description. `told` makes the step's metadata of its ARN.

    Raises StepFailedError and StepStoppedError.
    """
    name = request[kind.name_key]
    created = call(task.scope, task.role, f"Create{kind.noun}Job", task.tracked(request))
    metadata = told(created[kind.arn_key])
    task.tell(metadata, remark)
    task.on_stop(lambda: _stop(task, kind, name))
    lifecycle.wait(kind, task.scope, name)
    job = call(task.scope, task.role, f"Describe{kind.noun}Job", {kind.name_key: name})
    status, reason = job[kind.status_key], job.get("FailureReason", "")
    if status == "Failed":
        raise StepFailedError(f"ClientError: {reason}", fault_of_reason(reason), metadata)
    if status == "Stopped" and task.stopping.is_set():
        raise StepStoppedError
    if status == "Stopped" and job.get("SecondaryStatus") != "MaxRuntimeExceeded":
        raise StepFailedError(f"ClientError: {job[kind.arn_key]} was stopped.", None, metadata)
    return job


def _trials(task: Task, job: Item) -> list[Item]:
    """Return the best of a tuning job's training jobs, the very best first."""
    asked = {
        "HyperParameterTuningJobName": job["HyperParameterTuningJobName"],
        "SortBy": "CreationTime",
        "SortOrder": "Ascending",
        "MaxResults": _LISTED,
    }
    listed = call(task.scope, task.role, "ListTrainingJobsForHyperParameterTuningJob", asked)
    return views.ranked(listed["TrainingJobSummaries"])[:_KEPT]


def _stop(task: Task, kind: JobKind, name: str) -> None:
    with suppress(ApiError):  # it may have ended meanwhile
        call(task.scope, task.role, f"Stop{kind.noun}Job", {kind.name_key: name})


def _property_files(task: Task, job: Item) -> dict[str, str]:
    """Return the URI of each property file, which the job wrote to one of its outputs."""
    places = {output["OutputName"]: output["S3Output"]["S3Uri"] for output in outputs_of(job)}
    return {
        name: f"{places[file['OutputName']].rstrip('/')}/{file['FilePath']}"
        for name, file in task.step.property_files.items()
    }
