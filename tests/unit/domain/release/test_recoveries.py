"""A rollback that failed is tried again after a while, and one under way is waited for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sluice.catalog.records.releases import Deployment, Recovery, Release
from sluice.domain.release import deviations, recoveries
from sluice.domain.release.serving import Serving

AT, SOON, LATE = (f"2026-11-29T{time}.000Z" for time in ("09:00:00", "09:00:30", "12:00:00"))
KNOWN = Recovery("reviews", "production", "reviews-v2-ab", "alarm", 1, "reviews-v1-cd", AT)


@pytest.mark.parametrize("status", ["running", "released"])
def test_while_an_attempt_runs_or_has_done_it_there_is_nothing_to_do(status: str) -> None:
    made = Release(
        pipeline="reviews",
        release_id="reviews-v1-cd",
        cause="alarm",
        actor="sluice",
        execution_arn="arn",
        status="running",
        started_at=AT,
        package_arn="arn:1",
        package_version=1,
        stages=("production",),
    )
    last = replace(made, status=status)  # type: ignore[arg-type]
    assert recoveries.next_step(KNOWN, last, LATE) is None
    failed = replace(last, status="failed", ended_at=AT)
    assert recoveries.next_step(KNOWN, failed, LATE) == recoveries.Attempt(2)
    assert recoveries.next_step(KNOWN, failed, SOON) is None


def test_of_an_endpoint_that_is_gone_nothing_else_is_said() -> None:
    live = Deployment("reviews", "production", "reviews-v2-ab", "arn:2", 2, "live", "config")
    assert deviations.content_faults(Serving(None, None, None), live, "sha256:1", "2") == []
