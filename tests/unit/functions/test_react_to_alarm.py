"""An alarm rolls back the live release that makes it fire, once, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import fakes
from release_world import ENDPOINT, ERROR_ALARM, PIPELINE, World
from sluice.catalog import keys
from sluice.domain.times import from_iso


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


# --------------------------------------------------------------- events that were lost, or too early


def test_an_alarm_from_before_the_promotion_is_looked_at_again_when_it_settled(world: World) -> None:
    """Nothing else will tell of it: it does not change any more."""
    live = world.deployment(world.stage()["live"])
    world.cloud.alarms.set_state(ERROR_ALARM, "ALARM", from_iso(live["promoted_at"]) - timedelta(seconds=30))
    world.cloud.now.at = live["promoted_at"]
    world.later(seconds=60)
    world.reconcile()
    assert not world.waiting(), "it may count what the version before did"
    world.later(minutes=3)
    world.reconcile()
    world.run_all()
    assert world.served_version() == "1"


@pytest.mark.parametrize("after_s", [20, 7200], ids=["in the bake", "after it"])
def test_an_alarm_whose_event_was_lost_rolls_back(world: World, after_s: int) -> None:
    world.cloud.now.at = world.deployment(world.stage()["live"])["promoted_at"]
    world.later(seconds=after_s)
    world.fire()
    world.reconcile()
    world.run_all()
    assert world.served_version() == "1"


def test_what_a_canary_made_fire_does_not_take_back_what_serves(world: World) -> None:
    """SageMaker has taken the canary back; the alarm counts its errors for some minutes yet."""
    execution_arn, task = world.plan(world.register(3))
    world.fire()
    assert world.tell_alarm()["status"] == "release under way"
    world.later(seconds=10)
    world.cloud.workflows.executions[execution_arn]["status"] = "ABORTED"
    world.tell_execution(execution_arn)
    assert task["stage"]["endpoint_name"] == ENDPOINT
    world.later(minutes=2)
    assert world.tell_alarm()["status"] == "about another version"
    world.fire(state="OK")
    world.later(hours=1)
    world.reconcile()
    assert (world.waiting(), world.served_version()) == ([], "2")


def test_an_alarm_that_goes_on_after_a_release_that_failed_is_about_what_serves(world: World) -> None:
    execution_arn, _ = world.plan(world.register(3))
    world.fire()
    world.later(seconds=10)
    world.cloud.workflows.executions[execution_arn]["status"] = "ABORTED"
    world.tell_execution(execution_arn)
    world.reconcile()
    assert not world.waiting()
    world.later(minutes=3)
    world.reconcile()
    world.run_all()
    assert world.served_version() == "1"
