"""A version that several people must approve is released when they did, and not before, whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest

import fakes
from release_world import PIPELINE, PIPELINE_YAML, World
from sluice.catalog import keys
from sluice.catalog.records.releases import Cause
from sluice.domain.release import releases
from sluice.services.views import awaited

ANNA, BERT = "arn:aws:iam::123456789012:user/anna", "arn:aws:iam::123456789012:user/bert"


def approved_by(text: str) -> str:
    return f"{PIPELINE_YAML}  approval: {text}\n"


@pytest.fixture
def world_of(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]) -> Callable[[str], World]:
    return lambda text: World(cloud, invoke, approved_by(text))


def decide(world: World, arn: str, status: str, by: str) -> list[str]:
    world.later(minutes=1)
    world.decide(arn, status, by)
    started: list[str] = world.tell_decision(arn, status)["releases"]
    return started


def pushed_by(world: World, *who: str) -> None:
    key = keys.project_key(PIPELINE, world.project_version)
    world.cloud.catalog.update(key, {"pushed_by": [f"{each} (unverified)" for each in who]})


def test_a_second_person_s_approval_releases_and_the_same_persons_does_not(
    world_of: Callable[[str], World],
) -> None:
    world = world_of("{approvals: 2}")
    arn = world.register(1)
    assert decide(world, arn, "Approved", ANNA) == []
    (waits,) = awaited.decisions(world.cloud, PIPELINE)
    assert waits["held"] == f"1 of 2 approvals (by {ANNA})"
    assert waits["command"] == "approve reviews/1"
    assert decide(world, arn, "PendingManualApproval", ANNA) == decide(world, arn, "Approved", ANNA) == []
    decide(world, arn, "PendingManualApproval", BERT)
    assert len(decide(world, arn, "Approved", BERT)) == 1
    world.run_all()
    assert world.live_version() == 1
    assert awaited.decisions(world.cloud, PIPELINE) == []
    assert world.events().count("approval awaited") == 2


@pytest.mark.parametrize("cause", ["approval", "command"])
def test_whoever_starts_the_release_before_is_refused_with_what_is_missing(
    world_of: Callable[[str], World], cause: Cause
) -> None:
    world = world_of("{approvals: 2}")
    arn = world.register(1)
    decide(world, arn, "Approved", ANNA)
    request = replace(releases.approval_request(PIPELINE, arn, 1, 1, ANNA, ""), cause=cause)
    world.cloud.workflows.start("release", request.release_id, asdict(request))
    world.run_all()
    (release,) = world.releases()
    assert release["status"] == "refused"
    assert f"1 of 2 approvals (by {ANNA})" in release["reasons"][0]


def test_who_pushed_the_project_cannot_release_it_alone(world_of: Callable[[str], World]) -> None:
    world = world_of("{separation: true}")
    pushed_by(world, ANNA)
    arn = world.register(1)
    assert decide(world, arn, "Approved", ANNA) == []
    assert "pushed the project" in world.timeline()[-1][1]
    decide(world, arn, "PendingManualApproval", BERT)
    assert len(decide(world, arn, "Approved", BERT)) == 1
    world.run_all()
    assert world.live_version() == 1


def test_who_pushes_between_approval_and_release_counts_too(world_of: Callable[[str], World]) -> None:
    world = world_of("{separation: true}")
    pushed_by(world, ANNA)
    arn = world.register(1)
    decide(world, arn, "Approved", BERT)
    pushed_by(world, ANNA, BERT)
    world.run_all()
    (release,) = world.releases()
    assert "pushed the project" in release["reasons"][0]


def test_an_approval_of_two_hours_releases_nothing_in_the_third(world_of: Callable[[str], World]) -> None:
    world = world_of("{expires_after: 2h}")
    arn = world.register(1)
    decide(world, arn, "Approved", ANNA)
    world.later(hours=2, seconds=1)
    world.run_all()
    (release,) = world.releases()
    assert release["status"] == "refused"
    assert "was valid until" in release["reasons"][0]


def test_approvals_that_come_at_once_release_whichever_is_recorded_last(
    world_of: Callable[[str], World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first approval's record is written only after the second decision was acted on."""
    world = world_of("{approvals: 2}")
    arn = world.register(1)
    apply, late = world.cloud.catalog.apply, list[bool]()

    def slow(*changes: Any) -> bool:
        is_record = any("APPROVAL#0001" in str(change.key.get("sk")) for change in changes)
        if is_record and not late:
            late.append(True)
            with monkeypatch.context() as inner:
                inner.setattr(world.cloud.catalog, "apply", apply)
                decide(world, arn, "PendingManualApproval", BERT)
                assert decide(world, arn, "Approved", BERT) == []
        return apply(*changes)

    monkeypatch.setattr(world.cloud.catalog, "apply", slow)
    assert len(decide(world, arn, "Approved", ANNA)) == 1
    world.run_all()
    assert world.live_version() == 1
