"""Read how an execution of a pipeline went: its steps, what it registered, or why it registered nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sluice.domain.times import to_iso

if TYPE_CHECKING:
    from sluice.catalog.records.builds import StepStatus

# SageMaker's words for an execution and its steps, in the words for jobs.
STATUSES: Mapping[str, StepStatus] = {
    "Starting": "InProgress",
    "Executing": "InProgress",
    "Stopping": "Stopping",
    "Stopped": "Stopped",
    "Failed": "Failed",
    "Succeeded": "Completed",
}
_SAID_NO = "the pipeline registered no model"


def status(description: Mapping[str, Any]) -> str:
    """Return the execution's status; one that its own Fail step ended did what it was made for."""
    found = STATUSES[str(description["PipelineExecutionStatus"])]
    return "Completed" if found == "Failed" and declined_by(description) is not None else found


def declined_by(description: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the Fail step that ended the execution; None if none did, or another step failed as well."""
    failed = [step for step in _steps(description) if step["StepStatus"] == "Failed"]
    own = [step for step in failed if "Fail" in (step.get("Metadata") or {})]
    return own[0] if own and len(own) == len(failed) else None


def result(description: Mapping[str, Any], step: str) -> dict[str, Any]:
    """Return an execution's outcome, as `jobs.job_result` returns a job's."""
    package, ended = registered(description), status(description)
    return {
        "step": step,
        "kind": "pipeline_execution",
        "job_name": description["PipelineExecutionDisplayName"],
        "job_arn": description["PipelineExecutionArn"],
        "status": ended,
        "outputs": {"package": package} if package else {},
        "model_uri": None,
        "metrics": {},
        "image": None,
        "started_at": to_iso(description["CreationTime"]),
        "ended_at": to_iso(description["LastModifiedTime"]),
        "remark": why_nothing(description) if ended == "Completed" and not package else None,
    }


def registered(description: Mapping[str, Any]) -> str | None:
    """Return the ARN of the model package that the execution registered, the last if there are several."""
    done = (step for step in _steps(description) if step["StepStatus"] == "Succeeded")
    arns = [each["Arn"] for step in done if (each := (step.get("Metadata") or {}).get("RegisterModel"))]
    return str(arns[-1]) if arns else None


def why_nothing(description: Mapping[str, Any]) -> str:
    """Say why a pipeline that ended well registered nothing, in its own Fail step's or condition's words."""
    if (declined := declined_by(description)) is not None:
        return (
            f"{_SAID_NO}: {declined['Metadata']['Fail'].get('ErrorMessage') or declined.get('FailureReason')}"
        )
    untrue = [
        step["StepName"]
        for step in _steps(description)
        if ((step.get("Metadata") or {}).get("Condition") or {}).get("Outcome") == "False"
    ]
    return f"{_SAID_NO}: its condition {', '.join(untrue)} was not met" if untrue else _SAID_NO


def failure(description: Mapping[str, Any]) -> str:
    """Say why an execution failed: each step's reason, else its own."""
    failed = [
        f"{step['StepName']}: {step['FailureReason']}"
        for step in _steps(description)
        if step["StepStatus"] == "Failed" and step.get("FailureReason")
    ]
    if failed:
        return "; ".join(failed)
    return str(description.get("FailureReason") or f"the pipeline {status(description).lower()}")


def _steps(description: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return description.get("Steps") or ()
