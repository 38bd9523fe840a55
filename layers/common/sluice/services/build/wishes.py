"""What a person may ask of a pipeline: the run that a wish would start, or why there can be none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

from sluice.catalog import keys
from sluice.catalog.records.builds import Pipeline, Run, RunRequest
from sluice.domain import wording
from sluice.domain.failures import MissingError
from sluice.lazy import dataclass
from sluice.services import building
from sluice.services.build import caching
from sluice.services.data import arrivals, presence, recalling

if TYPE_CHECKING:
    from sluice.ports import Cloud

BY_HAND = "started by hand"
# Ends of runs that a retry may go on from.
RETRIED = ("failed", "stopped")
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asks for; a retry brings its project, overrides and data with it."""

    pipeline: str
    request_id: str
    actor: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    dataset_version: str | None = None
    retry_of: str | None = None
    is_uncached: bool = False
    # The run to be repeated and compared with.
    reproduces: str | None = None
    tolerance: float | None = None


class NotStartedError(Exception):
    """There can be no such run; `reasons` says why."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = reasons
        super().__init__("; ".join(reasons))


def find_request(cloud: Cloud, pipeline: str, request_id: str) -> RunRequest | None:
    item = cloud.catalog.get(keys.request_key(pipeline, request_id))
    return RunRequest.of(item) if item else None


def plan(cloud: Cloud, wanted: Wanted) -> Run:
    """Return the run that would start now, without its number; raises NotStartedError."""
    state = building.find_pipeline(cloud, wanted.pipeline)
    if state is None:
        raise NotStartedError(f"there is no pipeline {wanted.pipeline}")
    if wanted.reproduces:
        run = _reproduced(cloud, wanted, wanted.reproduces)
    else:
        run = _retried(cloud, wanted) if wanted.retry_of else _started(cloud, wanted, state)
    if run.given_dataset:
        _check_dataset(cloud, run, run.given_dataset)
    elif not state.dataset_version and not arrivals.waiting(cloud, wanted.pipeline):
        raise NotStartedError(
            f"{wanted.pipeline} has no data to build on: `sluice upload {wanted.pipeline} FILE` brings some"
        )
    return run


def _started(cloud: Cloud, wanted: Wanted, state: Pipeline) -> Run:
    _check_overrides(cloud, wanted, state.project_version)
    return Run(
        wanted.pipeline,
        "",
        "running",
        state.project_version,
        cause=BY_HAND,
        overrides=dict(wanted.overrides) or None,
        given_dataset=wanted.dataset_version,
        is_uncached=wanted.is_uncached,
    )


def _check_overrides(cloud: Cloud, wanted: Wanted, version: str) -> None:
    if not wanted.overrides:
        return
    from sluice.domain import config
    from sluice.domain.config import overrides

    project = building.find_project(cloud, wanted.pipeline, version)
    try:
        overrides.check(config.restore(project.config), wanted.overrides)
    except overrides.OverrideError as error:
        raise NotStartedError(*error.problems) from None


def _reproduced(cloud: Cloud, wanted: Wanted, run_id: str) -> Run:
    from sluice.domain.build.reproduction import TOLERANCE
    from sluice.services.build import reproducing

    tolerance = TOLERANCE if wanted.tolerance is None else wanted.tolerance
    try:
        return reproducing.plan(cloud, wanted.pipeline, run_id, tolerance)
    except MissingError as error:
        raise NotStartedError(str(error)) from None


def _retried(cloud: Cloud, wanted: Wanted) -> Run:
    """Return a run of the failed run's project, overrides and data; raises NotStartedError."""
    former = building.find_run(cloud, wanted.pipeline, str(wanted.retry_of))
    if former is None:
        raise NotStartedError(f"there is no run {wanted.retry_of}")
    if former.status not in RETRIED:
        said = "runs" if former.status == "running" else f"ended as {former.status}"
        raise NotStartedError(
            f"{former.run_id} {said}: a retry goes on from a run that failed or was stopped"
        )
    if not wanted.is_uncached and (missing := caching.missing_outputs(cloud, former.run_id)):
        raise NotStartedError(f"{missing[0]}: `sluice start {wanted.pipeline}` computes it anew")
    dataset = former.given_dataset or _judged(cloud, former)
    return Run(
        wanted.pipeline,
        "",
        "running",
        former.project_version,
        cause=f"retry of {former.run_id}",
        overrides=former.overrides,
        given_dataset=dataset,
        retry_of=former.run_id,
        is_uncached=wanted.is_uncached,
        reproduces=former.reproduces,
        tolerance=former.tolerance,
    )


def _judged(cloud: Cloud, former: Run) -> str | None:
    """Return the run's data set version, if it was found valid; else it is made anew."""
    version = former.dataset_version
    if version is None or former.validated_at is None:
        return None
    dataset = building.find_dataset(cloud, former.pipeline, version)
    return version if dataset and dataset.status == "valid" else None


def _check_dataset(cloud: Cloud, run: Run, version: str) -> None:
    pipeline = run.pipeline
    dataset = building.find_dataset(cloud, pipeline, version)
    if dataset is None:
        raise NotStartedError(f"{pipeline} has no data set version {version[:12]}")
    if dataset.status != "valid":
        why = "; ".join(dataset.reasons) or "it was never judged"
        raise NotStartedError(f"the data set version {version[:12]} is not valid: {why}")
    try:
        recalled = recalling.held_in(cloud, pipeline, version, recalling.find(cloud, pipeline))
        known = cloud.catalog.get_all(presence.known_by(pipeline))
        changed = presence.changed_since_made(cloud, pipeline, version, known)
    except FileNotFoundError as error:
        raise NotStartedError(f"the data set version {version[:12]} is incomplete: {error} is gone") from None
    if recalled:
        raise NotStartedError(
            f"the data set version {version[:12]} holds recalled data: {', '.join(recalled[:_SHOWN])}"
        )
    if changed and not run.reads_versions:
        shown = ", ".join(changed[:_SHOWN])
        raise NotStartedError(
            f"{wording.count(len(changed), 'object')} changed since the data set version {version[:12]} "
            f"was made, and jobs read what is there now: {shown}"
        )
