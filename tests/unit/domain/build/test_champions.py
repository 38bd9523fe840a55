"""The champion is what serves, on whatever stage."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sluice.catalog.records.builds import Project
from sluice.catalog.records.releases import Deployment
from sluice.domain.build import champions
from sluice.domain.build.champions import Live


def live(stage: str, position: int, promoted_at: str = "2026-11-24") -> Live:
    release = f"release-{stage}"
    deployed = Deployment("reviews", stage, release, "arn", 1, "live", "config", promoted_at=promoted_at)
    return Live(stage, position, release, deployed)


STAGING, PRODUCTION, PROD = live("staging", 0), live("production", 1), live("prod", 1, "2026-11-25")


@pytest.mark.parametrize(
    ("serving", "stages", "chosen"),
    [
        ([], ["staging", "production"], None),
        ([STAGING], ["staging", "production"], STAGING),
        ([STAGING, PRODUCTION], ["staging", "production"], PRODUCTION),
        # Renamed: what serves under the former name does until the new one serves.
        ([PRODUCTION], ["prod"], PRODUCTION),
        ([STAGING, PRODUCTION], ["staging", "prod"], PRODUCTION),
        ([STAGING, PRODUCTION, PROD], ["staging", "prod"], PROD),
        # Two that are gone from the project: the one that served last.
        ([PRODUCTION, PROD], ["new"], PROD),
        # A further stage that was dropped does not outlive the last one that there is.
        ([live("canary", 2), PRODUCTION], ["production"], PRODUCTION),
    ],
)
def test_the_last_stage_that_serves_has_the_champion(
    serving: list[Live], stages: list[str], chosen: Live | None
) -> None:
    assert champions.choose(serving, stages) == chosen
    assert champions.choose(reversed(serving), stages) == chosen


def test_a_push_that_gives_the_champion_up_does_so_for_one_run() -> None:
    pushed = Project("reviews", "v1", "active")
    project = replace(pushed, replaces_champion_at="2026-11-24", replaces_champion_by="ann (unverified)")
    assert champions.passed_over(pushed, "run-2") is None
    assert "ann (unverified)" in str(champions.passed_over(project, "run-2"))
    used = replace(project, champion_replaced_by="run-2")
    assert champions.passed_over(used, "run-2")
    assert champions.passed_over(used, "run-3") is None
