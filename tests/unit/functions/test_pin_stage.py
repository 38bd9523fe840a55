"""What a person pinned stays until it is let go: alarms call a person, new versions are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import fakes
from release_world import PIPELINE, PIPELINE_YAML, World
from sluice.services.views import stages

ADA = "arn:aws:iam::123456789012:user/ada"
TWO_STAGES = PIPELINE_YAML.replace("stages: [", "stages: [{name: staging}, ")


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]) -> World:
    """A stage whose second version is live, in the place of one that outlived its bake."""
    made = World(cloud, invoke)
    for number in (1, 2):
        made.approve(made.register(number))
        made.later(hours=1)
    return made


def pin(world: World, *, is_on: bool = True, live: str | None = None, time: str | None = None) -> str:
    live = live or world.stage()["live"]
    said = {"pipeline": PIPELINE, "stage": "production", "live": live, "is_on": is_on, "actor": ADA}
    event = {"time": time or world.cloud.now.at, "detail": {**said, "reason": "until Monday"}}
    world.later(seconds=1)
    return str(world.invoke("pin_stage", event)["status"])


def hold(world: World, stage: str = "production") -> dict[str, Any] | None:
    rows = {row["stage"]: row for row in stages.stages(world.cloud, PIPELINE)}
    found: dict[str, Any] | None = rows[stage]["hold"]
    return found


def test_the_sample_event_pins_what_is_live_with_who_and_why(
    cloud: fakes.Cloud, invoke: Callable[[str, Any], Any], sample: Any
) -> None:
    world = World(cloud, invoke)
    world.approve(world.register(1))
    event = sample("pin_stage")
    assert event["detail"]["live"] == world.stage()["live"]
    for _ in range(2):
        assert invoke("pin_stage", event)["status"] == "pinned"
    found = hold(world) or {}
    assert found["why"] == "pinned"
    assert found["reason"] == f"{ADA} (unverified) pinned v1: the campaign runs until Monday"
    assert found["command"] == "pin reviews --stage production --off"
    assert world.events().count("pinned") == 1


def test_an_alarm_on_a_pinned_version_only_calls_a_person_each_time_it_fires(world: World) -> None:
    pin(world)
    for _ in range(2):
        world.fire()
        for _ in range(3):
            assert world.tell_alarm()["status"] == "pinned"
            world.later(minutes=1)
        world.fire(state="OK")
    assert not world.waiting()
    assert [page["why"] for page in world.pages()] == ["pinned", "pinned"]
    assert "until Monday" in world.pages()[0]["reason"]
    assert world.served_version() == "2"


def test_a_rollback_that_had_not_begun_when_the_version_was_pinned_is_refused(world: World) -> None:
    world.fire()
    world.tell_alarm()
    pin(world)
    world.run_all()
    assert world.served_version() == "2"
    (refused,) = [each for each in world.releases() if each["cause"] == "alarm"]
    assert "is pinned" in refused["reasons"][0]


def test_a_new_approval_is_refused_and_says_why_until_the_pin_is_gone(world: World) -> None:
    pin(world)
    arn = world.register(3)
    refused = world.release(world.approve(arn))
    assert refused["status"] == "refused"
    (reason,) = refused["reasons"]
    assert reason.startswith("production is pinned since ")
    assert reason.endswith("until Monday; `sluice pin reviews --stage production --off` lets go of it")
    assert pin(world, is_on=False) == "pin removed"
    assert hold(world) is None
    for status in ("PendingManualApproval", "Approved"):
        world.decide(arn, status)
        world.tell_decision(arn, status)
    world.run_all()
    assert world.served_version() == "3"
    world.later(hours=1)
    world.fire()
    world.tell_alarm()
    world.run_all()
    assert world.served_version() == "2"


def test_a_release_goes_as_far_as_the_pinned_stage_and_says_so(
    cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]
) -> None:
    world = World(cloud, invoke, TWO_STAGES)
    world.approve(world.register(1))
    world.later(hours=1)
    pin(world)
    release = world.release(world.approve(world.register(2)))
    assert (release["status"], release["stages"]) == ("released", ["staging"])
    assert (world.live_version("staging"), world.live_version()) == (2, 1)
    held_back = [detail for event, detail in world.timeline() if event == "held back"]
    assert held_back[0].startswith("production is pinned since ")


def test_a_pinned_stage_that_is_named_is_refused(world: World) -> None:
    pin(world)
    arn = world.register(3)
    world.decide(arn, "Approved")
    request = {"pipeline": PIPELINE, "release_id": "reviews-v3-1", "cause": "command", "package_arn": arn}
    world.cloud.workflows.start("release", "reviews-v3-1", {**request, "stages": ["production"]})
    world.run_all()
    assert "is pinned" in world.release("reviews-v3-1")["reasons"][0]


def test_a_person_rolls_a_pinned_version_back_and_that_ends_the_pin(world: World) -> None:
    pin(world)
    request = {"pipeline": PIPELINE, "release_id": "reviews-v2-1", "cause": "command", "stage": "production"}
    world.cloud.workflows.start("release", "reviews-v2-1", request)
    world.run_all()
    assert (world.served_version(), hold(world)) == ("1", None)


def test_rejecting_a_pinned_version_is_a_persons_word_too(world: World) -> None:
    pin(world)
    arn = world.deployment(world.stage()["live"])["package_arn"]
    world.decide(arn, "Rejected")
    world.tell_decision(arn, "Rejected")
    world.run_all()
    assert world.served_version() == "1"


def test_a_pin_of_what_is_no_longer_live_and_one_that_was_overtaken_change_nothing(world: World) -> None:
    before = world.cloud.now.at
    assert pin(world, live="reviews-v1-0") == "not live"
    assert hold(world) is None
    world.later(minutes=1)
    assert pin(world, is_on=False) == "pin removed"
    assert pin(world, time=before) == "overtaken"
    assert hold(world) is None


def test_nothing_is_pinned_while_a_release_is_under_way(world: World) -> None:
    world.plan(world.register(3))
    assert pin(world) == "changed meanwhile"
