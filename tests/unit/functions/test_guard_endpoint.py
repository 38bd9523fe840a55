"""A stage keeps the alarms of its live release, whoever deletes or edits them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import fakes
from release_world import ENDPOINT, ERROR_ALARM, PIPELINE, PIPELINE_YAML, World
from sluice.catalog import keys

HINT = "CloudWatch Alarm Configuration Change"
LATENCY_ALARM = "sluice--reviews--production--p99-latency"


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]) -> World:
    made = World(cloud, invoke)
    made.approve(made.register(1))
    return made


def reconcile(world: World) -> list[dict[str, Any]]:
    """What reconcile does, and the hints about alarms that it sends."""
    world.cloud.bus.entries.clear()
    world.invoke("reconcile", {})
    return [detail for kind, detail, _ in world.cloud.bus.entries if kind == HINT]


def guard(world: World, detail: dict[str, Any]) -> Any:
    return world.invoke("guard_endpoint", {"detail": detail})


def test_the_sample_event_finds_a_guard_that_needs_nothing(world: World, sample: Any) -> None:
    assert reconcile(world) == []
    assert world.invoke("guard_endpoint", sample("guard_endpoint")) == {"status": "nothing to do"}


@pytest.mark.parametrize("alarm", [ERROR_ALARM, LATENCY_ALARM])
def test_an_alarm_that_was_deleted_is_made_again_and_the_timeline_says_so(world: World, alarm: str) -> None:
    made = world.cloud.alarms.by_name.pop(alarm)
    (detail,) = reconcile(world)
    assert guard(world, detail) == {"status": "put back", "alarms": [alarm]}
    assert world.cloud.alarms.by_name[alarm]["Metrics"] == made["Metrics"]
    assert ("alarms put back", f"production: {alarm} is missing") in world.timeline()
    assert reconcile(world) == []


def test_an_alarm_that_was_edited_is_as_its_project_wants_it_again(world: World) -> None:
    world.cloud.alarms.by_name[ERROR_ALARM]["Threshold"] = 1.0
    (detail,) = reconcile(world)
    guard(world, detail)
    assert world.cloud.alarms.by_name[ERROR_ALARM]["Threshold"] == 0.05
    assert "has Threshold 1.0, not 0.05" in dict(world.timeline())["alarms put back"]


def test_what_a_failed_release_left_of_its_limits_is_put_right(world: World) -> None:
    live = world.stage()["live"]
    world.cloud.alarms.put({**world.cloud.alarms.by_name[ERROR_ALARM], "Threshold": 0.5})
    world.cloud.catalog.update(keys.stage_key(PIPELINE, "production"), {"releasing": "reviews-v2-0a"})
    assert reconcile(world) == []
    world.cloud.catalog.update(keys.stage_key(PIPELINE, "production"), {"releasing": None})
    (detail,) = reconcile(world)
    guard(world, detail)
    assert world.cloud.alarms.by_name[ERROR_ALARM]["Threshold"] == 0.05
    assert world.stage()["live"] == live


def test_an_alarm_of_a_user_is_left_alone(world: World) -> None:
    theirs = {"AlarmName": "sluice--low-traffic", "Threshold": 1, "StateValue": "OK"}
    world.cloud.alarms.by_name["sluice--low-traffic"] = theirs
    assert reconcile(world) == []
    assert guard(world, {"alarmName": "sluice--low-traffic"}) == {"status": "not ours"}
    assert "sluice--low-traffic" in world.cloud.alarms.by_name


@pytest.mark.parametrize("gone", ["stage", "endpoint"])
def test_what_serves_no_more_is_not_guarded(world: World, gone: str) -> None:
    world.cloud.alarms.by_name.clear()
    if gone == "stage":
        world.cloud.catalog.update(keys.stage_key(PIPELINE, "production"), {"live": None})
    else:
        world.cloud.endpoints.delete_endpoint(ENDPOINT)
    assert guard(world, {"alarmName": ERROR_ALARM}) == {"status": "nothing to do"}
    assert not world.cloud.alarms.by_name


DRIFT_ALARM = "sluice--reviews--production--drift"


def test_alarms_of_what_is_watched_are_guarded_and_roll_nothing_back(
    cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]
) -> None:
    world = World(cloud, invoke, PIPELINE_YAML + "monitor: {}\n")
    world.approve(world.register(1))
    assert DRIFT_ALARM in cloud.alarms.by_name
    # A deployment is watched by what goes back with it, and drift does not.
    update = cloud.endpoints.updates[-1]
    assert DRIFT_ALARM not in str(update)
    cloud.alarms.delete([DRIFT_ALARM])
    assert [hint["alarmName"] for hint in reconcile(world)] == [DRIFT_ALARM]
    assert guard(world, {"alarmName": DRIFT_ALARM}) == {"status": "put back", "alarms": [DRIFT_ALARM]}
    world.approve(world.register(2))
    world.fire(DRIFT_ALARM)
    world.tell_alarm(DRIFT_ALARM)
    assert world.waiting() == []
    assert world.live_version() == 2


def test_a_project_that_is_watched_no_more_has_no_such_alarms(
    cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]
) -> None:
    world = World(cloud, invoke)
    cloud.alarms.put({"AlarmName": DRIFT_ALARM})
    world.approve(world.register(1))
    assert DRIFT_ALARM not in cloud.alarms.by_name
