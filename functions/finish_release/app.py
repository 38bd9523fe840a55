"""FinishRelease task, also for executions that ended without it: record the end and give the stages back."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog import keys
from sluice.domain.release import releases
from sluice.domain.release.releases import Request
from sluice.events import ExecutionStatusChanged, FinishReleaseTask, TaskFailure
from sluice.observability import logger
from sluice.ports import Cloud, Item
from sluice.services import releasing, vouching
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
    releasing.unlock_stages(cloud, task.release.pipeline, task.release.release_id)
    return {"status": release["status"]}


def _ended(cloud: Cloud, event: dict[str, Any]) -> FinishReleaseTask | None:
    """The task that an execution would have run at its end, by its description; None while it runs."""
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
    return FinishReleaseTask(
        release=Request.model_validate_json(execution["input"]),
        execution_arn=status_event.execution_arn,
        failure=failure,
    )


def _record(cloud: Cloud, task: FinishReleaseTask) -> Item:
    """Write the end down once; the release as it is then."""
    catalog, request = cloud.catalog, task.release
    key = keys.release_key(request.pipeline, request.release_id)
    now = cloud.now()
    # A release that ended before it was planned has no item.
    catalog.create(
        {
            **key,
            "cause": request.cause,
            "status": "running",
            "actor": vouching.actor(cloud, request),
            "execution_arn": task.execution_arn,
            "started_at": now,
        }
    )
    release = catalog.get(key) or {}
    status, reasons = "released", list[str]()
    if task.failure is not None and not _is_live_everywhere(cloud, request, release):
        status, why = releases.failure(task.failure.error, task.failure.cause)
        reasons = [why]
    ended = {"status": status, "reasons": reasons, "ended_at": now}
    catalog.update(key, ended, when={"status": "running"})
    return catalog.get(key) or {**key, **ended}


def _is_live_everywhere(cloud: Cloud, request: Request, release: Item) -> bool:
    """Whether the release got all it was to get, and failed at no more than saying so."""
    stages = [keys.stage_key(request.pipeline, stage) for stage in release.get("stages") or []]
    live = [(cloud.catalog.get(stage) or {}).get("live") for stage in stages]
    return bool(live) and set(live) == {request.release_id}


def _end_deployments(cloud: Cloud, request: Request, release: Item) -> None:
    """Complete, or undo, what a promotion that died has left half written."""
    catalog = cloud.catalog
    for stage in release.get("stages") or []:
        key = keys.deployment_key(request.pipeline, stage, request.release_id)
        changes = {"status": "failed", "ended_at": release["ended_at"]}
        catalog.update(key, changes, when={"status": "deploying"})
        item = catalog.get(keys.stage_key(request.pipeline, stage)) or {}
        if item.get("live") == request.release_id:
            deployment = catalog.get(key) or {}
            releasing.mark_replaced(
                cloud, request.pipeline, stage, deployment, is_rollback=request.is_rollback
            )
        elif item.get("releasing") == request.release_id:
            # Its promotion was written down, but the stage never came to point to it: it never was one.
            catalog.update(key, {**changes, "promoted_at": None}, when={"status": "live"})


def _tell(cloud: Cloud, request: Request, release: Item) -> None:
    if release["status"] == "released":
        event = "rolled back" if request.is_rollback else "released"
        stages = ", ".join(release.get("stages") or [])
        detail = f"v{release.get('package_version')} is live on {stages}"
    else:
        what = "rollback" if request.is_rollback else "release"
        event, detail = f"{what} {release['status']}", "; ".join(release["reasons"])
    at, actor = release["ended_at"], release["actor"]
    note(cloud, request.pipeline, at, request.release_id, event, detail, actor)
