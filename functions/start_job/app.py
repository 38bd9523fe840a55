"""Start a job for a waiting task, or adopt the one an earlier attempt started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

from aws_lambda_powertools.utilities.typing import LambdaContext

import sluice.domain.config  # noqa: F401 - each event needs it, and it loads faster before the first one
from sluice import wiring
from sluice.catalog import keys
from sluice.catalog.changes import builds
from sluice.catalog.records.builds import JobTask, Run, Step
from sluice.domain import failures, names, quotas, roles
from sluice.domain.build import candidates, jobs
from sluice.domain.build.jobs import JobKind, Request
from sluice.domain.quotas import QuotaError, QuotaTooLowError
from sluice.domain.roles import RoleNotReadyError
from sluice.domain.times import from_iso
from sluice.events import StartJobTask, event_parser
from sluice.observability import logger
from sluice.ports import Cloud, RequestRefusedError
from sluice.services import building
from sluice.services.build import caching, concluding, environments, placing, requesting, spending
from sluice.services.build.caching import Found
from sluice.services.build.placing import Placement
from sluice.services.build.requesting import WantedJob
from sluice.services.build.spending import CostLimitError
from sluice.services.timeline import note, noting
from sluice.tasks import machine_task

# Longer than any job: after that nobody needs the item.
_TASK_KEPT = timedelta(days=30)


@logger.inject_lambda_context(clear_state=True)
@machine_task
@event_parser(model=StartJobTask)
def lambda_handler(task: StartJobTask, context: LambdaContext) -> dict[str, str]:
    cloud = wiring.cloud()
    kind, name = jobs.kind_of(task.step), _job_name(cloud, task)
    logger.append_keys(run_id=task.run_id, job_name=name)
    wanted = requesting.find_wanted_job(cloud, task)
    before, hyperparameters = wanted.step, _hyperparameters(cloud, wanted)
    placement, request = _placed(cloud, wanted, name, hyperparameters)
    found = None
    # A job that a former attempt started goes on.
    if kind != "pipeline_execution" and (before is None or before.cached or placement.moves):
        found = caching.find(cloud, wanted, request, placement.environment)
        if not placement.moves and caching.reuse(cloud, task, found, hyperparameters):
            return {"job_name": ""}
    # Both before the job: one that ends at once must find the task to answer, and the end of the run stops
    # recorded jobs.
    waiting = _task(cloud, task, kind, name, placement)
    step = _step(cloud, wanted, kind, name, hyperparameters, placement, found)

    def record() -> None:
        _record(cloud, waiting, step, placement)
        if kind == "training_job":
            spending.check(cloud, task.run_id, task.step, name, wanted.build.config.train)

    try:
        created = _start_recorded(cloud, wanted, kind, request, placement, record)
    except QuotaError as refusal:
        raise _wait(cloud, task, quotas.of_job(quotas.read(str(refusal)))) from None
    except (RequestRefusedError, CostLimitError) as refusal:
        _give_up(cloud, task, str(refusal))
        raise
    _record_start(cloud, task, name, placement)
    if not created:
        _adopt(cloud, waiting)
    _stop_if_over(cloud, task)
    return {"job_name": name}


def _job_name(cloud: Cloud, task: StartJobTask) -> str:
    if task.step == names.PIPELINE:
        return names.pipeline_execution(cloud.stack_name, task.run_id)
    return names.job_name(cloud.stack_name, task.run_id, task.step)


def _hyperparameters(cloud: Cloud, wanted: WantedJob) -> dict[str, str]:
    """Return a candidate's hyperparameters, or the parameters of a pipeline of SageMaker."""
    task, config = wanted.task, wanted.build.config
    if task.step == names.PIPELINE:
        from sluice.services.build import sdk_pipelines  # few builds run one

        return sdk_pipelines.parameters(cloud, task, config, wanted.build.files_uri)
    return candidates.of_step(config.train, task.step)


def _placed(
    cloud: Cloud, wanted: WantedJob, name: str, hyperparameters: Mapping[str, str]
) -> tuple[Placement, Request]:
    """Choose where the job runs, and what is asked for there."""
    task, build = wanted.task, wanted.build
    placement = placing.place(cloud, wanted, name)
    if task.step == names.PIPELINE:
        from sluice.services.build import sdk_pipelines

        digest = wanted.project.definition_sha256
        return placement, sdk_pipelines.execution_request(cloud, task, digest, hyperparameters)
    if placement.room is not None:
        own = jobs.on_lambda(build)
        request = requesting.request_of(task, own, hyperparameters)
        problem = cloud.lambda_jobs.problem(jobs.kind_of(task.step), request, placement.room)
        if problem is not None:
            placement = placing.instead(placement, problem)
        if placement.room is not None:
            return placement, request
    own = replace(build, role_arn=building.step_role(cloud, build, task.step).arn)
    return placement, requesting.request_of(task, own, hyperparameters)


def _start_recorded(
    cloud: Cloud,
    wanted: WantedJob,
    kind: JobKind,
    request: Request,
    placement: Placement,
    record: Callable[[], None],
) -> bool:
    """Record the job and start it; what a job on Lambda needs to be ordered is made beside the record.

    Not if its costs may refuse it: a request that is there is a job that was started before.
    """
    if placement.room is None or wanted.build.config.train.candidates.max_cost_usd is not None:
        record()
        return _start(cloud, wanted, kind, request, placement, lambda: None)
    with ThreadPoolExecutor(1) as pool:
        recording = pool.submit(record)
        try:
            return _start(cloud, wanted, kind, request, placement, recording.result)
        finally:
            recording.result()


