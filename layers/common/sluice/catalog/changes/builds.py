"""Changes of builds: claim one, record its steps, end it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sluice.catalog import keys
from sluice.catalog.changes.base import Change, Put, Update
from sluice.catalog.records.builds import (
    Backend,
    Built,
    CachedStep,
    Environment,
    JobTask,
    Milestone,
    Pipeline,
    Project,
    Run,
    RunEnd,
    RunRequest,
    Step,
    StepStatus,
)

# The attributes of a pipeline's item that describe its project.
_OF_THE_PROJECT = (
    "project_version",
    "project_content",
    "project_pushed_at",
    "group",
    "groups",
    "ask_delay_s",
    "control_name",
    "stage_names",
)
# No build request is awaited; the second is the name that older stacks gave it.
_UNREQUESTED: Mapping[str, Any] = {"build_requested_for": None, "asks_at": None}
# Statuses of a step whose job does not exist yet.
_BEFORE_ITS_JOB: tuple[StepStatus, ...] = ("Starting", "Waiting")


# ------------------------------------------------------------------------------------------------ pipelines


def make_pipeline(pipeline: Pipeline) -> Put:
    """Make the pipeline of a first push, which has built nothing: all that it will build is indexed."""
    return Put(
        {**pipeline.item(), "build_seq": 0, "budget_used": 0, "is_indexed": True, "is_glanceable": True}
    )


def activate_project(active: Pipeline, since: str | None) -> Update:
    """Make a project the pipeline's, if no other was pushed since the previous one (`since`).

    Another config may have other limits, so this forgets the build request: what waits is decided anew.
    """
    changes = {name: getattr(active, name) for name in _OF_THE_PROJECT}
    return Update(keys.pipeline_key(active.name), {**changes, **_UNREQUESTED}, {"project_pushed_at": since})


def build_anew(pipeline: str, project_version: str) -> Update:
    """Treat the pipeline's project as not yet built, if it is still the same."""
    unbuilt = {"built_project_version": None, "built_content": None}
    return Update(keys.pipeline_key(pipeline), unbuilt, {"project_version": project_version})


def claim_build(
    pipeline: Pipeline, run_id: str, cause: str, at: str, *, budget_day: str, budget_used: int
) -> Update:
    """Take the build lock and the next number in one write, so that only one request can win."""
    claim = {
        "in_flight": run_id,
        "build_cause": cause,
        "build_seq": pipeline.build_seq + 1,
        "built_project_version": pipeline.project_version,
        "built_content": pipeline.project_content,
        "last_build_at": at,
        "former_build_at": pipeline.last_build_at,
        "budget_day": budget_day,
        "budget_used": budget_used,
        "budget_told": None,
        "retrain_cause": None,
        **_UNREQUESTED,
    }
    return Update(
        keys.pipeline_key(pipeline.name), claim, {"in_flight": None, "build_seq": pipeline.build_seq}
    )


def claim_by_hand(pipeline: Pipeline, run: Run, request: RunRequest) -> tuple[Change, ...]:
    """Take the build lock for a run that a person asked for: all or none of these, once for each request.

    It costs no budget, which limits what data may start. The project counts as built if the run builds what
    the next build would. A reproduction delays no later build: it takes the lock and a number, nothing else.
    """
    claim: dict[str, Any] = {
        "in_flight": run.run_id,
        "build_cause": run.cause,
        "build_seq": pipeline.build_seq + 1,
        **_UNREQUESTED,
    }
    if run.reproduces is None:
        claim |= {"last_build_at": run.started_at, "former_build_at": pipeline.last_build_at}
    if run.is_plain and run.project_version == pipeline.project_version:
        claim |= {
            "built_project_version": pipeline.project_version,
            "built_content": pipeline.project_content,
            "retrain_cause": None,
        }
    free = {"in_flight": None, "build_seq": pipeline.build_seq}
    return Put(request.item()), Update(keys.pipeline_key(pipeline.name), claim, free), Put(run.item())


def refuse_request(request: RunRequest) -> Put:
    """Note why there is no run for a person's wish."""
    return Put(request.item())


