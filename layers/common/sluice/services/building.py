"""What the functions of a build look up and record alike: its project, its data set, its jobs' ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sluice.catalog import keys
from sluice.domain import failures, names, roles, tags
from sluice.domain.build import jobs
from sluice.domain.data import datasets
from sluice.domain.data.datasets import DatasetManifest, ObjectVersion
from sluice.domain.locations import Locations
from sluice.domain.roles import Role
from sluice.domain.times import to_iso
from sluice.ports import Cloud, Item
from sluice.services.timeline import note

if TYPE_CHECKING:
    from sluice.domain.config import PipelineConfig
    from sluice.events import BuildTask
    from sluice.quality.statistics.profiles import Profile

COMPLETED = "Completed"


class JobFailedError(Exception):
    """A job ended without completing. The state machine tells it by its name from other failures."""


class JobNameTakenError(Exception):
    """A job of this name is older than the run: a stack that was here before left it."""


def locations(cloud: Cloud, pipeline: str) -> Locations:
    return Locations(cloud.artifact_bucket, pipeline)


def find_project(cloud: Cloud, pipeline: str, version: str) -> Item:
    """The project's item; a run, which names it, exists only after it."""
    item = cloud.catalog.get(keys.project_key(pipeline, version))
    if item is None:
        raise LookupError(f"there is no project {version} of {pipeline} in the catalog")
    return item


def find_config(cloud: Cloud, task: BuildTask) -> PipelineConfig:
    from sluice.domain import config

    return config.restore(find_project(cloud, task.pipeline, task.project_version)["config"])


def find_build(
    cloud: Cloud, task: BuildTask, *, script_version: str | None = None, image: str | None = None
) -> jobs.Build:
    """What the requests of the run's jobs are made from: its project, or another one's scripts or image."""
    from sluice.domain import config

    version = script_version or task.project_version
    project = find_project(cloud, task.pipeline, version)
    return jobs.Build(
        stack=cloud.stack_name,
        config=config.restore(project["config"]),
        run_id=task.run_id,
        project_version=version,
        artifact_bucket=cloud.artifact_bucket,
        role_arn=run_role(cloud, task.pipeline, task.run_id).arn,
        region=cloud.region,
        has_requirements=project["has_requirements"],
        image=image,
    )


def run_role(cloud: Cloud, pipeline: str, run_id: str) -> Role:
    """The role of the run's jobs: made before its first one, deleted when the run has ended."""
    return roles.run_role(cloud.account, pipeline, run_id)


def ensure_group(cloud: Cloud, config: PipelineConfig) -> None:
    """Make the project's model package group unless it exists."""
    stack = cloud.stack_name
    cloud.registry.ensure_group(
        config.model_package_group(stack),
        f"Models of the pipeline {config.name}",
        tags.listed(tags.of_pipeline(stack, config.name)),
    )


def find_manifest(cloud: Cloud, pipeline: str, dataset_version: str) -> DatasetManifest:
    uri = locations(cloud, pipeline).dataset_manifest(dataset_version)
    return DatasetManifest.from_json(cloud.objects.read(uri))


def find_profile(cloud: Cloud, pipeline: str, dataset_version: str) -> Profile | None:
    """A version's profile; None where it has none, or one of a format that is not read any more."""
    from sluice.quality.statistics.profiles import PROFILE, Profile, ProfileFormatError

    uri = locations(cloud, pipeline).dataset_document(dataset_version, PROFILE)
    try:
        return Profile.from_json(cloud.objects.read(uri))
    except (FileNotFoundError, ProfileFormatError):
        return None


def first_time(cloud: Cloud, task: BuildTask, what: str) -> str:
    """When the run first did something: an attempt that is repeated is not to tell of it twice."""
    catalog, key, name = cloud.catalog, keys.run_key(task.pipeline, task.run_id), f"{what}_at"
    now = cloud.now()
    catalog.update(key, {name: now}, when={name: None})
    return str((catalog.get(key) or {}).get(name, now))


def current_versions(cloud: Cloud, pipeline: str) -> dict[str, str]:
    """The version that each of the pipeline's objects has now, by key."""
    listing = cloud.objects.listing(cloud.data_bucket, f"{pipeline}/")
    return {head.key: head.version_id for head in listing}


def object_version(arrival: Item) -> ObjectVersion:
    return ObjectVersion(arrival["key"], arrival["version_id"], arrival["size_bytes"], arrival["sha256"])


def changed_objects(
    cloud: Cloud, pipeline: str, manifest: DatasetManifest, current: Mapping[str, str]
) -> list[str]:
    """The data set's keys under which jobs, which read by key, would now find something else."""
    arrivals = cloud.catalog.query(keys.partition(pipeline), "ARRIVAL#")
    known = [object_version(arrival) for arrival in arrivals if "sha256" in arrival]
    return datasets.changed_since(manifest, current, known)


def check_own(cloud: Cloud, task: Item, description: Mapping[str, Any]) -> None:
    """Raise JobNameTakenError for a job that the task's run cannot have started."""
    run = cloud.catalog.get(keys.run_key(task["pipeline"], task["run_id"])) or {}
    if not is_own(run, description):
        raise JobNameTakenError(
            f"{task['gsi1sk']} was created before this run: give the pipeline another name"
        )


