"""Answer the task that waits for a job, once the job is described as ended."""

from __future__ import annotations

from datetime import timedelta

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog.records.builds import JobTask
from sluice.domain.build import function_ends, jobs
from sluice.domain.build.errors import JobFailedError, JobNameTakenError
from sluice.domain.times import from_iso
from sluice.events import JobStateChanged, event_parser
from sluice.observability import logger
from sluice.ports import Cloud
from sluice.services.build import concluding

# Longer than the state machine waits between attempts to start a job.
_PATIENCE = timedelta(hours=1)


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=JobStateChanged)
def lambda_handler(event: JobStateChanged, context: LambdaContext) -> dict[str, str]:
    cloud = wiring.cloud()
    logger.append_keys(job_name=event.job_name)
    task, found = concluding.find(cloud, event.job_name, event.backend)
    if task is None or task.status != "open":
        # Another's job, or a repeated hint.
        return {"status": "ignored"}
    if event.order is not None:
        end = function_ends.read(event.record)
        if not cloud.lambda_jobs.record_end(event.job_name, event.order.secret, end):
            return {"status": "another order's"}
        # What was described before lacks the end.
        found = None
    found = found or concluding.describe(cloud, task)
    if found.job is not None and jobs.is_terminal(task.kind, found.job):
        try:
            found.check_own()
        except JobNameTakenError as error:
            concluding.give_up_job(cloud, task, error)
            return {"status": "given up"}
        concluding.conclude_job(cloud, task, found.job, found.step)
        return {"status": "answered"}
    if found.job is None and _is_overdue(cloud, task):
        absent = f"there is no {task.kind.replace('_', ' ')} {event.job_name}"
        concluding.give_up_job(cloud, task, JobFailedError(absent))
        return {"status": "given up"}
    return {"status": "waiting"}


def _is_overdue(cloud: Cloud, task: JobTask) -> bool:
    """Tell whether the job should exist by now: its task opens before the attempts to start it."""
    return from_iso(cloud.now()) - from_iso(task.opened_at) > _PATIENCE
