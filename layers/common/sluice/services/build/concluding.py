"""End the jobs of a run: stop them, record how they ended, answer who waits, delete their roles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from sluice.catalog import keys
from sluice.catalog.changes import builds
from sluice.catalog.changes.tasks import close_task
from sluice.catalog.records.builds import JobTask, Run, Step
from sluice.domain import failures, names
from sluice.domain.build import function_ends, job_failures, jobs, log_tails
from sluice.domain.build.errors import JobFailedError, JobNameTakenError, LambdaLimitError
from sluice.domain.roles import RolesForbiddenError
from sluice.domain.times import to_iso
from sluice.lazy import dataclass
from sluice.observability import logger
from sluice.services import backends
from sluice.services.build import caching, contents
from sluice.services.building import COMPLETED, apply_each, find_run, find_step, find_steps, roles_of
from sluice.services.side_by_side import on_each, together
from sluice.services.timeline import note, noting

if TYPE_CHECKING:
    from sluice.catalog.changes import Change
    from sluice.catalog.records.builds import Backend
    from sluice.domain.roles import Role
    from sluice.ports import Cloud, Item


@dataclass(frozen=True, slots=True)
class Described:
    """A task's job as it is described, None if there is none, and its run and step as they are recorded."""

    task: JobTask
    job: Mapping[str, Any] | None
    run: Run | None
    step: Step | None

    def check_own(self) -> None:
        """Raise JobNameTakenError for a job that the task's run cannot have started."""
        if self.run is not None and self.job is not None and not is_own(self.run, self.job):
            raise JobNameTakenError(
                f"{self.task.job_name} was created before this run: give the pipeline another name"
            )


def find(cloud: Cloud, job_name: str, backend: Backend) -> tuple[JobTask | None, Described | None]:
    """Return the task that waits for a job and, if the job's name and who told of it say enough, all else.

    All that is asked at once. What is not of the task's job is left out: then `describe` asks.
    """
    said = names.run_and_step(cloud.stack_name, job_name)
    if said is None:
        item = cloud.catalog.get(keys.task_key(job_name))
        return JobTask.of(item) if item else None, None
    run_id, step = said
    keyed = [
        keys.task_key(job_name),
        keys.run_key(run_id.rpartition("-")[0], run_id),
        keys.step_key(run_id, step),
    ]
    (item, *recorded), job = together(
        partial(cloud.catalog.get_all, keyed),
        partial(backends.jobs_on(cloud, backend).describe, jobs.kind_of(step), job_name),
    )
    if item is None:
        return None, None
    task = JobTask.of(item)
    is_said = (task.run_id, task.step, task.backend) == (run_id, step, backend)
    return task, _described(task, job, recorded) if is_said else None


def describe(cloud: Cloud, task: JobTask) -> Described:
    """Ask for a task's job, its run and its step, all at once."""
    keyed = keys.run_key(task.pipeline, task.run_id), keys.step_key(task.run_id, task.step)
    backend = backends.jobs_on(cloud, task.backend)

    recorded, job = together(
        partial(cloud.catalog.get_all, keyed), partial(backend.describe, task.kind, task.job_name)
    )
    return _described(task, job, recorded)


def _described(task: JobTask, job: Mapping[str, Any] | None, recorded: Sequence[Item | None]) -> Described:
    run, step = recorded
    return Described(task, job, Run.of(run) if run else None, Step.of(step) if step else None)


def is_own(run: Run, description: Mapping[str, Any]) -> bool:
    """Tell whether the run can have started the job: an older job belongs to a former stack."""
    return to_iso(description["CreationTime"]) >= run.started_at


def stop_jobs(cloud: Cloud, run: Run) -> Sequence[Step] | None:
    """Stop the jobs of an ended run: nobody waits for them, and they could cost money for days.

    Returns the steps if they stay as they are: all jobs have ended.

    A job's step is written before the job is created, so none is missed. A function that creates a job later
    finds that the run has ended, and stops it. The ends of stopped jobs are events like any others.
    """
    steps = find_steps(cloud, run.run_id)
    # Skip only steps whose job ended: a step that had no job may have one by now.
    left = [step for step in steps if step.job and not (jobs.has_ended(step.status) and step.job_arn)]
    for step in left:
        stop_job(cloud, run, step)
    return None if left else steps


def stop_job(cloud: Cloud, run: Run, step: Step) -> None:
    """Stop the job that an ended run's step has, if it is running and the run's own; note why on the step."""
    if step.job is None:
        return
    kind, name = step.job
    ended_at, reason = str(run.ended_at), job_failures.stop_reason(run.status, run.reasons)
    running = backends.jobs_on(cloud, step.backend)
    description = running.describe(kind, name)
    if description is None:
        for change in builds.give_up_step(run.run_id, step.step, reason, ended_at):
            cloud.catalog.apply(change)
    if description is None or not jobs.is_running(kind, description) or not is_own(run, description):
        return
    cloud.catalog.apply(builds.stop_step(run.run_id, step.step, reason))
    note(cloud, run.pipeline, ended_at, run.run_id, f"{step.step} is being stopped", reason)
    running.stop(kind, name)


def release_roles(cloud: Cloud, run: Run, ended: Sequence[Step] | None = None) -> None:
    """Delete the roles of an ended run, so that leftovers of the run can do nothing.

    `ended` are its steps, if all their jobs have ended.

    A job that stops uploads what it has with its role: the end of the last job deletes all. A role that the
    account does not let us delete stays.
    """
    steps = find_steps(cloud, run.run_id) if ended is None else ended
    if any(step.job and not jobs.has_ended(step.status) for step in steps):
        return
    on_each(roles_of(cloud, run, steps), partial(_delete_role, cloud))


