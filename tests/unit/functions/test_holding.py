"""After one automatic rollback a stage is held: a further alarm calls a person, who releases again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import fakes
from release_world import ERROR_ALARM, PIPELINE, PIPELINE_YAML, World
from sluice.services.views import stages

AUTOMATIC = f"{PIPELINE_YAML}register: {{approval: automatic}}\n"


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]) -> World:
    """A stage with two known goods behind its live version."""
    made = World(cloud, invoke)
    for number in (1, 2, 3):
        made.approve(made.register(number))
        made.later(hours=1)
    return made


@pytest.fixture
def held(world: World) -> World:
    """An alarm rolled the third version back to the second."""
    world.fire()
    world.tell_alarm()
    world.run_all()
    world.fire(state="OK")
    world.later(hours=1)
    assert world.served_version() == "2"
    return world


def test_a_second_alarm_rolls_back_no_further_and_calls_a_person_once(held: World) -> None:
    held.fire()
    for _ in range(3):
        assert held.tell_alarm()["status"] == "held"
        held.later(minutes=5)
        held.reconcile()
    held.run_all()
    assert (held.live_version(), held.served_version()) == (2, "2")
    (page,) = held.pages()
    assert (page["why"], page["package_version"], page["attempts"]) == ("held", 2, 0)
    assert page["command"] == "sluice rollback reviews --stage production"
    assert held.events().count("rollback withheld") == 1


def test_an_alarm_that_goes_on_after_the_rollback_calls_a_person(world: World) -> None:
    """It is not a new alarm: what worked before makes it fire too."""
    world.fire()
    world.tell_alarm()
    world.later(seconds=30)
    world.run_all()
    world.reconcile()
    assert not world.pages(), "it may count what the version before did"
    world.later(minutes=4)
    world.reconcile()
    world.run_all()
    assert world.served_version() == "2"
    assert [page["why"] for page in world.pages()] == ["held"]


def test_status_says_that_a_stage_is_held_and_what_ends_it(held: World) -> None:
    (stage,) = stages.stages(held.cloud, PIPELINE)
    assert stage["hold"]["why"] == "held"
    assert ERROR_ALARM in stage["hold"]["reason"]
    assert stage["hold"]["command"] == "approve reviews/2 --stage production"


@pytest.mark.parametrize("how", ["command", "approval"])
def test_a_person_who_releases_what_is_live_once_more_ends_the_hold(held: World, how: str) -> None:
    arn = held.deployment(held.stage()["live"])["package_arn"]
    if how == "command":
        request = {
            "pipeline": PIPELINE,
            "release_id": "reviews-v2-00000001",
            "cause": "command",
            "actor": "ada",
        }
        held.cloud.workflows.start(
            "release", "reviews-v2-00000001", {**request, "package_arn": arn, "stages": ["production"]}
        )
        held.run_all()
    else:
        held.decide(arn, "PendingManualApproval")
        held.tell_decision(arn, "PendingManualApproval")
        held.approve(arn)
    (stage,) = stages.stages(held.cloud, PIPELINE)
    assert (stage["hold"], stage["live_version"]) == (None, 2)
    held.later(hours=1)
    held.fire()
    held.tell_alarm()
    held.run_all()
    assert held.served_version() == "1"


def test_a_person_rolls_a_held_stage_back_further(held: World) -> None:
    request = {"pipeline": PIPELINE, "release_id": "reviews-v2-00000001", "cause": "command", "actor": "ada"}
    held.cloud.workflows.start("release", "reviews-v2-00000001", {**request, "stage": "production"})
    held.run_all()
    (stage,) = stages.stages(held.cloud, PIPELINE)
    assert (held.served_version(), stage["hold"]) == ("1", None)


def test_a_held_stage_takes_no_version_that_nobody_approved(held: World) -> None:
    held.push(AUTOMATIC)
    arn = held.register(4)
    release = held.release(held.approve(arn))
    assert release["status"] == "refused"
    assert "production is held" in release["reasons"][0]
    assert "`sluice approve reviews/4`" in release["reasons"][0]
    held.decide(arn, "PendingManualApproval")
    held.tell_decision(arn, "PendingManualApproval")
    held.approve(arn)
    assert held.served_version() == "4"


def test_a_stage_that_is_not_held_takes_such_a_version(world: World) -> None:
    world.push(AUTOMATIC)
    world.approve(world.register(4))
    assert world.served_version() == "4"


def test_rejecting_what_a_held_stage_serves_is_a_persons_word_and_rolls_back(held: World) -> None:
    arn = held.deployment(held.stage()["live"])["package_arn"]
    held.decide(arn, "Rejected")
    held.tell_decision(arn, "Rejected")
    held.run_all()
    assert held.served_version() == "1"