def _start(
    cloud: Cloud,
    wanted: WantedJob,
    kind: JobKind,
    request: Request,
    placement: Placement,
    before_order: Callable[[], None],
) -> bool:
    """Start the job with its role, which may be so new that AWS does not know it yet."""
    made_at = _ensure_role(cloud, wanted, placement)
    try:
        if placement.room is not None:
            return cloud.lambda_jobs.start(kind, request, placement.room, before_order)
        running = cloud.pipelines if kind == "pipeline_execution" else cloud.jobs
        return running.start(kind, request)
    except RequestRefusedError as refusal:
        if made_at and roles.is_settling(made_at, cloud.now(), str(refusal)):
            raise RoleNotReadyError(str(refusal)) from refusal
        raise


def _ensure_role(cloud: Cloud, wanted: WantedJob, placement: Placement) -> str | None:
    """Make the role that the job needs; returns when it was made, None if it was there before."""
    task, prepared = wanted.task, wanted.prepared
    if task.step == names.PIPELINE:
        made_at = cloud.roles.ensure(roles.pipeline_role(cloud.account, task.pipeline))
        # SageMaker starts these jobs later. If IAM refuses one then, nobody starts it again.
        if roles.is_fresh(made_at, cloud.now()):
            raise RoleNotReadyError(f"the role of {task.pipeline}'s pipeline is a few seconds old")
        return made_at
    if placement.room is None:
        return cloud.roles.ensure(building.step_role(cloud, wanted.build, task.step))
    # The jobs on Lambda share one, which the first makes: that of `prepare`, if it is there.
    if task.step == names.PREPARE or prepared is None or prepared.cached or prepared.backend != "lambda":
        return cloud.roles.ensure(building.run_role(cloud, task.pipeline, task.run_id))
    return None


def _task(cloud: Cloud, task: StartJobTask, kind: JobKind, name: str, placement: Placement) -> JobTask:
    return JobTask(
        job_name=name,
        task_token=task.task_token,
        kind=kind,
        pipeline=task.pipeline,
        run_id=task.run_id,
        step=task.step,
        status="open",
        expires_at=int((from_iso(cloud.now()) + _TASK_KEPT).timestamp()),
        opened_at=cloud.now(),
        backend=placement.choice.backend,
        falls_back=placement.falls_back,
    )


def _step(
    cloud: Cloud,
    wanted: WantedJob,
    kind: JobKind,
    name: str,
    hyperparameters: Mapping[str, str],
    placement: Placement,
    found: Found | None,
) -> Step:
    """Return the step, with what it depends on."""
    step = Step(
        run_id=wanted.task.run_id,
        step=wanted.task.step,
        status="Starting",
        kind=kind,
        job_name=name,
        started_at=cloud.now(),
        detail=dict(hyperparameters),
        backend=placement.choice.backend,
        backend_reason=placement.choice.reason,
        role=_whose_role(wanted, kind, placement),
        data_bytes=wanted.dataset.size_bytes if wanted.dataset else None,
        lambda_usage=placement.lambda_usage,
        packages_usage=environments.pay(cloud, placement.packages, name),
        environment=placement.environment,
    )
    return step if found is None else caching.depending(step, found)


def _whose_role(wanted: WantedJob, kind: JobKind, placement: Placement) -> str | None:
    """Return whose role the job has on SageMaker, as steps note it; None on Lambda and of an execution."""
    if placement.room is not None or kind == "pipeline_execution":
        return None
    return jobs.role_of(wanted.build, wanted.task.step)[0]


def _record(cloud: Cloud, waiting: JobTask, step: Step, placement: Placement) -> None:
    """Store the token and the step; one that was there before is only told what it depends on."""
    begin = builds.move_step(step) if placement.moves else builds.add_step(step)
    if cloud.catalog.apply(builds.await_job(waiting), begin):
        return
    cloud.catalog.apply(builds.await_job(waiting))
    if step.cache_key is not None or step.cache_miss is not None:
        cloud.catalog.apply(builds.depend_step(step))


def _wait(cloud: Cloud, task: StartJobTask, error: Exception) -> Exception:
    """Note at once why there is no job; returns the error to raise, which has the task retried or failed."""
    said = failures.cut(str(error))
    if isinstance(error, QuotaTooLowError):
        _give_up(cloud, task, said)
    elif cloud.catalog.apply(builds.await_quota(task.run_id, task.step, said)):
        note(
            cloud,
            task.pipeline,
            cloud.now(),
            task.run_id,
            f"{task.step} waits for a quota",
            failures.plain(said),
        )
    return error


def _give_up(cloud: Cloud, task: StartJobTask, why: str) -> None:
    """Note why there will be no job."""
    cloud.catalog.apply(builds.refuse_step(task.run_id, task.step, failures.cut(why), cloud.now()))


def _record_start(cloud: Cloud, task: StartJobTask, name: str, placement: Placement) -> None:
    now, said = cloud.now(), f"{name}, {placement.choice.reason}"
    noted = noting(task.pipeline, now, task.run_id, f"{task.step} started", said)
    any(cloud.catalog.apply(change, noted) for change in builds.start_step(task.run_id, task.step, now))


def _stop_if_over(cloud: Cloud, task: StartJobTask) -> None:
    """Stop the job if its run ended while the job was created: the end did not find it."""
    run, step = cloud.catalog.get_all(
        [keys.run_key(task.pipeline, task.run_id), keys.step_key(task.run_id, task.step)]
    )
    if run is not None and step is not None and (ended := Run.of(run)).has_ended:
        concluding.stop_job(cloud, ended, Step.of(step))


def _adopt(cloud: Cloud, waiting: JobTask) -> None:
    found = concluding.describe(cloud, waiting)
    if found.job is None:
        return
    found.check_own()
    if jobs.is_terminal(waiting.kind, found.job):
        concluding.conclude_job(cloud, waiting, found.job, found.step)
