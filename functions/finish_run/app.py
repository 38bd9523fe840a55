"""FinishRun task, also for executions that ended without it: record the end and let the next build start."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import building, wiring
from sluice.domain import catalog as keys
from sluice.domain import failures
from sluice.events import ExecutionStatusChanged, FinishRunTask, TaskFailure
from sluice.observability import logger
from sluice.ports import Item, RolesForbiddenError
from sluice.timeline import note

# The rest is in the report.
_REASONS_TOLD = 5
_ENDED_BADLY = {"FAILED", "TIMED_OUT", "ABORTED"}


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    task = _ended(event) if "detail" in event else FinishRunTask.model_validate(event)
    if task is None:
        return {"status": "running"}
    logger.append_keys(run_id=task.run_id)
    run = _record(task)
    if run is None:
        logger.warning("there is no such run")
        return {"status": "ignored"}
    building.stop_jobs(task.pipeline, task.run_id, run)
    if run["status"] == "data_rejected":
        _tell_owner(task, run)
    _unlock(task, run)
    _delete_role(task)
    logger.info("run finished", extra={"status": run["status"]})
    return {"status": run["status"]}


def _ended(event: dict[str, Any]) -> FinishRunTask | None:
    """The task that an execution would have run at its end, by its description; None while it runs."""
    hint = ExecutionStatusChanged.model_validate(event)
    execution = wiring.workflows().describe(hint.execution_arn)
    status = execution["status"] if execution else "ABORTED"
    if status not in _ENDED_BADLY:
        return None
    described = execution or {}
    cause = described.get("cause") or "the execution ended so"
    return FinishRunTask(
        pipeline=hint.name.rpartition("-")[0],
        run_id=hint.name,
        status="failed",
        error=TaskFailure(error=described.get("error") or status, cause=cause),
    )


def _record(task: FinishRunTask) -> Item | None:
    """Write the end down once; the run as it is then, None if there is none. What follows can be repeated."""
    catalog, key = wiring.catalog(), keys.run_key(task.pipeline, task.run_id)
    reasons = task.reasons
    if task.error is not None:
        reasons = [failures.reason(task.error.error, task.error.cause)]
    ended = {"status": task.status, "reasons": reasons, "ended_at": wiring.now()}
    catalog.update(key, ended, when={"status": "running"})
    run = catalog.get(key)
    if run is None:
        return None
    detail = "; ".join(run["reasons"]) or "a model was registered"
    note(task.pipeline, run["ended_at"], task.run_id, f"run {run['status']}", detail)
    return run


def _tell_owner(task: FinishRunTask, run: Item) -> None:
    """Announce a rejected data set once: the rule for it in the template tells whoever subscribed.

    The event comes before the note of it. A crash in between is the one way to hear of a run twice.
    """
    if "owner_told_at" in run:
        return
    dataset = wiring.catalog().get(keys.dataset_key(task.pipeline, run["dataset_version"])) or {}
    detail = {
        "pipeline": task.pipeline,
        "run_id": task.run_id,
        "dataset_version": run["dataset_version"],
        "reasons": run["reasons"][:_REASONS_TOLD],
        "report_uri": dataset.get("report_uri"),
    }
    wiring.bus().announce("DatasetRejected", detail)
    wiring.catalog().update(keys.run_key(task.pipeline, task.run_id), {"owner_told_at": wiring.now()})


def _unlock(task: FinishRunTask, run: Item) -> None:
    """Let the next build start. A run that found nothing new was none: it costs no budget, no cooldown."""
    catalog, key = wiring.catalog(), keys.pipeline_key(task.pipeline)
    changes: Item = {"in_flight": None}
    if run["status"] == "skipped" and (pipeline := catalog.get(key)):
        changes |= {
            "budget_used": pipeline["budget_used"] - 1,
            "last_build_at": pipeline.get("former_build_at"),
        }
    catalog.update(key, changes, when={"in_flight": task.run_id})
    wiring.build_requests().send(task.pipeline)


def _delete_role(task: FinishRunTask) -> None:
    """Whatever the run left behind can do nothing more. What cannot be deleted is no reason to fail."""
    try:
        wiring.roles().delete(building.run_role(task.pipeline, task.run_id))
    except RolesForbiddenError as error:
        logger.warning("the run's role stays", extra={"error": str(error)})
