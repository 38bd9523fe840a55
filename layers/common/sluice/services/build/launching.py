"""Start the execution of a run that holds its pipeline's build lock; every part can be repeated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from sluice.catalog.changes import builds
from sluice.catalog.records.builds import Pipeline, Project, Run
from sluice.domain import actors, failures, wording
from sluice.domain.build import candidates
from sluice.domain.failures import MissingError
from sluice.ports import Cloud, StartRefusedError
from sluice.services import building
from sluice.services.timeline import noting


def launch(cloud: Cloud, run: Run) -> None:
    """Record and start the run that holds the lock."""
    cloud.catalog.apply(builds.start_run(run))
    execute(cloud, run)


def execute(cloud: Cloud, run: Run, project: Project | None = None) -> None:
    """Start a run that is recorded; `project` is its own, if it was read before."""
    try:
        payload = _payload(run, project or building.find_project(cloud, run.pipeline, run.project_version))
        execution_arn = cloud.workflows.start("build", run.run_id, payload)
    except (StartRefusedError, ValidationError, MissingError) as error:
        from sluice.services.build import ending  # hardly any start ends so, and all would load it

        # Retries would fail alike, and the lock would be held for ever.
        why = failures.reason(type(error).__name__, str(error))
        ending.end_run(cloud, run.pipeline, run.run_id, "failed", [why])
        return
    runs_pipeline = bool(payload.get("runs_pipeline"))
    detail = f"{run.cause}: {wording.assigned(run.overrides)}" if run.overrides else str(run.cause)
    building.apply_each(
        cloud,
        builds.record_execution(run.pipeline, run.run_id, execution_arn, runs_pipeline=runs_pipeline),
        noting(run.pipeline, run.started_at, run.run_id, "build started", detail, **_actor(run.actor)),
    )


def relaunch(cloud: Cloud, pipeline: Pipeline, run_id: str) -> None:
    """Start the run that holds the lock, if a crash prevented its execution."""
    run = building.find_run(cloud, pipeline.name, run_id)
    if run is None:
        version, at = str(pipeline.built_project_version), str(pipeline.last_build_at)
        run = Run(pipeline.name, run_id, "running", version, at, cause=pipeline.build_cause)
        run = replace(run, actor=actors.of_cause(run.cause))
    if run.execution_arn is None:
        launch(cloud, run)


def _actor(actor: str | None) -> dict[str, str]:
    return {"actor": actor} if actor else {}


def _payload(run: Run, project: Project) -> dict[str, Any]:
    """Return an execution's input: only names, as a state may not hold what they stand for."""
    config = building.overridden(project, run)
    named = {"pipeline": run.pipeline, "run_id": run.run_id, "project_version": run.project_version}
    if config.build is not None:
        return {**named, "runs_pipeline": True}
    return {
        **named,
        "candidates": candidates.first(config.train),
        "max_parallel": config.train.candidates.max_parallel,
    }