def release_build_lock(
    pipeline: str, run_id: str, skipped: Pipeline | None = None, spent: Mapping[str, Any] | None = None
) -> Update:
    """Release the build lock if this run holds it.

    `skipped` is the pipeline of a run that was skipped: such a run costs no budget and no cooldown. `spent`
    are the counters of what runs cost, with this one: as the lock is released once, so is each run counted.
    """
    changes: dict[str, Any] = {"in_flight": None, **(spent or {})}
    if skipped is not None:
        changes |= {"budget_used": skipped.budget_used - 1, "last_build_at": skipped.former_build_at}
    return Update(keys.pipeline_key(pipeline), changes, {"in_flight": run_id})


def request_build(pipeline: str, at: str) -> Update:
    """Note when the build request that was sent is due: until then no other is needed."""
    return Update(keys.pipeline_key(pipeline), {**_UNREQUESTED, "build_requested_for": at})


def ask_retrain(pipeline: str, cause: str) -> Update:
    """Let the next build be one that watching a model asks for, within cooldown and budget."""
    return Update(keys.pipeline_key(pipeline), {**_UNREQUESTED, "retrain_cause": cause}, {})


def base_on(pipeline: str, dataset_version: str, run_id: str) -> Update:
    """Make a valid data set version the base of later ones, if its run still holds the build lock."""
    return Update(keys.pipeline_key(pipeline), {"dataset_version": dataset_version}, {"in_flight": run_id})


# ------------------------------------------------------------------------------------------------- projects


def refuse_project(refused: Project) -> tuple[Put, Update]:
    """Record a refusal: try the second change, which replaces a former refusal, if the first fails.

    A project that was accepted once is never refused.
    """
    put = Put(refused.item())
    return put, Update(keys.key_of(put.item), keys.without_key(put.item), {"status": "refused"})


def describe_project(project: Project) -> Update:
    """Note what a project consists of, before all of it exists, and clear a former refusal."""
    item = project.item()
    described = {**keys.without_key(item), "has_requirements": project.has_requirements, "reasons": None}
    return Update(keys.key_of(item), described)


def finish_project(
    pipeline: str,
    version: str,
    pushed_at: str,
    bundle_version_id: str,
    source: Mapping[str, Any],
    pushed_by: Sequence[str] = (),
) -> Update:
    """Mark a project as active: all its parts exist. `source` is the commit that this push was."""
    active = {
        "status": "active",
        "pushed_at": pushed_at,
        "bundle_version_id": bundle_version_id,
        "source": dict(source),
        "pushed_by": list(pushed_by),
    }
    return Update(keys.project_key(pipeline, version), active)


def replace_champion(pipeline: str, version: str, pushed_at: str, actor: str) -> Update:
    """Let the next model of this project version pass without a comparison, even if one already did."""
    said = {"replaces_champion_at": pushed_at, "replaces_champion_by": actor, "champion_replaced_by": None}
    return Update(keys.project_key(pipeline, version), said)


def use_up_replacement(pipeline: str, version: str, run_id: str) -> Update:
    """Note the one run whose model passed without a comparison."""
    key = keys.project_key(pipeline, version)
    return Update(key, {"champion_replaced_by": run_id}, {"champion_replaced_by": None})


# --------------------------------------------------------------------------------------------- environments


def claim_environment(claimed: Environment, former: Environment | None) -> Put | Update:
    """Take on building an environment, if nobody has since `former` was read: only one can."""
    item = claimed.item()
    if former is None:
        return Put(item)
    changes = {**keys.without_key(item), "problem": None, "usage": None, "paid_by": None}
    return Update(keys.key_of(item), changes, {"status": former.status, "started_at": former.started_at})


def end_environment(ended: Environment) -> Update:
    """Record an environment or why there is none, unless another has taken on building it since."""
    item = ended.item()
    claimed = {"status": "building", "started_at": ended.started_at}
    return Update(keys.key_of(item), keys.without_key(item), claimed)


def pay_for_environment(environment: Environment, job_name: str) -> Update:
    """Count what building an environment took to the one job that first has it."""
    unpaid = {"started_at": environment.started_at, "paid_by": None}
    return Update(keys.environment_key(environment.spec), {"paid_by": job_name}, unpaid)


# ----------------------------------------------------------------------------------------------------- runs


def start_run(run: Run) -> Put:
    return Put(run.item())


