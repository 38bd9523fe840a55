"""Condition and Fail steps: they decide how an execution goes on, and do nothing else."""

from __future__ import annotations

from typing import Any

from sluice_local.sagemaker.pipelines.definition import conditions
from sluice_local.sagemaker.pipelines.definition.resolving import resolved
from sluice_local.sagemaker.pipelines.work.task import StepFailedError, Task


def decide(task: Task) -> Any:
    """Return whether the conditions hold."""
    outcome = conditions.all_hold(task.step.arguments["Conditions"], task.values)
    task.tell({"Condition": {"Outcome": str(outcome)}})
    return {"Outcome": outcome}


def fail(task: Task) -> Any:
    """Fail the execution with the step's message, if it has one."""
    message = str(resolved(task.step.arguments.get("ErrorMessage") or "", task.values))
    metadata = {"Fail": {"ErrorMessage": message}}
    task.tell(metadata)
    raise StepFailedError(message, None, metadata)
