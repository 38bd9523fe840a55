"""A rollback that fails is tried again, a few times and not too soon; then a person is called, once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import fakes
from release_world import ERROR_ALARM, PIPELINE, World
from sluice.catalog import keys
from sluice.catalog.records.releases import Stage
from sluice.services.release import comparing
from sluice.services.views import stages

P99_ALARM = "sluice--reviews--production--p99-latency"


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]) -> World:
    """A stage whose second version is live, in the place of one that outlived its bake."""
    made = World(cloud, invoke)
    for number in (1, 2):
        made.approve(made.register(number))
        made.later(hours=1)
    return made


def fail_next(world: World) -> None:
    """Let the attempt that was started fail before it does anything."""
    (arn,) = world.waiting()
    world.ended.add(arn)
    execution = world.cloud.workflows.executions[arn]
    execution |= {"status": "FAILED", "error": "States.Timeout", "cause": "SageMaker does not answer"}
    world.tell_execution(arn)


def fire(world: World) -> None:
    world.fire()
    world.tell_alarm()


def reject(world: World) -> None:
    arn = world.deployment(world.stage()["live"])["package_arn"]
    world.decide(arn, "Rejected")
    world.tell_decision(arn, "Rejected")


@pytest.mark.parametrize("begin", [fire, reject])
def test_a_rollback_that_failed_is_tried_again_and_works(
    world: World, begin: Callable[[World], None]
) -> None:
    begin(world)
    fail_next(world)
    world.later(minutes=5)
    world.reconcile()
    world.run_all()
    assert (world.live_version(), world.served_version()) == (1, "1")
    assert not world.pages()
    attempts = [each for each in world.releases() if each["cause"] in ("alarm", "rejection")]
    assert sorted(each["status"] for each in attempts) == ["failed", "released"]
    assert not any("unverified" in each["actor"] for each in attempts)


@pytest.mark.parametrize("begin", [fire, reject])
def test_after_three_failures_a_person_is_called_once_and_told_why(
    world: World, begin: Callable[[World], None]
) -> None:
    live = world.stage()["live"]
    begin(world)
    for _ in range(3):
        fail_next(world)
        world.later(minutes=10)
        world.reconcile()
    for _ in range(5):
        assert not world.waiting()
        world.later(minutes=10)
        world.reconcile()
    (page,) = world.pages()
    assert (page["release_id"], page["attempts"], page["stage"]) == (live, 3, "production")
    assert "SageMaker does not answer" in page["reason"]
    assert page["command"] == "sluice rollback reviews --stage production"
    assert world.events().count("rollback impossible") == 1
    assert world.live_version() == 2


def test_a_failed_rollback_is_not_tried_again_at_once(world: World) -> None:
    fire(world)
    for wait in ({"seconds": 119}, {"seconds": 239}):
        fail_next(world)
        world.later(**wait)
        world.reconcile()
        assert not world.waiting()
        world.later(seconds=1)
        world.reconcile()
        assert len(world.waiting()) == 1


def test_two_alarms_and_their_repeated_events_make_one_attempt_at_a_time(world: World) -> None:
    for alarm in (ERROR_ALARM, P99_ALARM):
        world.fire(alarm)
    for _ in range(3):
        for alarm in (ERROR_ALARM, P99_ALARM):
            world.tell_alarm(alarm)
    fail_next(world)
    world.later(minutes=3)
    for _ in range(3):
        for alarm in (ERROR_ALARM, P99_ALARM):
            world.tell_alarm(alarm)
    assert len(world.waiting()) == 1


def test_a_refused_rollback_is_final(world: World) -> None:
    """Trying again would change nothing."""
    world.cloud.objects.delete(world.uri(1, "model"))
    fire(world)
    world.run_all()
    world.reconcile()
    world.reconcile()
    assert not world.waiting()
    (page,) = world.pages()
    assert "nothing to roll v2 back to" in page["reason"]
    assert page["command"] == "sluice models reviews"


def test_a_failed_rollback_whose_alarm_is_over_is_left_alone(world: World) -> None:
    fire(world)
    fail_next(world)
    world.fire(state="OK")
    world.later(hours=1)
    world.reconcile()
    assert not world.waiting()


def test_a_rejected_version_that_a_person_replaced_is_left_alone(world: World) -> None:
    reject(world)
    fail_next(world)
    world.approve(world.register(3))
    world.later(hours=1)
    world.reconcile()
    assert (world.live_version(), world.pages()) == (3, [])


def test_a_version_is_not_rejected_by_what_was_decided_about_another_runs_with_its_arn(world: World) -> None:
    """A group that was deleted and made again numbers its versions from one."""
    reject(world)
    stage = Stage.of(world.stage())
    rejected = comparing.find_rejected(world.cloud, stage)
    assert rejected is not None
    world.cloud.catalog.update(keys.package_key(rejected.arn), {"run_id": "reviews-00009"})
    assert comparing.find_rejected(world.cloud, stage) is None


def test_an_attempt_that_was_claimed_and_not_started_is_started_by_the_next_event(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: Any) -> str:
        raise ConnectionError

    with monkeypatch.context() as broken:
        broken.setattr(world.cloud.workflows, "start", unreachable)
        with pytest.raises(ConnectionError):
            fire(world)
    world.tell_alarm()
    world.run_all()
    assert world.live_version() == 1


def test_an_attempt_that_left_no_trace_counts_as_failed(world: World) -> None:
    fire(world)
    world.ended.update(world.waiting())
    world.later(minutes=59)
    world.tell_alarm()
    assert not world.waiting()
    world.later(minutes=1)
    world.tell_alarm()
    assert len(world.waiting()) == 1


def test_a_person_is_called_again_when_the_alarm_fires_anew(world: World) -> None:
    world.cloud.catalog.update(
        keys.deployment_key(PIPELINE, "production", first(world)), {"status": "rolled_back"}
    )
    for _ in range(2):
        fire(world)
        world.tell_alarm()
        world.fire(state="OK")
        world.later(days=1)
    assert len(world.pages()) == 2


def first(world: World) -> str:
    return str(world.deployment(world.stage()["live"])["replaces"])


def test_status_says_how_often_it_was_tried_and_that_a_person_must_act(world: World) -> None:
    fire(world)
    fail_next(world)
    (recovery,) = stages.recoveries(world.cloud, PIPELINE, "production", world.stage()["live"])
    assert (recovery["fault"], recovery["attempt"], recovery["problem"]) == ("alarm", 1, None)
    for _ in range(2):
        world.later(minutes=10)
        world.reconcile()
        fail_next(world)
    world.later(minutes=10)
    world.reconcile()
    (recovery,) = stages.recoveries(world.cloud, PIPELINE, "production", world.stage()["live"])
    assert recovery["attempt"] == 3
    assert recovery["problem"].startswith("3 attempts failed")
