"""A release's end is recorded once, and its stages are given back, even if nobody was left to say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import fakes
from release_world import PIPELINE, World
from sluice.catalog import keys


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]) -> World:
    return World(cloud, invoke)


@pytest.fixture
def under_way(world: World) -> str:
    """A release that was planned and holds its stage; returns its execution."""
    return world.begin()


def test_the_sample_task_records_a_failure_of_a_release_that_was_never_planned(
    world: World, sample: Any
) -> None:
    assert world.invoke("finish_release", sample("finish_release"))["status"] == "failed"
    release = world.release("reviews-v1-0a1b2c3d")
    assert release["reasons"] == [
        "SmokeTestFailedError: the endpoint answered the sample request with 500: boom"
    ]


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
@pytest.mark.parametrize("times", [1, 5])
def test_an_execution_that_ended_on_its_own_gives_its_stage_back(
    world: World, under_way: str, status: str, times: int
) -> None:
    world.cloud.workflows.executions[under_way]["status"] = status
    for _ in range(times):
        world.tell_execution(under_way)
        world.later(minutes=1)
    (release,) = world.releases()
    assert (release["status"], release["reasons"]) == ("failed", [f"{status}: the execution ended so"])
    assert release["ended_at"] == "2026-11-24T09:00:00.000Z"
    assert world.stage().get("releasing") is None
    assert world.events().count("release failed") == 1
    assert world.deployment(release["sk"].removeprefix("RELEASE#"))["status"] == "failed"


def test_an_execution_that_runs_is_left_alone(world: World, under_way: str) -> None:
    assert world.tell_execution(under_way)["status"] == "still running"
    assert world.stage()["releasing"]


def test_an_execution_that_nobody_remembers_is_ended_by_what_the_hint_tells(
    world: World, under_way: str
) -> None:
    del world.cloud.workflows.executions[under_way]
    world.invoke("reconcile", {})
    detail = next(detail for name, detail, _ in world.cloud.bus.entries if name.startswith("Step Functions"))
    world.invoke("finish_release", {"detail": detail})
    assert world.stage().get("releasing") is None


def test_a_late_failure_event_does_not_change_a_release_that_succeeded(world: World) -> None:
    release_id = world.approve(world.register(1))
    (execution_arn,) = world.cloud.workflows.executions
    world.cloud.workflows.executions[execution_arn]["status"] = "ABORTED"
    world.tell_execution(execution_arn)
    assert world.release(release_id)["status"] == "released"
    assert world.stage()["live"] == release_id


def test_a_release_that_failed_only_at_saying_so_is_released(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is live on all its stages when its execution is stopped."""
    arn = world.register(1)
    world.decide(arn, "Approved")
    world.tell_decision(arn, "Approved")
    (execution_arn,) = world.waiting()
    invoke = world.invoke

    def stop_before_the_end(function: str, payload: Any) -> Any:
        if function == "finish_release":
            raise KeyboardInterrupt
        return invoke(function, payload)

    with monkeypatch.context() as stopped:
        stopped.setattr(world, "invoke", stop_before_the_end)
        with pytest.raises(KeyboardInterrupt):
            world.run_all()
    world.cloud.workflows.executions[execution_arn]["status"] = "ABORTED"
    assert world.tell_execution(execution_arn)["status"] == "released"
    assert world.live_version() == 1
    assert world.stage().get("releasing") is None


def test_a_stage_that_another_release_holds_is_not_given_back(world: World, under_way: str) -> None:
    other = {"releasing": "reviews-v2-other"}
    world.cloud.catalog.update(keys.stage_key(PIPELINE, "production"), other)
    world.cloud.workflows.executions[under_way]["status"] = "FAILED"
    world.tell_execution(under_way)
    assert world.stage()["releasing"] == "reviews-v2-other"


def test_a_release_that_lost_its_stage_cannot_promote(world: World, under_way: str, sample: Any) -> None:
    (release,) = world.releases()
    release_id = release["sk"].removeprefix("RELEASE#")
    world.cloud.catalog.update(keys.stage_key(PIPELINE, "production"), {"releasing": "reviews-v2-other"})
    with pytest.raises(Exception, match="production is held by reviews-v2-other by now"):
        world.invoke("promote_release", {**sample("promote_release"), "release_id": release_id})
    assert world.stage().get("live") is None
    assert world.deployment(release_id).get("promoted_at") is None
