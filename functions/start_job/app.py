"""Start a job for a waiting task, or adopt the one an earlier attempt started."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from aws_lambda_powertools.utilities.parser import event_parser
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog import keys
from sluice.domain import failures, names, quotas, roles
from sluice.domain.build import candidates, jobs
from sluice.domain.build.jobs import Build, JobKind, Request
from sluice.domain.quotas import QuotaTooLowError
from sluice.domain.roles import RoleNotReadyError
from sluice.domain.times import from_iso
from sluice.events import StartJobTask
from sluice.observability import logger
from sluice.ports import Cloud, Item, QuotaError, RequestRefusedError
from sluice.services import building
from sluice.services.timeline import note

# Longer than any job; then the item has served its purpose.
_TASK_KEPT = timedelta(days=30)
# The status of a step whose job is being created.
_STARTING = "Starting"
# The status of one whose job waits for a quota of the account.
_WAITING = "Waiting"


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=StartJobTask)
def lambda_handler(task: StartJobTask, context: LambdaContext) -> dict[str, str]:
    cloud = wiring.cloud()
    kind, name = jobs.kind_of(task.step), names.job_name(cloud.stack_name, task.run_id, task.step)
    logger.append_keys(run_id=task.run_id, job_name=name)
    build = building.find_build(cloud, task, script_version=task.script_version, image=task.image)
    hyperparameters = candidates.of_step(build.config.train, task.step)
    request = _request(task, build, hyperparameters)
    # The token first: a job that ends at once must find whom to answer.
    waiting = _store_token(cloud, task, kind, name)
    # So does the step: the end of its run stops what is written down.
    _record_step(cloud, task, kind, name, hyperparameters)
    try:
        created = _start(cloud, task, kind, request)
    except QuotaError as refusal:
        raise _wait(cloud, task, quotas.of_job(quotas.read(str(refusal)))) from None
    except RequestRefusedError as refusal:
        _give_up(cloud, task, str(refusal))
        raise
    _record_start(cloud, task, name)
    if not created:
        _adopt(cloud, waiting, name)
    _stop_if_over(cloud, task)
    return {"job_name": name}


def _request(task: StartJobTask, build: Build, hyperparameters: Mapping[str, str]) -> Request:
    if task.step == names.PREPARE:
        return jobs.prepare_request(build, build.locations.dataset_files(task.dataset_version))
    if jobs.kind_of(task.step) == "training_job":
        return jobs.training_request(build, task.step, hyperparameters)
    role = task.step.removeprefix(names.evaluate_step(""))
    return jobs.evaluate_request(build, role, str(task.model_uri))


def _start(cloud: Cloud, task: StartJobTask, kind: JobKind, request: Request) -> bool:
    """Start the job; the run's first one needs a role that exists, which SageMaker may learn late."""
    made_at = None
    if task.step == names.PREPARE:
        made_at = cloud.roles.ensure(building.run_role(cloud, task.pipeline, task.run_id))
    try:
        return cloud.jobs.start(kind, request)
    except RequestRefusedError as refusal:
        if made_at and roles.is_settling(made_at, cloud.now()):
            raise RoleNotReadyError(str(refusal)) from refusal
        raise


def _store_token(cloud: Cloud, task: StartJobTask, kind: JobKind, name: str) -> Item:
    """The newest attempt's token replaces any other: only that one is still waited for."""
    waiting = {
        "task_token": task.task_token,
        "kind": kind,
        "pipeline": task.pipeline,
        "run_id": task.run_id,
        "step": task.step,
        "status": "open",
        "opened_at": cloud.now(),
        "expires_at": int((from_iso(cloud.now()) + _TASK_KEPT).timestamp()),
        "gsi1pk": keys.TASKS,
        "gsi1sk": name,
    }
    cloud.catalog.update(keys.task_key(name), waiting)
    return waiting


def _record_step(
    cloud: Cloud, task: StartJobTask, kind: JobKind, name: str, hyperparameters: Mapping[str, str]
) -> None:
    step: dict[str, Any] = {
        **keys.step_key(task.run_id, task.step),
        "kind": kind,
        "job_name": name,
        "status": _STARTING,
        "started_at": cloud.now(),
        "detail": dict(hyperparameters),
    }
    cloud.catalog.create(step)


def _wait(cloud: Cloud, task: StartJobTask, error: Exception) -> Exception:
    """Show at once why there is no job; the error to raise, by which the task is tried again or ends."""
    key, said = keys.step_key(task.run_id, task.step), failures.cut(str(error))
    if isinstance(error, QuotaTooLowError):
        _give_up(cloud, task, said)
    elif cloud.catalog.update(key, {"status": _WAITING, "waits_for": said}, when={"status": _STARTING}):
        note(cloud, task.pipeline, cloud.now(), task.run_id, f"{task.step} waits for a quota", said)
    return error


def _give_up(cloud: Cloud, task: StartJobTask, why: str) -> None:
    """Show why there will be no job."""
    ended = {
        "status": "Failed",
        "failure_reason": failures.cut(why),
        "waits_for": None,
        "ended_at": cloud.now(),
    }
    cloud.catalog.update(keys.step_key(task.run_id, task.step), ended)


def _record_start(cloud: Cloud, task: StartJobTask, name: str) -> None:
    """Its end may have been recorded already, and stays."""
    now, key = cloud.now(), keys.step_key(task.run_id, task.step)
    started = {"status": "InProgress", "started_at": now, "waits_for": None}
    before = (_STARTING, _WAITING)
    if any(cloud.catalog.update(key, started, when={"status": status}) for status in before):
        note(cloud, task.pipeline, now, task.run_id, f"{task.step} started", name)


def _stop_if_over(cloud: Cloud, task: StartJobTask) -> None:
    """A run that ended while its job was being created did not find it to stop."""
    catalog = cloud.catalog
    run = catalog.get(keys.run_key(task.pipeline, task.run_id)) or {}
    step = catalog.get(keys.step_key(task.run_id, task.step))
    if "ended_at" in run and step is not None:
        building.stop_job(cloud, task.pipeline, task.run_id, run, step)


def _adopt(cloud: Cloud, waiting: Item, name: str) -> None:
    description = cloud.jobs.describe(waiting["kind"], name)
    if description is None:
        return
    building.check_own(cloud, waiting, description)
    if jobs.is_terminal(waiting["kind"], description):
        building.conclude_job(cloud, waiting, description)
