"""Decide where the job of a step runs, from what is declared and known, and say why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sluice.domain import failures, names
from sluice.domain.build import jobs
from sluice.domain.build.backends import Choice, Facts, choose
from sluice.domain.locations import environment_archive
from sluice.lazy import dataclass
from sluice.ports import Cloud, RequestRefusedError, Room
from sluice.services import building
from sluice.services.build import environments
from sluice.services.build.environments import Found

if TYPE_CHECKING:
    from sluice.catalog.records.builds import Environment, Step
    from sluice.domain.config.models import Compute
    from sluice.services.build.requesting import WantedJob


# How reasons begin or end, by which the next run knows.
_MOVED = "sagemaker: on Lambda "
_LIMITED = "reached Lambda's limit of "


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
    packages: Environment | None = None
    """What is known of the packages that it has on Lambda, or would have."""

    @property
    def environment(self) -> str | None:
        """The digest of the packages that are at hand there; SageMaker's job has its image's."""
        packages = self.room.environment if self.room else None
        return packages["digest"] if packages else None


def place(cloud: Cloud, wanted: WantedJob, job_name: str) -> Placement:
    """Choose the backend of a step's job; a retry stays where the job is, unless a limit ended it there.

    Raises RequestRefusedError if pipeline.yaml names Lambda, where the job cannot run.
    """
    task, before = wanted.task, wanted.step
    if task.step == names.PIPELINE:
        return Placement(Choice("pipelines", 0, "pipelines: pipeline.yaml names a pipeline of SageMaker"))
    compute = _compute(wanted.build, task.step)
    if before is not None and before.backend == "sagemaker" and before.backend_reason:
        return Placement(Choice("sagemaker", 0, before.backend_reason))
    limit = _limit_reached(cloud, before, job_name) if before is not None else None
    if limit is not None and compute.backend == "auto":
        reason = f"{_MOVED}{limit}"
        used = dict(before.usage or {}) if before else {}
        return Placement(Choice("sagemaker", 0, reason), moves=True, lambda_usage=used)
    found, problem = Found(), _no_lambda(cloud)
    if problem is None and compute.backend != "sagemaker":
        found = environments.find(cloud, wanted.project, wanted.build.config, task.image, wanted.environment)
        problem = found.problem
    facts = Facts(
        data_bytes=wanted.dataset.size_bytes if wanted.dataset else 0,
        environment_bytes=found.environment.unpacked_bytes if found.environment else 0,
        environment_problem=problem,
        largest_mb=cloud.lambda_jobs.largest_mb,
        **(_last_time(cloud, wanted.former_step) if _is_alike(wanted) else {}),
    )
    choice = choose(compute, facts)
    if choice.backend == "sagemaker":
        return Placement(choice, packages=found.record)
    largest_mb = cloud.lambda_jobs.largest_mb
    if problem is None and (compute.memory_mb or 0) > largest_mb:
        problem = f"memory_mb is {compute.memory_mb}, where the stack's LargeJobMemoryMB is {largest_mb}"
    if problem is not None:
        raise RequestRefusedError(f"{failures.NOT_ON_LAMBDA}{problem}: set it to auto or sagemaker")
    digest = str(found.environment.digest if found.environment else "")
    archive = {"uri": environment_archive(cloud.artifact_bucket, digest), "digest": digest}
    room = Room(task.pipeline, choice.memory_mb, archive)
    return Placement(choice, room, falls_back=compute.backend == "auto", packages=found.record)


def instead(placement: Placement, problem: str) -> Placement:
    """Return the place of a job that no function can be given, where that may be another."""
    if not placement.falls_back:
        return placement
    return Placement(Choice("sagemaker", 0, f"sagemaker: {problem}"), packages=placement.packages)


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


def _is_alike(wanted: WantedJob) -> bool:
    """Tell whether the run before says how this one will go: one with values of its own went otherwise."""
    before, run = wanted.former_run, wanted.run
    if before is None or before.project_version != wanted.task.project_version:
        return False
    return not before.overrides or (run is not None and run.overrides == before.overrides)


def _last_time(cloud: Cloud, step: Step | None) -> dict[str, Any]:
    """Return how the job went in the run before: its memory, a limit of Lambda."""
    if step is None:
        return {}
    if step.cached:
        # It had no job of its own.
        step = building.find_step(cloud, step.cached["run_id"], step.cached["step"]) or step
    reason, limit = step.backend_reason or "", None
    if _LIMITED in reason:
        limit = reason.rpartition(_LIMITED)[2]
    elif reason.startswith(_MOVED) and step.job is not None:
        description = cloud.lambda_jobs.describe(*step.job)
        limit = description.get("LimitReached") if description else None
    peak_mb = (step.usage or {}).get("peak_memory_mb")
    return {"peak_memory_mb": peak_mb, "peak_data_bytes": step.data_bytes, "limit_reached": limit}
