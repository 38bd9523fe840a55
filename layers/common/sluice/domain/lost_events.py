"""Write lost events again: AWS's detail-types, with the fields that our rules and models read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sluice.domain.times import from_iso, to_iso
from sluice.lazy import dataclass

if TYPE_CHECKING:
    from sluice.catalog.records.announcements import Receiver
    from sluice.catalog.records.releases import Package

# Longer than Lambda takes for its own two retries; then twice as long each time, for a day in all.
_PATIENCE = timedelta(minutes=5)
_REPEATS_MAX = 8
# Events of ours that people are told of, whatever they say; of others it depends on that.
_TOLD = {
    "ApprovalAwaited",
    "BatchRefused",
    "BudgetReached",
    "EndpointDeviated",
    "EndpointRestored",
    "RollbackImpossible",
    "TransformEnded",
}


@dataclass(frozen=True, slots=True)
class LostEvent:
    """An event to put on the bus; its receiver describes the resource and trusts only that."""

    detail_type: str
    detail: Mapping[str, Any]


def receivers(detail_type: str, detail: Mapping[str, Any]) -> list[Receiver]:
    """Return the functions that the rules send an event of ours to, and that alone do what follows from it.

    What follows from others is found in the state of things: these note nothing that would be missed.
    """
    found: list[Receiver] = ["follow_life_cycle"] if detail_type == "ReleaseEnded" else []
    return [*found, "send_notice"] if _is_told(detail_type, detail) else found


def _is_told(detail_type: str, detail: Mapping[str, Any]) -> bool:
    match detail_type:
        case "RunEnded":
            return detail.get("status") in ("failed", "data_rejected")
        case "ReleaseEnded":
            return bool(detail.get("outcome") != "released")
        case "MonitoringJudged":
            return detail.get("status") in ("ok", "violated") and not detail.get("is_estimate")
    return detail_type in _TOLD


def again_at(now: str, repeats: int) -> str | None:
    """Return when an event is due again that was repeated so often; None if it was often enough."""
    return to_iso(from_iso(now) + _PATIENCE * 2**repeats) if repeats < _REPEATS_MAX else None


def object_created(bucket: str, key: str, version_id: str) -> LostEvent:
    detail = {"bucket": {"name": bucket}, "object": {"key": key, "version-id": version_id}}
    return LostEvent("Object Created", detail)


def object_deleted(bucket: str, key: str) -> LostEvent:
    return LostEvent("Object Deleted", {"bucket": {"name": bucket}, "object": {"key": key}})


def job_ended(kind: str, name: str, described: Mapping[str, Any] | None) -> LostEvent | None:
    """Return the lost event of a job (of any kind) that has ended or is gone."""
    if kind == "pipeline_execution":
        return _execution_of_pipeline_ended(name, described)
    noun = kind.removesuffix("_job").title()
    status = described[f"{noun}JobStatus"] if described else "Failed"
    if status not in ("Completed", "Failed", "Stopped"):
        return None
    detail = {f"{noun}JobName": name, f"{noun}JobStatus": status}
    return LostEvent(f"SageMaker {noun} Job State Change", detail)


def _execution_of_pipeline_ended(name: str, described: Mapping[str, Any] | None) -> LostEvent | None:
    status = described["PipelineExecutionStatus"] if described else "Failed"
    if status not in ("Succeeded", "Failed", "Stopped"):
        return None
    detail = {"pipelineExecutionDisplayName": name, "currentPipelineExecutionStatus": status}
    return LostEvent("SageMaker Model Building Pipeline Execution Status Change", detail)


def endpoint_changed(name: str) -> LostEvent:
    return LostEvent("SageMaker Endpoint State Change", {"EndpointName": name})


def endpoint_is_off(name: str, status: str) -> LostEvent:
    """Return the lost event of an endpoint that differs from what its stage's record says of it."""
    return LostEvent("SageMaker Endpoint State Change", {"EndpointName": name, "EndpointStatus": status})


def package_decided(seen: Package, approval_status: str) -> LostEvent | None:
    """Return the lost event of a package whose decision was missed or not acted on."""
    if approval_status == seen.status and not seen.is_unfinished:
        return None
    return _decided(seen.arn, approval_status)


def package_deleted(arn: str) -> LostEvent:
    """Return the event of a version that the registry has no more: what is not there waits for nobody."""
    return _decided(arn, "PendingManualApproval")


def rejected_serves(arn: str) -> LostEvent:
    """Return the event of a rejection that was heard of, and whose rollback failed."""
    return _decided(arn, "Rejected")


def _decided(arn: str, status: str) -> LostEvent:
    detail = {"ModelPackageArn": arn, "ModelApprovalStatus": status}
    return LostEvent("SageMaker Model Package State Change", detail)


def life_cycle_changed(seen: Package, text: str | None) -> LostEvent | None:
    """Return the lost event of a life cycle (stage/status) that is not on record, or half written."""
    is_known = text in (None, seen.life_cycle) and seen.life_cycle_next is None
    if seen.pipeline is None or is_known:
        return None
    detail = {"ModelPackageArn": seen.arn, "UpdatedModelPackageFields": ["ModelLifeCycle"]}
    return LostEvent("SageMaker Model Package State Change", detail)


def alarm_fires(name: str) -> LostEvent:
    detail = {"alarmName": name, "state": {"value": "ALARM"}}
    return LostEvent("CloudWatch Alarm State Change", detail)


def alarm_changed(alarm: Mapping[str, Any]) -> LostEvent:
    """Return the lost event of an alarm whose state people were not told of, as it is described."""
    at = alarm.get("StateTransitionedTimestamp") or alarm["StateUpdatedTimestamp"]
    state = {"value": alarm["StateValue"], "reason": alarm.get("StateReason", ""), "timestamp": to_iso(at)}
    configuration = {"description": alarm.get("AlarmDescription", "")}
    detail = {"alarmName": alarm["AlarmName"], "state": state, "configuration": configuration}
    return LostEvent("CloudWatch Alarm State Change", detail)


def guard_is_off(name: str) -> LostEvent:
    """Return the lost event of an alarm that differs from what its stage's live release wants."""
    return LostEvent("CloudWatch Alarm Configuration Change", {"alarmName": name, "operation": "update"})


def scaling_due(stack: str, pipeline: str, stage: str) -> LostEvent:
    """Return the lost event of a stage that is not scaled as it should be."""
    return LostEvent("ScalingDue", {"stack": stack, "pipeline": pipeline, "stage": stage})


def batch_due(stack: str, pipeline: str) -> LostEvent:
    """Return the event of uploads that are to be scored and that no transform took."""
    return LostEvent("BatchDue", {"stack": stack, "pipeline": pipeline})


def execution_ended(
    arn: str, described: Mapping[str, Any] | None, payload: Mapping[str, Any]
) -> LostEvent | None:
    """Return the lost event of an ended execution; with its payload, which AWS may have forgotten."""
    status = described["status"] if described else "ABORTED"
    if status == "RUNNING":
        return None
    machine, _, name = arn.replace(":execution:", ":stateMachine:").rpartition(":")
    detail = {"executionArn": arn, "name": name, "stateMachineArn": machine, "status": status}
    detail["input"] = json.dumps(payload)
    return LostEvent("Step Functions Execution Status Change", detail)
