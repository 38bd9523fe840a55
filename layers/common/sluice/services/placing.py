"""Decide where the job of a step runs, from what is declared and known, and say why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sluice.catalog import keys
from sluice.domain import names
from sluice.domain.build import jobs
from sluice.domain.build.backends import Choice, Facts, choose
from sluice.ports import Cloud, Room
from sluice.services import building

if TYPE_CHECKING:
    from sluice.catalog.records.builds import Step
    from sluice.domain.config.models import Compute
    from sluice.events import StartJobTask


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a job runs; on Lambda with the room that it gets there."""

    choice: Choice
    room: Room | None = None
    falls_back: bool = False
    """Whether SageMaker runs the job if a limit of Lambda ends it."""
    moves: bool = False
    """Whether it ran on Lambda before, and reached a limit."""
    lambda_usage: Mapping[str, Any] | None = None
    """What it used there."""

    @property
    def environment(self) -> str | None:
        """The digest of the packages that are at hand there; SageMaker's job has its image's."""
        packages = self.room.environment if self.room else None
        return packages["digest"] if packages else None


def place(cloud: Cloud, task: StartJobTask, build: jobs.Build, job_name: str) -> Placement:
    """Choose the backend of a step's job; a retry stays where the job is, unless a limit ended it there."""
    compute = _compute(build, task.step)
    before = building.find_step(cloud, task.run_id, task.step)
    if before is not None and before.backend == "sagemaker" and before.backend_reason:
        return Placement(Choice("sagemaker", 0, before.backend_reason))
    limit = _limit_reached(cloud, before, job_name) if before is not None else None
    if limit is not None and compute.backend == "auto":
        reason = f"sagemaker: on Lambda {limit}"
        used = dict(before.usage or {}) if before else {}
        return Placement(Choice("sagemaker", 0, reason), moves=True, lambda_usage=used)
    packages = None
    problem = _no_lambda(cloud)
    if problem is None and compute.backend != "sagemaker":
        packages, problem = _packages(cloud, build)
    facts = Facts(data_bytes=_data_bytes(cloud, task), environment_problem=problem)
    choice = choose(compute, facts)
    if choice.backend == "sagemaker":
        return Placement(choice)
    largest_mb = cloud.lambda_jobs.largest_mb
    if compute.backend == "auto" and choice.memory_mb > largest_mb:
        problem = f"it may need {choice.memory_mb} MB, LargeJobMemoryMB of the stack is {largest_mb}"
    if problem is not None:
        return Placement(Choice("sagemaker", 0, f"sagemaker: {problem}"))
    room = Room(task.pipeline, choice.memory_mb, packages)
    return Placement(choice, room, falls_back=compute.backend == "auto")


def _compute(build: jobs.Build, step: str) -> Compute:
    if step == names.PREPARE:
        return build.config.prepare.compute
    if jobs.kind_of(step) == "training_job":
        return build.config.train.compute
    return build.config.evaluate.compute


def _limit_reached(cloud: Cloud, step: Step, job_name: str) -> str | None:
    """Say which limit ended the step's job on Lambda."""
    if step.backend != "lambda" or step.job is None:
        return None
    description = cloud.lambda_jobs.describe(step.job[0], job_name)
    if description is None or not description.get("LimitReached"):
        return None
    return str(description.get("FailureReason"))


def _no_lambda(cloud: Cloud) -> str | None:
    """Say what the account demands that a function cannot give."""
    return (
        "the account's jobs have no network (JobNetworkIsolation)" if cloud.safeguards.isolates_jobs else None
    )


def _data_bytes(cloud: Cloud, task: StartJobTask) -> int:
    dataset = cloud.catalog.get(keys.dataset_key(task.pipeline, task.dataset_version)) or {}
    return int(dataset.get("size_bytes") or 0)


def _packages(cloud: Cloud, build: jobs.Build) -> tuple[dict[str, str] | None, str | None]:
    """Return the archive of the job's packages, or why there is none."""
    return None, "its packages are not built for Lambda yet"
