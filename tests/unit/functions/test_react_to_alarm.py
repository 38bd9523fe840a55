"""An alarm rolls back the live release that makes it fire, once, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import fakes
from release_world import ERROR_ALARM, PIPELINE, World
from sluice.catalog import keys


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]) -> World:
    made = World(cloud, invoke)
    made.approve(made.register(1))
    made.later(hours=1)
    made.approve(made.register(2))
    made.later(hours=1)
    return made


def test_the_sample_event_starts_the_rollback_of_the_live_release(world: World, sample: Any) -> None:
    live = world.stage()["live"]
    world.fire()
    started = world.invoke("react_to_alarm", sample("react_to_alarm"))
    (execution_arn,) = world.waiting()
    request = world.cloud.workflows.executions[execution_arn]["input"]
    assert request["release_id"] == started["release_id"]
    assert (request["cause"], request["stage"], request["rolls_back"]) == ("alarm", "production", live)
    assert request["actor"] == ERROR_ALARM


def test_an_alarm_that_is_over_does_nothing(world: World) -> None:
    world.fire(state="OK")
    assert world.tell_alarm()["status"] == "not firing"
    assert not world.waiting()


def test_an_alarm_that_is_gone_does_nothing(world: World) -> None:
    assert world.tell_alarm("sluice-gone-error-rate")["status"] == "not firing"


def test_two_alarms_of_one_failure_are_one_rollback(world: World) -> None:
    for alarm in (ERROR_ALARM, "sluice--reviews--production--p99-latency"):
        world.fire(alarm)
        world.tell_alarm(alarm)
    assert len(world.waiting()) == 1


def test_an_alarm_during_a_release_is_noted_and_left_to_the_guard(world: World) -> None:
    world.cloud.catalog.update(keys.stage_key(PIPELINE, "production"), {"releasing": "reviews-v3-0a"})
    world.fire()
    for _ in range(3):
        assert world.tell_alarm()["status"] == "release under way"
    assert not world.waiting()
    assert world.events().count("alarm") == 1


def test_an_alarm_of_the_stack_that_watches_no_endpoint_is_none_of_ours(world: World) -> None:
    world.cloud.alarms.put({"AlarmName": "sluice-DeadLetterAlarm", "MetricName": "Messages"})
    world.fire("sluice-DeadLetterAlarm")
    assert world.tell_alarm("sluice-DeadLetterAlarm")["status"] == "not ours"


def test_an_alarm_that_a_user_made_is_none_of_ours_whatever_it_watches(world: World) -> None:
    theirs = {**world.cloud.alarms.by_name[ERROR_ALARM], "AlarmName": "sluice--low-traffic"}
    world.cloud.alarms.put(theirs)
    world.fire("sluice--low-traffic")
    assert world.tell_alarm("sluice--low-traffic")["status"] == "not ours"
    assert not world.waiting()


def test_an_alarm_of_a_stage_on_which_nothing_is_live_does_nothing(world: World) -> None:
    world.cloud.catalog.update(keys.stage_key(PIPELINE, "production"), {"live": None})
    world.fire()
    assert world.tell_alarm()["status"] == "nothing live"