def record_execution(
    pipeline: str, run_id: str, execution_arn: str, *, runs_pipeline: bool = False
) -> Update:
    started = {"execution_arn": execution_arn, "runs_pipeline": runs_pipeline or None}
    return Update(keys.run_key(pipeline, run_id), started)


def reach(pipeline: str, run_id: str, milestone: Milestone, at: str) -> Update:
    """Note when a run first reached a milestone, so that a retry does not report it twice."""
    name = f"{milestone}_at"
    return Update(keys.run_key(pipeline, run_id), {name: at}, {name: None})


def know_objects(pipeline: str, run_id: str, objects: int, usage: Mapping[str, Any]) -> Update:
    """Note how many objects of a run's data set are known, while not all are, and what it took so far."""
    return Update(keys.run_key(pipeline, run_id), {"known_objects": objects, "reading_usage": usage})


def note_built(built: Built) -> Update:
    """Note that a run came to a conclusion on its data, in place of what an earlier run noted."""
    key = keys.built_key(built.pipeline, built.dataset_version, built.project_version)
    return Update(key, {"run_id": built.run_id, "started_at": built.started_at})


def read_data(
    pipeline: str, run_id: str, dataset_version: str, changes: Mapping[str, int] | None = None
) -> Update:
    """Note the data set version that a run reads and, if it made that, how it differs from the last one."""
    read = {"dataset_version": dataset_version, "data_changes": changes}
    return Update(keys.run_key(pipeline, run_id), read)


def read_restored(pipeline: str, run_id: str, files_uri: str) -> Update:
    """Let a reproduction read copies of the object versions that its data set has."""
    return Update(keys.run_key(pipeline, run_id), {"restored_uri": files_uri})


def index_reader(pipeline: str, run_id: str, dataset_version: str, at: str) -> Update:
    """Note with a data set version that a run read it, so that nobody reads all runs to find that."""
    return Update(keys.reader_key(pipeline, dataset_version, run_id), {"run_id": run_id, "at": at})


def claim_manifest(pipeline: str, run_id: str, sha256: str, first_at: str | None = None) -> Update:
    """Note the digest of a run's manifest before it exists, so that any other is refused.

    `first_at` is when the run comes to register its model, if it is the first time.
    """
    digest, key = {"manifest_sha256": sha256}, keys.run_key(pipeline, run_id)
    if first_at is None:
        return Update(key, digest)
    return Update(key, {**digest, "registered_at": first_at}, {"registered_at": None})


def register_model(
    pipeline: str, run_id: str, package_arn: str, manifest_uri: str, image_digest: str | None
) -> Update:
    """Note the run's one package, and the digest that its image's tag pointed to."""
    result = {"model_package_arn": package_arn, "manifest_uri": manifest_uri, "image_digest": image_digest}
    return Update(keys.run_key(pipeline, run_id), result)


def note_package(pipeline: str, package_arn: str) -> Update:
    """Let the pipeline name the version that was registered last."""
    return Update(keys.pipeline_key(pipeline), {"newest_package": package_arn}, when={})


def end_run(pipeline: str, run_id: str, status: RunEnd, reasons: Sequence[str], at: str) -> Update:
    """End a run. The first end counts: later ones change nothing."""
    ended = {"status": status, "reasons": list(reasons), "ended_at": at}
    return Update(keys.run_key(pipeline, run_id), ended, {"status": "running"})


def note_cost(pipeline: str, run_id: str, usd: float | None) -> Update:
    """Note what a run cost, known when it ended."""
    return Update(keys.run_key(pipeline, run_id), {"cost_usd": usd})


def tell_end(pipeline: str, run_id: str, at: str) -> Update:
    """Note that a run's end was announced."""
    return Update(keys.run_key(pipeline, run_id), {"told_at": at})


def tell_budget(pipeline: Pipeline, until: str) -> Update:
    """Note until when builds wait for their budget, and that this was announced."""
    return Update(
        keys.pipeline_key(pipeline.name), {"budget_told": until}, {"budget_told": pipeline.budget_told}
    )


# ---------------------------------------------------------------------------------------------------- steps


def add_step(step: Step) -> Put:
    """Write a step before its job is created, so that a retry finds it."""
    return Put(step.item())


