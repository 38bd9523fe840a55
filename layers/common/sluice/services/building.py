"""Share look-ups and records between the functions of a build: project, data set, steps."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.catalog.changes import builds
from sluice.catalog.records.builds import Milestone, Pipeline, Project, Run, Step
from sluice.domain import roles, tags
from sluice.domain.build import jobs
from sluice.domain.failures import MissingError
from sluice.domain.locations import Locations
from sluice.lazy import dataclass
from sluice.ports import Cloud, Item

if TYPE_CHECKING:
    from sluice.catalog.changes import Change
    from sluice.catalog.records.data import Dataset
    from sluice.domain.config import PipelineConfig
    from sluice.domain.roles import Role
    from sluice.events import BuildTask
    from sluice.quality.statistics.profiles import Profile

COMPLETED = "Completed"


def locations(cloud: Cloud, pipeline: str) -> Locations:
    return Locations(cloud.artifact_bucket, pipeline)


def find_pipeline(cloud: Cloud, name: str) -> Pipeline | None:
    item = cloud.catalog.get(keys.pipeline_key(name))
    return Pipeline.of(item) if item else None


def find_project(cloud: Cloud, pipeline: str, version: str) -> Project:
    """Return the project of a version, which exists before any run that names it."""
    return project_of(cloud.catalog.get(keys.project_key(pipeline, version)), pipeline, version)


def project_of(item: Item | None, pipeline: str, version: str) -> Project:
    """Return a project by its item, which exists before any run that names it."""
    if item is None:
        raise MissingError(f"there is no project {version} of {pipeline} in the catalog")
    return Project.of(item)


@dataclass(frozen=True, slots=True)
class Begun:
    """What exists before the tasks of a run, read by one request with what else was asked for."""

    run: Run
    project: Project
    others: Sequence[Item | None]

    def config(self) -> PipelineConfig:
        """Return the run's config: its project's, as overridden."""
        return overridden(self.project, self.run)


def find_begun(cloud: Cloud, task: BuildTask, *others: keys.Key) -> Begun:
    """Return the run and the project of a task, and the items of other keys."""
    own = keys.run_key(task.pipeline, task.run_id), keys.project_key(task.pipeline, task.project_version)
    run, project, *found = cloud.catalog.get_all([*own, *others])
    if run is None:
        raise MissingError(f"there is no run {task.run_id} of {task.pipeline} in the catalog")
    return Begun(Run.of(run), project_of(project, task.pipeline, task.project_version), found)


def config_of(cloud: Cloud, run: Run) -> PipelineConfig:
    """Return a run's config: its project's, with what the run overrides."""
    return overridden(find_project(cloud, run.pipeline, run.project_version), run)


def overridden(project: Project, run: Run | None) -> PipelineConfig:
    """Return a project's config, with what the run overrides if the project is its own."""
    from sluice.domain import config

    restored = config.restore(project.config)
    if run is None or not run.overrides or run.project_version != project.version:
        return restored
    from sluice.domain.config import overrides

    return overrides.applied(restored, run.overrides)


def uses_markers(project: Project) -> bool:
    """Tell whether marker objects complete the batches of a project."""
    from sluice.domain import config

    return config.restore(project.config).data.complete_when.marker is not None


def run_role(cloud: Cloud, pipeline: str, run_id: str) -> Role:
    """Return the role of the run's jobs on Lambda, which exists from before the first until the run's end."""
    return roles.run_role(cloud.account, pipeline, run_id)


def step_role(cloud: Cloud, build: jobs.Build, step: str) -> Role:
    """Return the role of a step's job on SageMaker, which exists from before the job until the run's end."""
    whose, folders = jobs.role_of(build, step)
    return roles.step_role(cloud.account, build.config.name, build.run_id, whose, folders)


def roles_of(cloud: Cloud, run: Run, steps: Iterable[Step]) -> list[Role]:
    """Return the roles that were made for the jobs of a run's steps.

    No other: of a role that is not there IAM does not know the path, and says that we may not delete it.
    """
    listed = [step for step in steps if step.job]
    whose = sorted({each for step in listed for each in _whose_roles(step)})
    own = [roles.step_role(cloud.account, run.pipeline, run.run_id, each) for each in whose]
    if any(step.backend == "lambda" or step.lambda_usage is not None for step in listed):
        return [run_role(cloud, run.pipeline, run.run_id), *own]
    return own


