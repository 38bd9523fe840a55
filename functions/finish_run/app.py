"""FinishRun task, also for executions that ended without it: record the end and let the next build start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sluice import wiring
from sluice.domain import failures
from sluice.events import ExecutionStatusChanged, FinishRunTask, TaskFailure
from sluice.observability import logger
from sluice.services.build import ending, stopping
from sluice.tasks import machine_task

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from sluice.ports import Cloud

_ENDED_BADLY = {"FAILED", "TIMED_OUT", "ABORTED"}


@logger.inject_lambda_context(clear_state=True)
@machine_task
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    cloud = wiring.cloud()
    task = _ended(cloud, event) if "detail" in event else FinishRunTask.model_validate(event)
    if task is None:
        return {"status": "running"}
    logger.append_keys(run_id=task.run_id)
    reasons = [failures.reason(task.error.error, task.error.cause)] if task.error else task.reasons
    run = ending.record(cloud, task.pipeline, task.run_id, task.status, reasons)
    if run is None:
        logger.warning("there is no such run")
        return {"status": "ignored"}
    ending.clear_up(cloud, run)
    logger.info("run finished", extra={"status": run.status})
    return {"status": run.status}


def _ended(cloud: Cloud, event: dict[str, Any]) -> FinishRunTask | None:
    """Return the task that an ended execution would have run last; None while it runs."""
    hint = ExecutionStatusChanged.model_validate(event)
    execution = cloud.workflows.describe(hint.execution_arn)
    status = execution["status"] if execution else "ABORTED"
    if status not in _ENDED_BADLY:
        return None
    described = execution or {}
    cause = described.get("cause") or "the execution ended so"
    pipeline, error = hint.name.rpartition("-")[0], described.get("error")
    if error == stopping.STOPPED:
        return FinishRunTask(pipeline=pipeline, run_id=hint.name, status="stopped", reasons=[cause])
    return FinishRunTask(
        pipeline=pipeline,
        run_id=hint.name,
        status="failed",
        error=TaskFailure(error=error or status, cause=cause),
    )