def move_step(step: Step) -> Update:
    """Begin a step anew on another backend than Lambda, which it reached a limit of; only one attempt can."""
    item = step.item()
    gone = dict.fromkeys(("ended_at", "failure_reason", "log_tail", "left_behind", "usage", "environment"))
    anew = {**keys.without_key(item), **gone, "backend": step.backend}
    return Update(keys.key_of(item), anew, {"backend": "lambda"})


def depend_step(step: Step) -> Update:
    """Note what a step depends on, and why nothing was reused."""
    depends = {
        "cache_key": step.cache_key,
        "cache_parts": step.cache_parts,
        "cache_miss": step.cache_miss,
    }
    return Update(keys.step_key(step.run_id, step.step), depends)


def remember_step(cached: CachedStep) -> Update:
    """Let later runs find a completed step; of equal ones the newest, whose outputs are kept longest."""
    item = cached.item()
    return Update(keys.key_of(item), keys.without_key(item))


def await_quota(run_id: str, step: str, said: str) -> Update:
    """Note what a job waits for; only the first refusal finds the step `Starting`."""
    waiting = {"status": "Waiting", "waits_for": said}
    return Update(keys.step_key(run_id, step), waiting, {"status": "Starting"})


def start_step(run_id: str, step: str, at: str) -> tuple[Update, ...]:
    """Note that the job exists: try each change. An end that was already recorded stays."""
    started = {"status": "InProgress", "started_at": at, "waits_for": None}
    return _before_its_job(run_id, step, started)


def give_up_step(run_id: str, step: str, reason: str, at: str) -> tuple[Update, ...]:
    """End a step whose job was never created, as its run has ended: try each change."""
    ended = {"status": "Stopped", "failure_reason": reason, "waits_for": None, "ended_at": at}
    return _before_its_job(run_id, step, ended)


def _before_its_job(run_id: str, step: str, changes: Mapping[str, Any]) -> tuple[Update, ...]:
    return tuple(
        Update(keys.step_key(run_id, step), changes, {"status": status}) for status in _BEFORE_ITS_JOB
    )


def refuse_step(run_id: str, step: str, reason: str, at: str) -> Update:
    """End a step whose job SageMaker refuses."""
    ended = {"status": "Failed", "failure_reason": reason, "waits_for": None, "ended_at": at}
    return Update(keys.step_key(run_id, step), ended)


def fail_step(run_id: str, step: str, reason: str, at: str) -> Update:
    """End a step, if it exists, whose job will never end for it."""
    return Update(
        keys.step_key(run_id, step), {"status": "Failed", "ended_at": at, "failure_reason": reason}, {}
    )


def end_step(
    run_id: str, step: str, result: Mapping[str, Any], reason: str | None, at: str, backend: Backend
) -> Update:
    """Record how a job ended; a repeated description writes the same.

    That of a job on Lambda writes nothing once the step was moved: it may be told again, and late.
    """
    said = {name: value for name, value in result.items() if name != "step"}
    ended = {**said, "ended_at": at, "failure_reason": reason}
    when = {"backend": backend} if backend == "lambda" else None
    return Update(keys.step_key(run_id, step), ended, when)


def stop_step(run_id: str, step: str, reason: str) -> Update:
    """Note why a job is about to be stopped, before the stop: its end may come quickly."""
    return Update(keys.step_key(run_id, step), {"stopped_because": reason})


def measure_step(run_id: str, step: str, metrics: Mapping[str, Any], remark: str | None) -> Update:
    """Record a model's metrics with the step that measured them."""
    return Update(keys.step_key(run_id, step), {"metrics": metrics, "remark": remark})


def remark_on_step(run_id: str, step: str, remark: str | None) -> Update:
    return Update(keys.step_key(run_id, step), {"remark": remark})


def record_step(step: Step) -> Update:
    """Record a step without a job of its own; a retry writes the same."""
    item = step.item()
    return Update(keys.key_of(item), keys.without_key(item))


# ------------------------------------------------------------------------------------------- tasks of jobs


def await_job(task: JobTask) -> Update:
    """Store the token of the newest attempt: only that one still waits."""
    item = task.item()
    # An attempt before may have been on another backend.
    placed = {"backend": task.backend, "falls_back": task.falls_back}
    said = {name: value for name, value in item.items() if name not in ("pk", "sk")}
    return Update(keys.key_of(item), {**said, **placed})
