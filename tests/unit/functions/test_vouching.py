"""Who is said to have asked for a release: what AWS vouches for, or a name that is marked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import fakes
from release_world import ERROR_ALARM, PIPELINE, World
from sluice.domain import actors as claimed
from sluice.domain.release import releases
from sluice.services.release import vouching

ANNA = "arn:aws:iam::123456789012:user/anna"


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]) -> World:
    return World(cloud, invoke)


@pytest.fixture
def proven(world: World) -> World:
    for run in (1, 2):
        world.approve(world.register(run))
        world.later(hours=1)
    return world


def start(world: World, **request: Any) -> dict[str, Any]:
    """Start a release directly, as whoever may start the machine can; its item at its end."""
    release_id = f"{PIPELINE}-v1-00000001"
    world.cloud.workflows.start(
        "release", release_id, {"pipeline": PIPELINE, "release_id": release_id, "actor": ANNA, **request}
    )
    world.run_all()
    return world.release(release_id)


def actors(world: World, release_id: str) -> set[str]:
    """Who the timeline says did something with a release."""
    items = world.cloud.catalog.query(f"PIPELINE#{PIPELINE}", "TIMELINE#")
    return {item["actor"] for item in items if item["subject"] == release_id}


def test_an_alarm_is_believed_of_no_rollback_of_what_was_never_there(world: World) -> None:
    request = releases.Request(PIPELINE, "r", "alarm", stage="production", rolls_back="r0", actor=ERROR_ALARM)
    assert vouching.actor(world.cloud, request) == claimed.unverified(ERROR_ALARM)


def test_an_approvals_actor_is_whom_the_registry_names(world: World) -> None:
    release_id = world.approve(world.register(1))
    assert world.release(release_id)["actor"] == ANNA
    assert actors(world, release_id) == {ANNA, "sluice"}


def test_a_commands_actor_is_marked_wherever_it_is_shown(proven: World) -> None:
    item = start(proven, cause="command", stage="production")
    assert (item["status"], item["actor"]) == ("released", f"{ANNA} (unverified)")
    assert actors(proven, f"{PIPELINE}-v1-00000001") == {f"{ANNA} (unverified)", "sluice"}


@pytest.mark.parametrize("cause", ["approval", "rejection", "alarm", "rollback"])
def test_a_cause_that_the_stack_did_not_record_vouches_for_nobody(proven: World, cause: str) -> None:
    arn = proven.deployment(proven.stage()["live"])["package_arn"]
    what = {"package_arn": arn} if cause == "approval" else {"stage": "production"}
    item = start(proven, cause=cause, rolls_back=proven.stage()["live"], **what)
    assert item["actor"] == f"{ANNA} (unverified)"


def test_an_alarm_that_was_heard_of_is_named(proven: World) -> None:
    proven.fire()
    proven.tell_alarm()
    proven.run_all()
    assert proven.release(proven.stage()["live"])["actor"] == ERROR_ALARM


def test_who_rejected_what_is_live_is_named(proven: World) -> None:
    arn = proven.deployment(proven.stage()["live"])["package_arn"]
    proven.decide(arn, "Rejected", by="arn:aws:iam::123456789012:user/berta")
    proven.tell_decision(arn, "Rejected")
    proven.run_all()
    live = proven.release(proven.stage()["live"])
    assert (live["cause"], live["actor"]) == ("rejection", "arn:aws:iam::123456789012:user/berta")


def test_an_approval_that_was_decided_again_meanwhile_still_names_its_own_actor(world: World) -> None:
    arn = world.register(1)
    world.decide(arn, "Approved")
    (release_id,) = world.tell_decision(arn, "Approved")["releases"]
    world.decide(arn, "PendingManualApproval", by="someone else")
    world.tell_decision(arn, "PendingManualApproval")
    world.run_all()
    assert world.release(release_id)["actor"] == ANNA
