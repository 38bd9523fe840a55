"""FinishRelease task, also for executions that ended without it: record the end and unlock the stages."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog.changes import releases as changes
from sluice.catalog.records.releases import Release, ReleaseEnd
from sluice.domain import lost_events
from sluice.domain.release import packages, releases
from sluice.domain.release.alarms import ERROR_RATE
from sluice.domain.release.releases import Request
from sluice.events import ExecutionStatusChanged, TaskFailure
from sluice.observability import logger
from sluice.ports import Cloud
from sluice.release_events import FinishReleaseTask
from sluice.services import announcing, metering
from sluice.services.release import claiming, deploying, releasing, scaling, vouching
from sluice.services.timeline import note
from sluice.tasks import machine_task


@logger.inject_lambda_context(clear_state=True)
@machine_task
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    cloud = wiring.cloud()
    task = _ended(cloud, event) if "detail" in event else FinishReleaseTask.model_validate(event)
    if task is None:
        return {"status": "still running"}
    logger.append_keys(release_id=task.release.release_id)
    release = _record(cloud, task)
    _end_deployments(cloud, task.release, release)
    _tell(cloud, task.release, release)
    claiming.unlock_stages(cloud, task.release.pipeline, task.release.release_id)
    if release.status != "released":
        _ask_for_guards(cloud, release)
        _ask_for_endpoints(cloud, release)
        # The release may have stopped scaling them.
        for stage in release.stages:
            scaling.announce(cloud, release.pipeline, stage)
    return {"status": release.status}


def _ended(cloud: Cloud, event: dict[str, Any]) -> FinishReleaseTask | None:
    """Return the task that an ended execution would have run last; None while it runs."""
    status_event = ExecutionStatusChanged.model_validate(event)
    execution = cloud.workflows.describe(status_event.execution_arn)
    if execution is None:
        execution = {"status": "ABORTED", "input": status_event.input}
    if execution["status"] == "RUNNING" or execution["input"] is None:
        return None
    failure = None
    if execution["status"] != "SUCCEEDED":
        error = execution.get("error") or execution["status"]
        failure = TaskFailure(error=error, cause=execution.get("cause") or "the execution ended so")
    said = {"release": json.loads(execution["input"]), "execution_arn": status_event.execution_arn}
    return FinishReleaseTask.model_validate({**said, "failure": failure})


def _record(cloud: Cloud, task: FinishReleaseTask) -> Release:
    """Record the end once; returns the updated release."""
    request, now = task.release, cloud.now()
    # A release that ended before it was planned has no item.
    started, _ = vouching.begin(cloud, request, task.execution_arn)
    release = releasing.find_release(cloud, request.pipeline, request.release_id) or started
    status: ReleaseEnd = "released"
    reasons = list[str]()
    if task.failure is not None and not _is_live_everywhere(cloud, release):
        status, why = releases.failure(task.failure.error, task.failure.cause)
        reasons = [why]
    end = changes.end_release(request.pipeline, request.release_id, status, reasons, now)
    is_first = cloud.catalog.apply(end)
    ended = releasing.find_release(cloud, request.pipeline, request.release_id) or release
    if is_first:
        metering.release_ended(cloud, ended, is_rollback=request.is_rollback)
    return ended


def _is_live_everywhere(cloud: Cloud, release: Release) -> bool:
    """Tell whether the release reached all its stages, and failed only to record that."""
    stages = [releasing.find_stage(cloud, release.pipeline, stage) for stage in release.stages]
    return bool(stages) and all(stage and stage.live == release.release_id for stage in stages)


def _end_deployments(cloud: Cloud, request: Request, release: Release) -> None:
    """Complete or undo what a promotion that died left half written."""
    catalog, release_id, ended_at = cloud.catalog, release.release_id, str(release.ended_at)
    for name in release.stages:
        catalog.apply(changes.fail_deployment(release.pipeline, name, release_id, ended_at))
        stage = releasing.find_stage(cloud, release.pipeline, name)
        if stage is not None and stage.live == release_id:
            deployment = deploying.find_deployment(cloud, release.pipeline, name, release_id)
            if deployment is not None:
                deploying.mark_replaced(cloud, deployment, is_rollback=request.is_rollback)
        elif stage is not None and stage.releasing == release_id:
            catalog.apply(changes.undo_promotion(release.pipeline, name, release_id, ended_at))


def _ask_for_guards(cloud: Cloud, release: Release) -> None:
    """Have the alarms of stages that keep what they served put back at once: it made its own already."""
    for name in release.stages:
        endpoint_name = releasing.find_endpoint_name(cloud, release.pipeline, name)
        guarded = releasing.find_guarded(cloud, release.pipeline, name, endpoint_name)
        hint = lost_events.guard_is_off(guarded.alarm_name(ERROR_RATE))
        cloud.bus.put(hint.detail_type, hint.detail)


def _ask_for_endpoints(cloud: Cloud, release: Release) -> None:
    """Have endpoints looked at that may have kept the shadow of a release which was stopped."""
    for name in release.stages:
        deployment = deploying.find_deployment(cloud, release.pipeline, name, release.release_id)
        if deployment is not None and deployment.shadow:
            endpoint_name = releasing.find_endpoint_name(cloud, release.pipeline, name)
            hint = lost_events.endpoint_is_off(endpoint_name, "InService")
            cloud.bus.put(hint.detail_type, hint.detail)


def _replaced(cloud: Cloud, request: Request, release: Release) -> int | None:
    """Return the version that a rollback took back; None of other releases."""
    if not request.is_rollback:
        return None
    find = partial(deploying.find_deployment, cloud, release.pipeline, str(request.stage))
    ours = find(release.release_id)
    theirs = find(ours.replaces) if ours else None
    return theirs.package_version if theirs else None


def _tell(cloud: Cloud, request: Request, release: Release) -> None:
    former = None
    if release.status == "released":
        event = "rolled back" if request.is_rollback else "released"
        detail = f"v{release.package_version} is live on {', '.join(release.stages)}"
        detail += f" in place of v{former}" if (former := _replaced(cloud, request, release)) else ""
    else:
        what = "rollback" if request.is_rollback else "release"
        event, detail = f"{what} {release.status}", "; ".join(release.reasons)
    at, actor = str(release.ended_at), release.actor
    note(cloud, request.pipeline, at, request.release_id, event, detail, actor)
    announcing.release_ended(cloud, release, is_rollback=request.is_rollback, replaced=former)
    if release.status == "released" and release.held_back:
        arn, reached = str(release.package_arn), ", ".join(release.stages)
        version, group = int(release.package_version or 0), packages.group_of(arn)
        name = packages.version_name(cloud.stack_name, release.pipeline, group, version)
        why, stage = f"it serves on {reached}, and the next stage asks for a person", release.held_back
        announcing.approval_awaited(cloud, request.pipeline, name, arn, at, stage=stage, reason=why)