def _whose_roles(step: Step) -> list[str]:
    """Return whose role a step's job has; of one that an older stack began, whose it may have."""
    if step.role:
        return [step.role]
    if step.backend != "sagemaker" or step.kind == "pipeline_execution":
        return []
    return [step.step, jobs.POOLED] if step.kind == "training_job" else [step.step]


def ensure_group(cloud: Cloud, config: PipelineConfig) -> None:
    """Make the project's model package group, unless it exists."""
    stack = cloud.stack_name
    cloud.registry.ensure_group(
        config.model_package_group(stack),
        f"Models of the pipeline {config.name}",
        tags.listed(tags.of_pipeline(stack, config.name)),
    )


def find_profile(cloud: Cloud, pipeline: str, dataset_version: str) -> Profile | None:
    """Return a version's profile; None if it has none, or one of an unsupported old format."""
    from sluice.quality.statistics.profiles import PROFILE, Profile, ProfileFormatError

    uri = locations(cloud, pipeline).dataset_document(dataset_version, PROFILE)
    try:
        return Profile.from_json(cloud.objects.read(uri))
    except (FileNotFoundError, ProfileFormatError):
        return None


def find_dataset(cloud: Cloud, pipeline: str, version: str) -> Dataset | None:
    from sluice.catalog.records.data import Dataset  # few functions ask

    item = cloud.catalog.get(keys.dataset_key(pipeline, version))
    return Dataset.of(item) if item else None


def require_dataset(cloud: Cloud, pipeline: str, version: str) -> Dataset:
    """Return a version that a run reads, which exists before that run."""
    found = find_dataset(cloud, pipeline, version)
    if found is None:
        raise MissingError(f"there is no data set {version} of {pipeline} in the catalog")
    return found


def find_run(cloud: Cloud, pipeline: str, run_id: str) -> Run | None:
    item = cloud.catalog.get(keys.run_key(pipeline, run_id))
    return Run.of(item) if item else None


def read_manifest(cloud: Cloud, run: Run) -> bytes:
    """Return the run manifest as it was written; raises MissingError if there is none, or another."""
    if run.manifest_uri is None:
        raise MissingError(f"{run.run_id} has no run manifest")
    try:
        stored = cloud.objects.read(run.manifest_uri)
    except FileNotFoundError:
        raise MissingError(f"the run manifest is gone: {run.manifest_uri}") from None
    if hashlib.sha256(stored).hexdigest() != run.manifest_sha256:
        raise MissingError(f"the run manifest was changed, so nothing it says counts: {run.manifest_uri}")
    return stored


def find_steps(cloud: Cloud, run_id: str) -> list[Step]:
    return [Step.of(item) for item in cloud.catalog.query(keys.steps_partition(run_id), keys.STEPS)]


def find_step(cloud: Cloud, run_id: str, step: str) -> Step | None:
    item = cloud.catalog.get(keys.step_key(run_id, step))
    return Step.of(item) if item else None


def first_time(cloud: Cloud, task: BuildTask, milestone: Milestone) -> str:
    """Return when the run first reached a milestone, so that a retry does not report it twice."""
    now = cloud.now()
    if cloud.catalog.apply(builds.reach(task.pipeline, task.run_id, milestone, now)):
        return now
    run = find_run(cloud, task.pipeline, task.run_id)
    return (run.when(milestone) if run else None) or now


def apply_each(cloud: Cloud, *changes: Change) -> None:
    """Apply changes by one request, or if the condition of any does not hold, each by its own."""
    if not cloud.catalog.apply(*changes):
        for change in changes:
            cloud.catalog.apply(change)


def reach(
    cloud: Cloud,
    task: BuildTask,
    run: Run,
    milestone: Milestone,
    record: Callable[[str], Sequence[Change]],
    *,
    first: Sequence[Change] = (),
) -> bool:
    """Note that a run reached a milestone, with all that is recorded then, by one request.

    `record` gets the time when the run first did so, and returns changes that can be repeated. After another
    attempt they are applied with its time. Returns False, without having written any, if what comes `first`
    cannot be applied.
    """
    at = run.when(milestone)
    if at is None:
        now = cloud.now()
        reached = builds.reach(task.pipeline, task.run_id, milestone, now)
        if cloud.catalog.apply(*first, reached, *record(now)):
            return True
    if not cloud.catalog.apply(*first):
        return False
    apply_each(cloud, *record(at or first_time(cloud, task, milestone)))
    return True
