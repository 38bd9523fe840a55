"""Find what a job is made of, and say what is asked of SageMaker, or of what runs a job as it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.catalog.records.builds import Environment, Project, Run, Step
from sluice.domain import names
from sluice.domain.build import jobs
from sluice.lazy import dataclass
from sluice.services.build import environments
from sluice.services.building import overridden, project_of, run_role

if TYPE_CHECKING:
    from sluice.catalog.records.data import Dataset
    from sluice.events import StartJobTask
    from sluice.ports import Cloud


@dataclass(frozen=True, slots=True)
class WantedJob:
    """What is on record about a job that a task asks for, read once before anything is decided."""

    task: StartJobTask
    project: Project
    """The run's, or another's whose scripts it runs."""
    run: Run | None
    step: Step | None
    """As a former attempt left it."""
    prepared: Step | None
    """The run's step `prepare`."""
    build: jobs.Build
    dataset: Dataset | None = None
    former_step: Step | None = None
    """The same step of the run before."""
    former_run: Run | None = None
    modelled: Step | None = None
    """The run's step that made the model to evaluate, if the model's place says which."""
    environment: Environment | None = None
    """The packages that such jobs asked for last."""


def find_wanted_job(cloud: Cloud, task: StartJobTask) -> WantedJob:
    """Return what a job of a run is made from: the run's project, or another's scripts or image."""
    from sluice.catalog.records.data import Dataset  # few functions ask

    version = task.script_version or task.project_version
    # A first run has none before.
    former_id = names.previous_run_id(task.run_id) or ""
    maker, spec = _maker(cloud, task), environments.expected(task.pipeline, version, task.image)
    item, *found = cloud.catalog.get_all(
        [
            keys.project_key(task.pipeline, version),
            keys.run_key(task.pipeline, task.run_id),
            keys.step_key(task.run_id, names.PREPARE),
            keys.step_key(task.run_id, task.step),
            keys.dataset_key(task.pipeline, task.dataset_version),
            keys.step_key(former_id, task.step),
            keys.run_key(task.pipeline, former_id),
            keys.step_key(task.run_id, maker or ""),
            keys.environment_key(spec or ""),
        ]
    )
    project = project_of(item, task.pipeline, version)
    run, former_run = (Run.of(each) if each else None for each in (found[0], found[5]))
    prepared, step, former_step = (Step.of(each) if each else None for each in (*found[1:3], found[4]))
    dataset = Dataset.of(found[3]) if found[3] else None
    build = build_of(cloud, task, project, run, prepared)
    modelled, packages = found[6:]
    return WantedJob(
        task,
        project,
        run,
        step,
        prepared,
        build,
        dataset,
        former_step,
        former_run,
        modelled=Step.of(modelled) if modelled else None,
        environment=Environment.of(packages) if packages else None,
    )


def _maker(cloud: Cloud, task: StartJobTask) -> str | None:
    """Return the step of this run whose job the place of a model names."""
    for folder in (task.model_uri or "").split("/"):
        said = names.run_and_step(cloud.stack_name, folder)
        if said and said[0] == task.run_id:
            return said[1]
    return None


def build_of(
    cloud: Cloud, task: StartJobTask, project: Project, run: Run | None, prepared: Step | None
) -> jobs.Build:
    """Return what a job is made from that its run's other jobs are made from too."""
    return jobs.Build(
        stack=cloud.stack_name,
        config=overridden(project, run),
        run_id=task.run_id,
        project_version=project.version,
        artifact_bucket=cloud.artifact_bucket,
        role_arn=run_role(cloud, task.pipeline, task.run_id).arn,
        region=cloud.region,
        has_requirements=project.has_requirements,
        train_program=project.train_program,
        image=names.image_by_digest(task.image) if task.image else None,
        prepared=prepared.outputs if prepared else None,
        files_uri=run.restored_uri if run else None,
    )


def request_of(task: StartJobTask, build: jobs.Build, hyperparameters: Mapping[str, str]) -> jobs.Request:
    """Return what is asked of SageMaker, or of what runs a job as it does."""
    if task.step == names.PREPARE:
        files_uri = build.files_uri or build.locations.dataset_files(task.dataset_version)
        return jobs.prepare_request(build, files_uri)
    if jobs.kind_of(task.step) == "training_job":
        return jobs.training_request(build, task.step, hyperparameters)
    role = task.step.removeprefix(names.evaluate_step(""))
    return jobs.evaluate_request(build, role, str(task.model_uri))
