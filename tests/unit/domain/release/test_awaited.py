"""Who is awaited, of what a person has to decide."""

from __future__ import annotations

from typing import Any

from sluice.domain.config import Stage
from sluice.domain.release import awaited

STAGES = (Stage(name="staging"), Stage(name="production", requires_approval=True))


def model(version: int, status: str) -> dict[str, Any]:
    return {
        "model": f"case/{version}",
        "arn": f"arn:{version}",
        "approval_status": status,
        "created_at": f"2026-01-0{version}T00:00:00.000Z",
    }


def live(stage: str, version: int | None, releasing: str | None = None) -> dict[str, Any]:
    return {
        "stage": stage,
        "releasing": releasing,
        "live_package_arn": f"arn:{version}" if version else None,
        "promoted_at": "2026-02-01T00:00:00.000Z",
    }


def commands(*arguments: Any) -> list[str]:
    return [decision["command"] for decision in awaited.decisions(*arguments)]


def test_a_version_that_nobody_decided_awaits_its_approval() -> None:
    listed = [model(3, "PendingManualApproval"), model(2, "Approved"), model(1, "PendingManualApproval")]
    (decision,) = awaited.decisions(STAGES, [], listed)
    assert (decision["model"], decision["what"]) == ("case/3", "approval")
    assert decision["since"] == "2026-01-03T00:00:00.000Z"
    assert decision["command"] == "approve case/3"


def test_a_stage_that_asks_for_a_person_awaits_what_serves_before_it() -> None:
    listed = [model(2, "Approved"), model(1, "Approved")]
    assert commands(STAGES, [live("staging", 2)], listed) == ["approve case/2 --stage production"]
    assert commands(STAGES, [live("staging", 2), live("production", 1)], listed) == [
        "approve case/2 --stage production"
    ]


def test_nobody_is_awaited_once_it_is_released_on_its_way_or_turned_down() -> None:
    listed = [model(2, "Approved")]
    assert not commands(STAGES, [live("staging", 2), live("production", 2)], listed)
    assert not commands(STAGES, [live("staging", 2), live("production", 1, "case-v2-0")], listed)
    assert not commands(STAGES, [live("staging", 2)], [model(2, "Rejected")])


def test_a_stage_that_asks_for_nobody_awaits_nobody() -> None:
    stages = (Stage(name="staging"), Stage(name="production"))
    assert not commands(stages, [live("staging", 2)], [model(2, "Approved")])
