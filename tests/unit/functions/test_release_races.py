"""Releases whose tasks die between two effects, overtake each other, or come too late."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest

import fakes
from release_world import ENDPOINT, PIPELINE, World
from sluice.catalog import keys
from sluice.catalog.changes import Change, Update

STAGE = keys.stage_key(PIPELINE, "production")


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]) -> World:
    made = World(cloud, invoke)
    made.approve(made.register(1))
    made.later(hours=1)
    return made


@contextmanager
def table_lost(world: World, for_changes: Callable[[dict[str, Any]], bool]) -> Iterator[None]:
    """Within it the catalog cannot be reached for such changes."""
    apply = world.cloud.catalog.apply

    def lost(*changes: Change) -> bool:
        if any(isinstance(change, Update) and for_changes(dict(change.set)) for change in changes):
            raise ConnectionError
        return apply(*changes)

    with mock.patch.object(world.cloud.catalog, "apply", lost):
        yield


def end(world: World, execution_arn: str, status: str = "FAILED") -> None:
    world.cloud.workflows.executions[execution_arn]["status"] = status
    world.tell_execution(execution_arn)


def test_a_promotion_that_was_declared_and_never_made_is_no_known_good(world: World) -> None:
    execution_arn, task = world.plan(world.register(2))
    world.deploy(task)
    with table_lost(world, lambda changes: "live" in changes), pytest.raises(ConnectionError):
        world.invoke("promote_release", task)
    world.deploy({**task, "restore": True})
    end(world, execution_arn)
    assert world.deployment(task["release_id"])["status"] == "failed"

    world.later(hours=1)
    world.approve(world.register(3))
    world.later(hours=1)
    world.fire()
    world.tell_alarm()
    world.run_all()
    assert (world.live_version(), world.served_version()) == (1, "1")


def test_a_release_that_was_promoted_is_not_put_back(world: World) -> None:
    """PromoteRelease may time out after it has done all it was to do."""
    execution_arn, task = world.plan(world.register(2))
    world.deploy(task)
    world.invoke("promote_release", task)
    with pytest.raises(Exception, match="is live on production"):
        world.invoke("deploy_model", {"task_token": "restore", **task, "restore": True})
    end(world, execution_arn)
    assert (world.live_version(), world.served_version()) == (2, "2")
    assert world.release(task["release_id"])["status"] == "released"


def test_a_firing_alarm_does_not_hold_up_its_cure_where_the_known_good_was_rejected(world: World) -> None:
    rejected = world.deployment(world.stage()["live"])["package_arn"]
    world.approve(world.register(2))
    world.later(hours=1)
    world.decide(rejected, "Rejected")
    world.tell_decision(rejected, "Rejected")
    world.fire()
    world.tell_alarm()
    world.run_all()
    assert world.live_version() == 2
    world.later(minutes=10)
    assert world.release(world.approve(world.register(3)))["status"] == "released"
    assert world.served_version() == "3"


def test_a_release_that_waits_for_its_endpoint_says_once_that_it_is_unguarded(world: World) -> None:
    world.fire()
    _, task = world.plan(world.register(2))
    world.cloud.endpoints.by_name[ENDPOINT]["EndpointStatus"] = "SystemUpdating"
    for attempt in range(3):
        with pytest.raises(Exception, match="is SystemUpdating"):
            world.invoke("deploy_model", {"task_token": str(attempt), **task})
        world.later(seconds=30)
    assert world.events().count("unguarded") == 1


def test_the_last_of_two_approvals_wins_whichever_is_released_first(world: World) -> None:
    second, third = world.register(2), world.register(3)
    for arn in (second, third):
        world.decide(arn, "Approved")
        world.tell_decision(arn, "Approved")
        world.later(minutes=1)
    of_second, of_third = world.waiting()
    world.run(of_third)
    world.run(of_second)
    assert (world.live_version(), world.served_version()) == (3, "3")
    refused = next(release for release in world.releases() if release["status"] == "refused")
    assert refused["reasons"] == ["production serves v3, which was approved later"]
    assert world.stage().get("releasing") is None


def test_an_earlier_approval_still_replaces_what_a_rollback_put_back(world: World) -> None:
    world.approve(world.register(2))
    world.later(hours=1)
    third = world.register(3)
    world.decide(third, "Approved")
    world.tell_decision(third, "Approved")
    (of_third,) = world.waiting()
    world.ended.add(of_third)
    world.fire()
    world.tell_alarm()
    world.run_all()
    assert world.live_version() == 1
    world.fire(state="OK")
    world.run(of_third)
    assert world.live_version() == 3


def test_a_plan_that_comes_after_its_releases_end_takes_no_stage(world: World) -> None:
    """Step Functions may have given the invocation up, and asked another one."""
    execution_arn = next(iter(world.cloud.workflows.executions))
    request = world.cloud.workflows.executions[execution_arn]["input"]
    with pytest.raises(Exception, match="has ended"):
        world.invoke("plan_release", {"execution_arn": execution_arn, "release": request})
    assert world.stage().get("releasing") is None


def test_what_a_promotion_could_not_mark_as_replaced_is_marked_at_the_end(world: World) -> None:
    world.approve(world.register(2))
    second = world.stage()["live"]
    execution_arn, task = world.plan(world.register(3))
    world.deploy(task)
    with (
        table_lost(world, lambda changes: changes.get("status") == "superseded"),
        pytest.raises(ConnectionError),
    ):
        world.invoke("promote_release", task)
    end(world, execution_arn)
    assert world.live_version() == 3
    assert world.deployment(second)["status"] == "superseded"
    world.later(hours=1)
    world.fire()
    world.tell_alarm()
    world.run_all()
    assert world.live_version() == 1


def test_an_attempt_to_deploy_that_failed_waits_for_nothing(world: World) -> None:
    """Its task is not listed any more: reconcile would tell of the endpoint for a week."""
    world.approve(world.register(2))
    world.fire()
    _, task = world.plan(world.register(3))
    with pytest.raises(Exception, match="is in ALARM"):
        world.invoke("deploy_model", {"task_token": "a", **task})
    world.cloud.bus.entries.clear()
    world.invoke("reconcile", {})
    assert "SageMaker Endpoint State Change" not in [name for name, _, _ in world.cloud.bus.entries]