def find_results(cloud: Cloud, task: BuildTask, count: int) -> list[Item]:
    """What became of each candidate, in their order: job results as their steps recorded them."""
    steps = [f"{names.TRAIN}{index}" for index in range(count)]
    catalog = cloud.catalog
    found = {step: catalog.get(keys.step_key(task.run_id, step)) or {} for step in steps}
    return [{"step": step, **item} for step, item in found.items()]


def is_own(run: Item, description: Mapping[str, Any]) -> bool:
    """Whether the run can have started the job: one that is older is of a stack that was here before."""
    return to_iso(description["CreationTime"]) >= str(run.get("started_at", ""))


def stop_jobs(cloud: Cloud, pipeline: str, run_id: str, run: Item) -> None:
    """Stop what still runs for a run that has ended: nobody waits for it, and it would be billed for days.

    Each job's step is written down before the job is created, so none is missed; whoever creates one later
    finds that its run has ended, and stops it. Their ends are events, as those of any jobs.
    """
    for step in cloud.catalog.query(f"RUN#{run_id}", "STEP#"):
        # Only an end that a job came to is one: where there was none, one may have been created since.
        if "job_name" in step and not (jobs.has_ended(step["status"]) and "job_arn" in step):
            stop_job(cloud, pipeline, run_id, run, step)


def stop_job(cloud: Cloud, pipeline: str, run_id: str, run: Item, step: Item) -> None:
    """Stop the job of an ended run's step, if it runs and is the run's own; the step says why."""
    kind, name = step["kind"], step["sk"].removeprefix("STEP#")
    reason = jobs.stop_reason(run["status"], run.get("reasons") or ())
    description = cloud.jobs.describe(kind, step["job_name"])
    if description is None:
        _give_up_step(cloud, run_id, name, run, reason)
    if description is None or not jobs.is_running(kind, description) or not is_own(run, description):
        return
    # The reason first: the job's end, which its event records, may be quicker.
    cloud.catalog.update(keys.step_key(run_id, name), {"stopped_because": reason})
    note(cloud, pipeline, run["ended_at"], run_id, f"{name} is stopped", reason)
    cloud.jobs.stop(kind, step["job_name"])


def _give_up_step(cloud: Cloud, run_id: str, name: str, run: Item, reason: str) -> None:
    """A step whose job was never created, as it waited for a quota, waits no more."""
    ended = {"status": "Stopped", "failure_reason": reason, "waits_for": None, "ended_at": run["ended_at"]}
    for status in ("Starting", "Waiting"):
        cloud.catalog.update(keys.step_key(run_id, name), ended, when={"status": status})


def conclude_job(cloud: Cloud, task: Item, description: Mapping[str, Any]) -> None:
    """Record how a job has ended and answer the task that waits for it; a second time changes nothing.

    The answer comes before the task is closed, so that a crash in between leaves it open for the next hint.
    """
    result = jobs.job_result(task["kind"], description, task["step"])
    completed = result["status"] == COMPLETED
    reason = None if completed else _failure_reason(cloud, task, description)
    _record_end(cloud, task, result, reason)
    if reason is None:
        # The rest is recorded: of many jobs it would be more than a state may pass on.
        done = {"step": task["step"], "job_name": result["job_name"], "status": result["status"]}
        cloud.workflows.succeed(task["task_token"], done)
    else:
        cause = failures.cut(f"{result['job_name']}: {reason}")
        cloud.workflows.fail(task["task_token"], JobFailedError.__name__, cause)
    _close(cloud, task)


def _failure_reason(cloud: Cloud, task: Item, description: Mapping[str, Any]) -> str:
    step = cloud.catalog.get(keys.step_key(task["run_id"], task["step"])) or {}
    return step.get("stopped_because") or jobs.failure_reason(task["kind"], description)


def give_up_job(cloud: Cloud, task: Item, error: Exception) -> None:
    """Answer the task of a job that will never end for it."""
    step, reason = keys.step_key(task["run_id"], task["step"]), str(error)
    cloud.catalog.update(
        step, {"status": "Failed", "ended_at": cloud.now(), "failure_reason": reason}, when={}
    )
    cloud.workflows.fail(task["task_token"], type(error).__name__, reason)
    _close(cloud, task)


def _close(cloud: Cloud, task: Item) -> None:
    closed = {"status": "done", "gsi1pk": None, "gsi1sk": None}
    key = keys.task_key(task["gsi1sk"])
    cloud.catalog.update(key, closed, when={"task_token": task["task_token"]})


def _record_end(cloud: Cloud, task: Item, result: Mapping[str, Any], reason: str | None) -> None:
    ended_at = result["ended_at"] or cloud.now()
    step = {**result, "ended_at": ended_at, "failure_reason": reason}
    del step["step"]
    cloud.catalog.update(keys.step_key(task["run_id"], task["step"]), step)
    event = f"{task['step']} {result['status'].lower()}"
    note(cloud, task["pipeline"], ended_at, task["run_id"], event, reason or result["job_name"])
