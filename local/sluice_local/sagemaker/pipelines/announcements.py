"""Change executions and steps, and tell the bus, in lower camel case unlike SageMaker's other events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sluice_local.sagemaker.api.core import Item, Scope, Table
from sluice_local.sagemaker.api.events import iso_time, publish
from sluice_local.sagemaker.pipelines.stored import EXECUTIONS, STEPS

_NOUN = "SageMaker Model Building Pipeline Execution"
_DISPLAYED = (
    "PipelineExecutionDisplayName",
    "PipelineExecutionDescription",
    "PipelineArn",
    "PipelineExecutionArn",
)
_TOLD = ("FailureReason", "CacheHitResult", "Metadata", "StepName", "StepType")


def change_execution(scope: Scope, name: str, status: str, **changes: Any) -> Item:
    """Bring an execution into a status, and announce it."""
    return _change(EXECUTIONS, "PipelineExecutionStatus", announce_execution, scope, name, status, changes)


def change_step(scope: Scope, key: str, status: str, **changes: Any) -> Item:
    """Bring a step into a status, and announce it."""
    return _change(STEPS, "StepStatus", announce_step, scope, key, status, changes)


Announce = Callable[[Scope, Item, str], None]


def _change(
    table: Table, status_key: str, announce: Announce, scope: Scope, name: str, status: str, changes: Item
) -> Item:
    before: list[str] = []

    def changed(item: Item) -> Item:
        before.append(item[status_key])
        return {status_key: status, **changes}

    item = table.edit(scope, name, changed)
    announce(scope, item, before[0])
    return item


def announce_execution(scope: Scope, item: Item, previous: str | None = None) -> None:
    detail = {_camel(member): item[member] for member in _DISPLAYED if item.get(member) is not None}
    detail |= {
        "currentPipelineExecutionStatus": item["PipelineExecutionStatus"],
        "executionStartTime": iso_time(item["CreationTime"]),
    }
    if previous:
        detail["previousPipelineExecutionStatus"] = previous
    if ended := item.get("_EndTime"):
        detail["executionEndTime"] = iso_time(ended)
    publish(scope, f"{_NOUN} Status Change", detail, [item["PipelineArn"], item["PipelineExecutionArn"]])


def announce_step(scope: Scope, item: Item, previous: str | None = None) -> None:
    detail = {_camel(member): _cameled(item[member]) for member in _TOLD if item.get(member)}
    detail |= {
        "metadata": detail.get("metadata", {}),
        "currentStepStatus": item["StepStatus"],
        "stepStartTime": iso_time(item["StartTime"]),
        "pipelineArn": item["_PipelineArn"],
        "pipelineExecutionArn": item["_PipelineExecutionArn"],
    }
    if previous:
        detail["previousStepStatus"] = previous
    if ended := item.get("EndTime"):
        detail["stepEndTime"] = iso_time(ended)
    resources = [item["_PipelineArn"], item["_PipelineExecutionArn"]]
    publish(scope, f"{_NOUN} Step Status Change", detail, resources)


def _camel(name: str) -> str:
    return name[0].lower() + name[1:]


def _cameled(value: Any) -> Any:
    if isinstance(value, dict):
        return {_camel(key): _cameled(item) for key, item in value.items()}
    return [_cameled(item) for item in value] if isinstance(value, list) else value
