"""End a run, for whatever reason: record the end once, stop its jobs, then release its lock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.catalog.changes import builds
from sluice.catalog.records.builds import Built, Pipeline, Project, Run, RunEnd, Step
from sluice.catalog.records.data import Dataset
from sluice.domain import failures
from sluice.services import announcing, building, metering
from sluice.services.build import concluding, costs
from sluice.services.data import arrivals, batching
from sluice.services.side_by_side import together
from sluice.services.timeline import noting

if TYPE_CHECKING:
    from sluice.catalog.changes import Put
    from sluice.ports import Cloud, Item

# Ends of runs that used their data; whether a failed run did is unknown.
_CONCLUSIVE = {"registered", "rejected", "data_rejected"}
# Ends after which the run's data wait for another build.
_INCONCLUSIVE = {"failed", "stopped"}


def end_run(cloud: Cloud, pipeline: str, run_id: str, status: RunEnd, reasons: Sequence[str]) -> Run | None:
    """Record a run's end and clean up after it; returns the updated run, None if there is none."""
    run = record(cloud, pipeline, run_id, status, reasons)
    if run is not None:
        clear_up(cloud, run)
    return run


def record(cloud: Cloud, pipeline: str, run_id: str, status: RunEnd, reasons: Sequence[str]) -> Run | None:
    """Record the end once; returns the updated run, None if there is none."""
    run = building.find_run(cloud, pipeline, run_id)
    if run is not None and run.reproduces and status == "rejected":
        from sluice.services.build import reproducing

        # It passes through the states of any run, and ends by its comparison.
        status, reasons = reproducing.outcome(cloud, run) or (status, reasons)
    if run is None:
        return None
    ended = replace(run, status=status, reasons=failures.bounded(reasons), ended_at=cloud.now())
    end = builds.end_run(pipeline, run_id, status, ended.reasons, str(ended.ended_at))
    is_first = cloud.catalog.apply(end, _noting(ended))
    # Another function of the run may have changed it since, or another end may have come first.
    run = building.find_run(cloud, pipeline, run_id)
    if run is not None and is_first:
        metering.run_ended(cloud, run)
    return run


def _noting(run: Run) -> Put:
    detail = "; ".join(map(failures.plain, run.reasons)) or "a model was registered"
    return noting(run.pipeline, str(run.ended_at), run.run_id, f"run {run.status}", detail)


def clear_up(cloud: Cloud, run: Run) -> None:
    """Stop what still runs for an ended run, and let the next build start.

    Each part can be repeated. As long as the lock is held, `reconcile` finds what is left to do.
    """
    _, ended, _ = together(
        partial(announcing.run_ended, cloud, run),
        partial(concluding.stop_jobs, cloud, run),
        partial(_free_data, cloud, run),
    )
    together(partial(_go_on, cloud, run, ended), partial(concluding.release_roles, cloud, run, ended))


def _go_on(cloud: Cloud, run: Run, ended: Sequence[Step] | None) -> None:
    _unlock(cloud, run, ended)
    cloud.build_requests.send(run.pipeline)


def _free_data(cloud: Cloud, run: Run) -> None:
    """Let what the run took up wait for another, or settle it."""
    if run.status in _INCONCLUSIVE:
        batching.put_back(cloud, run.pipeline, run.run_id)
    elif run.dataset_version is not None:
        _settle(cloud, run, run.dataset_version)


def _note_built(cloud: Cloud, run: Run, version: str) -> None:
    # A run with values of its own says nothing about the project as it was pushed.
    if run.status in _CONCLUSIVE and not run.overrides:
        built = Built(run.pipeline, version, run.project_version, run.run_id, run.started_at)
        cloud.catalog.apply(builds.note_built(built))


def _settle(cloud: Cloud, run: Run, version: str) -> None:
    """Settle what a valid version took up; what another did was quarantined or put back, or still waits."""
    known = [
        keys.dataset_key(run.pipeline, version),
        keys.project_key(run.pipeline, run.project_version),
        keys.pipeline_key(run.pipeline),
    ]
    _, (dataset, project, pipeline), waiting = together(
        partial(_note_built, cloud, run, version),
        partial(cloud.catalog.get_all, known),
        partial(arrivals.waiting, cloud, run.pipeline),
    )
    if dataset and Dataset.of(dataset).status == "valid":
        before = _markers_before(cloud, run, project)
        # A version that was built before is not the one that later data are added to, and a run of a version
        # that a person named looked at nothing that happened since.
        is_base = pipeline is not None and Pipeline.of(pipeline).dataset_version == version
        covers = is_base and not run.given_dataset
        uploaded_at, *_ = together(
            partial(batching.settle, cloud, run.pipeline, run.run_id, waiting, markers_before=before),
            *([partial(arrivals.forget_touched, cloud, run.pipeline, run.started_at)] if covers else []),
        )
        if uploaded_at is not None and run.status == "registered":
            metering.registered(cloud, run, uploaded_at)


def _markers_before(cloud: Cloud, run: Run, project: Item | None) -> str:
    """Return the time before which the run saw all markers: a retry takes up what the first run saw."""
    if project is None or not building.uses_markers(Project.of(project)):
        return ""
    first: Run | None = run
    while first is not None and first.retry_of:
        first = building.find_run(cloud, run.pipeline, first.retry_of)
    return "" if first is None or (run.given_dataset and not run.retry_of) else first.started_at


def _unlock(cloud: Cloud, run: Run, ended: Sequence[Step] | None) -> None:
    """Let the next build start, and count what the run cost. One that found nothing new does not count."""
    pipeline = building.find_pipeline(cloud, run.pipeline)
    if pipeline is None or pipeline.in_flight != run.run_id:
        return
    usd, spent = costs.count(cloud, pipeline, run, ended)
    skipped = pipeline if run.status == "skipped" else None
    released = builds.release_build_lock(run.pipeline, run.run_id, skipped, spent)
    if cloud.catalog.apply(released, builds.note_cost(run.pipeline, run.run_id, usd)):
        metering.cost(cloud, run, usd)