def _delete_role(cloud: Cloud, role: Role) -> None:
    """Delete a role, unless we may not: then the others are deleted all the same."""
    try:
        cloud.roles.delete(role)
    except RolesForbiddenError as error:
        # Of a role that is gone already IAM says the same.
        logger.info("the role is gone, or stays", extra={"error": str(error)})


def conclude_job(cloud: Cloud, task: JobTask, description: Mapping[str, Any], step: Step | None) -> None:
    """Record how a job ended and answer the task that waits for it; repeating this changes nothing.

    `step` is the job's, as it was before. The next state needs the job's end alone, so only that is written
    before the answer. The task stays open until the timeline and the cache have theirs.
    """
    result, reason = _result(cloud, task, description)
    left: str | None = description.get("LeftBehind")
    if left:
        result["left_behind"] = left
    if reason or left:
        lines = _log_tail(cloud, task, description)
        # What it left running is our last line, and not why the script ended.
        reason = reason and log_tails.told(reason, [line for line in lines if line != left])
        if lines or task.kind != "pipeline_execution":
            # An execution has no log of its own: its first failed job's is told, if one failed.
            result["log_tail"] = lines
    if task.kind == "pipeline_execution":
        from sluice.services.build import sdk_pipelines  # few builds run one

        sdk_pipelines.record_steps(cloud, task, description)
    ended_at = result["ended_at"] or cloud.now()
    end = builds.end_step(task.run_id, task.step, result, reason, ended_at, task.backend)
    # False if the step has another job by now.
    is_its = cloud.catalog.apply(end)
    if reason is None:
        # The step has the rest: a state cannot hold it for many jobs.
        done = {"step": task.step, "job_name": result["job_name"], "status": result["status"]}
        cloud.workflows.succeed(task.task_token, done)
    else:
        limit = description.get("LimitReached")
        error = LambdaLimitError if limit and task.falls_back else JobFailedError
        cause = failures.cut(f"{result['job_name']}: {reason}")
        cloud.workflows.fail(task.task_token, error.__name__, cause)
    event = f"{task.step} {result['status'].lower()}"
    detail = reason or left or result["job_name"]
    after: list[Change] = [noting(task.pipeline, ended_at, task.run_id, event, detail)]
    if reason is None and is_its and step is not None:
        outputs, digests = result.get("outputs"), result.get("contents")
        recorded = replace(step, status="Completed", ended_at=ended_at, outputs=outputs, contents=digests)
        after += caching.remembering(cloud, task, recorded)
    _close(cloud, task, after)


def _result(cloud: Cloud, task: JobTask, description: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Return what a job came to, with its outputs' digests, and why it failed; None if it did not."""
    result = jobs.job_result(task.kind, description, task.step)
    if result["status"] != COMPLETED:
        return result, _failure_reason(cloud, task, description)
    if task.kind == "pipeline_execution":
        return result, None
    result["contents"] = caching.digests(cloud, result, description.get("Written", contents.NOTHING))
    if task.step == names.PREPARE and (reason := _unprepared(cloud, result)):
        return {**result, "status": "Failed"}, reason
    return result, None


def _unprepared(cloud: Cloud, result: Mapping[str, Any]) -> str | None:
    """Say which splits the run's first job left empty, though it completed: who reads them would fail."""
    # What has a digest is not empty.
    missing = {split: result["outputs"][split] for split in jobs.SPLITS if split not in result["contents"]}
    found = ((split, contents.empty_files(cloud, uri)) for split, uri in missing.items())
    return job_failures.unprepared({split: files for split, files in found if files is not None})


def _failure_reason(cloud: Cloud, task: JobTask, description: Mapping[str, Any]) -> str:
    step = find_step(cloud, task.run_id, task.step)
    if step and step.stopped_because:
        return step.stopped_because
    reason = job_failures.failure_reason(task.kind, description)
    return reason if task.falls_back else reason + function_ends.advice(description.get("LimitReached"))


def _log_tail(cloud: Cloud, task: JobTask, description: Mapping[str, Any]) -> list[str]:
    """Return the last lines that a job printed: as its description has them, or else from its log."""
    lines = description.get("LogTail")
    if task.kind == "pipeline_execution":
        from sluice.services.build import sdk_pipelines

        found = sdk_pipelines.failed_job(description)
        lines = cloud.job_logs.tail(*found, log_tails.LINES_MAX) if found else []
    if lines is None:
        group = log_tails.group(cloud.stack_name, task.pipeline, task.kind, task.backend)
        lines = cloud.job_logs.tail(group, task.job_name, log_tails.LINES_MAX)
    return log_tails.kept(lines)


def give_up_job(cloud: Cloud, task: JobTask, error: Exception) -> None:
    """Answer a task whose job will never end for it."""
    reason = str(error)
    cloud.catalog.apply(builds.fail_step(task.run_id, task.step, reason, cloud.now()))
    cloud.workflows.fail(task.task_token, type(error).__name__, reason)
    _close(cloud, task)


def _close(cloud: Cloud, task: JobTask, left: Sequence[Change] = ()) -> None:
    """Close an answered task with what is left to record: a crash before leaves it open for the next hint."""
    run = find_run(cloud, task.pipeline, task.run_id)
    if run is not None and run.has_ended:
        release_roles(cloud, run)
    apply_each(cloud, *left, close_task(task.job_name, task.task_token))
