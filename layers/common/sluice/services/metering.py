"""Measure what the product is for, as metrics of CloudWatch: builds, data, approvals, releases.

Each is measured where it is decided, by the one write that succeeds; a crash right after it loses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sluice.domain.times import from_iso

if TYPE_CHECKING:
    from sluice.catalog.records.builds import Run
    from sluice.catalog.records.releases import Approval, Release
    from sluice.ports import Cloud

NAMESPACE = "Sluice"
DIMENSIONS = ("Stack", "Pipeline")
# By how it ended; a run whose gates refused its model is rejected.
RUNS = {
    "registered": "RunsRegistered",
    "rejected": "RunsRejected",
    "data_rejected": "RunsWithRejectedData",
    "failed": "RunsFailed",
    "stopped": "RunsStopped",
    "skipped": "RunsSkipped",
    "reproduced": "RunsReproduced",
    "differed": "RunsDiffered",
}
DECISIONS = {"Approved": "Approvals", "Rejected": "Rejections", "PendingManualApproval": "Withdrawals"}
RELEASES = {"released": "Releases", "failed": "ReleasesFailed", "refused": "ReleasesRefused"}
ROLLBACKS = {"released": "Rollbacks", "failed": "RollbacksFailed", "refused": "RollbacksRefused"}
RUN_S, COST_USD = "RunSeconds", "RunCostUsd"
UPLOAD_TO_REGISTERED_S, APPROVAL_WAIT_S = "UploadToRegisteredSeconds", "ApprovalWaitSeconds"
ARRIVALS, ARRIVED_BYTES, ROWS, REJECTED_ROWS = "Arrivals", "ArrivedBytes", "RowsChecked", "RowsRejected"
METRICS = frozenset(
    {RUN_S, UPLOAD_TO_REGISTERED_S, APPROVAL_WAIT_S, COST_USD, ARRIVALS, ARRIVED_BYTES, ROWS, REJECTED_ROWS}
    | {name for names in (RUNS, DECISIONS, RELEASES, ROLLBACKS) for name in names.values()}
)


def arrived(cloud: Cloud, pipeline: str, size_bytes: int) -> None:
    _put(cloud, pipeline, {ARRIVALS: 1, ARRIVED_BYTES: size_bytes}, cloud.now())


def checked(cloud: Cloud, pipeline: str, rows: int, *, is_valid: bool) -> None:
    """Measure a data set version that was judged; all rows of a rejected one are rejected with it."""
    _put(cloud, pipeline, {ROWS: rows, REJECTED_ROWS: 0 if is_valid else rows}, cloud.now())


def run_ended(cloud: Cloud, run: Run) -> None:
    values: dict[str, float] = {RUNS.get(run.status, "RunsFailed"): 1}
    if run.started_at and run.ended_at:
        values[RUN_S] = _seconds(run.started_at, run.ended_at)
    _put(cloud, run.pipeline, values, str(run.ended_at))


def registered(cloud: Cloud, run: Run, uploaded_at: str) -> None:
    """Measure how long the newest of a run's uploads took to become a registered model."""
    ended_at = str(run.registered_at or run.ended_at)
    _put(cloud, run.pipeline, {UPLOAD_TO_REGISTERED_S: _seconds(uploaded_at, ended_at)}, str(run.ended_at))


def cost(cloud: Cloud, run: Run, usd: float | None) -> None:
    """Measure what a run cost, if that is known."""
    if usd is not None:
        _put(cloud, run.pipeline, {COST_USD: usd}, str(run.ended_at))


def decided(cloud: Cloud, pipeline: str, approval: Approval, registered_at: str) -> None:
    """Measure a person's decision about a version, the first also by how long it waited."""
    values: dict[str, float] = {DECISIONS[approval.status]: 1}
    if approval.epoch == 1:
        values[APPROVAL_WAIT_S] = _seconds(registered_at, approval.decided_at)
    _put(cloud, pipeline, values, approval.decided_at)


def release_ended(cloud: Cloud, release: Release, *, is_rollback: bool) -> None:
    names = ROLLBACKS if is_rollback else RELEASES
    _put(cloud, release.pipeline, {names[release.status]: 1}, str(release.ended_at))


def _put(cloud: Cloud, pipeline: str, values: Mapping[str, float], at: str) -> None:
    named = dict(zip(DIMENSIONS, (cloud.stack_name, pipeline), strict=True))
    cloud.metrics.put(NAMESPACE, named, values, at)


def _seconds(since: str, until: str) -> float:
    """Return the time between two times; clocks of two services may differ a little."""
    return max(0.0, (from_iso(until) - from_iso(since)).total_seconds())
