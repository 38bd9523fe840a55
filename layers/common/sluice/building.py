"""What the functions of a build look up and record alike: its project, its data set, its jobs' ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sluice import wiring
from sluice.domain import catalog as keys
from sluice.domain import datasets, jobs
from sluice.domain.datasets import DatasetManifest, ObjectVersion
from sluice.domain.locations import Locations
from sluice.domain.times import to_iso
from sluice.ports import Item
from sluice.timeline import note

if TYPE_CHECKING:
    from sluice.domain.config import PipelineConfig
    from sluice.events import BuildTask

COMPLETED = "Completed"


class JobFailedError(Exception):
    """A job ended without completing. The state machine tells it by its name from other failures."""


class JobNameTakenError(Exception):
    """A job of this name is older than the run: a stack that was here before left it."""


def locations(pipeline: str) -> Locations:
    return Locations(wiring.artifact_bucket(), pipeline)


def find_project(pipeline: str, version: str) -> Item:
    """The project's item; a run, which names it, exists only after it."""
    item = wiring.catalog().get(keys.project_key(pipeline, version))
    if item is None:
        raise LookupError(f"there is no project {version} of {pipeline} in the catalog")
    return item


def find_config(task: BuildTask) -> PipelineConfig:
    from sluice.domain import config

    return config.restore(find_project(task.pipeline, task.project_version)["config"])


def find_build(task: BuildTask) -> jobs.Build:
    """What the requests of the run's jobs are made from."""
    from sluice.domain import config

    project = find_project(task.pipeline, task.project_version)
    return jobs.Build(
        config=config.restore(project["config"]),
        run_id=task.run_id,
        project_version=task.project_version,
        artifact_bucket=wiring.artifact_bucket(),
        role_arn=wiring.job_role_arn(),
        region=wiring.region(),
        has_requirements=project["has_requirements"],
    )


def find_manifest(pipeline: str, dataset_version: str) -> DatasetManifest:
    uri = locations(pipeline).dataset_manifest(dataset_version)
    return DatasetManifest.from_json(wiring.objects().read(uri))


def first_time(task: BuildTask, what: str) -> str:
    """When the run first did something: an attempt that is repeated is not to tell of it twice."""
    catalog, key, name = wiring.catalog(), keys.run_key(task.pipeline, task.run_id), f"{what}_at"
    now = wiring.now()
    catalog.update(key, {name: now}, when={name: None})
    return str((catalog.get(key) or {}).get(name, now))


def current_versions(pipeline: str) -> dict[str, str]:
    """The version that each of the pipeline's objects has now, by key."""
    listing = wiring.objects().listing(wiring.data_bucket(), f"{pipeline}/")
    return {head.key: head.version_id for head in listing}


def object_version(arrival: Item) -> ObjectVersion:
    return ObjectVersion(arrival["key"], arrival["version_id"], arrival["size_bytes"], arrival["sha256"])


def changed_objects(pipeline: str, manifest: DatasetManifest, current: Mapping[str, str]) -> list[str]:
    """The data set's keys under which jobs, which read by key, would now find something else."""
    arrivals = wiring.catalog().query(keys.partition(pipeline), "ARRIVAL#")
    known = [object_version(arrival) for arrival in arrivals if "sha256" in arrival]
    return datasets.changed_since(manifest, current, known)


def check_own(task: Item, description: Mapping[str, Any]) -> None:
    """Raise JobNameTakenError for a job that the task's run cannot have started."""
    run = wiring.catalog().get(keys.run_key(task["pipeline"], task["run_id"])) or {}
    if to_iso(description["CreationTime"]) < run.get("started_at", ""):
        raise JobNameTakenError(
            f"{task['gsi1sk']} was created before this run: give the pipeline another name"
        )


def conclude_job(task: Item, description: Mapping[str, Any]) -> None:
    """Record how a job has ended and answer the task that waits for it; a second time changes nothing.

    The answer comes before the task is closed, so that a crash in between leaves it open for the next hint.
    """
    result = jobs.job_result(task["kind"], description, task["step"])
    completed = result["status"] == COMPLETED
    reason = None if completed else jobs.failure_reason(task["kind"], description)
    _record_end(task, result, reason)
    if reason is None:
        wiring.workflows().succeed(task["task_token"], result)
    else:
        cause = f"{result['job_name']}: {reason}"
        wiring.workflows().fail(task["task_token"], JobFailedError.__name__, cause)
    _close(task)


def give_up_job(task: Item, error: Exception) -> None:
    """Answer the task of a job that will never end for it."""
    wiring.workflows().fail(task["task_token"], type(error).__name__, str(error))
    _close(task)


def _close(task: Item) -> None:
    closed = {"status": "done", "gsi1pk": None, "gsi1sk": None}
    key = keys.task_key(task["gsi1sk"])
    wiring.catalog().update(key, closed, when={"task_token": task["task_token"]})


def _record_end(task: Item, result: Mapping[str, Any], reason: str | None) -> None:
    ended_at = result["ended_at"] or wiring.now()
    step = {**result, "ended_at": ended_at, "failure_reason": reason}
    del step["step"]
    wiring.catalog().update(keys.step_key(task["run_id"], task["step"]), step)
    event = f"{task['step']} {result['status'].lower()}"
    note(task["pipeline"], ended_at, task["run_id"], event, reason or result["job_name"])
