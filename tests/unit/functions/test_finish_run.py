"""A run ends once, whoever says so first; its end lets the next build start."""

from __future__ import annotations

import json
from typing import Any

import pytest

import fakes
from build_world import PIPELINE, RUN, Invoke, World
from sluice.catalog import keys
from sluice.catalog.changes import Change


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    world = World.of_started_run(cloud, invoke)
    cloud.build_requests.sent.clear()
    return world


def end_execution(world: World, status: str, **described: Any) -> Any:
    """Step Functions ends the execution, and its event is delivered."""
    arn = world.catalog_run()["execution_arn"]
    world.cloud.workflows.executions[arn].update(status=status, **described)
    return deliver(world)


def deliver(world: World) -> Any:
    arn = world.catalog_run()["execution_arn"]
    detail = {"executionArn": arn, "name": RUN, "stateMachineArn": "arn:machine"}
    return world.invoke("finish_run", {"detail": detail})


@pytest.mark.parametrize("status", ["registered", "rejected", "data_rejected", "skipped"])
def test_the_end_is_recorded_and_the_lock_released(world: World, status: str) -> None:
    world.prepare_run()
    assert world.finish(status, reasons=["because"]) == status
    assert (world.catalog_run()["status"], world.catalog_run()["reasons"]) == (status, ["because"])
    assert "in_flight" not in world.pipeline
    assert world.cloud.build_requests.sent == [(PIPELINE, 0)]
    assert f"run {status}" in world.events()


def test_a_run_that_found_nothing_new_gives_back_its_budget_and_its_cooldown(world: World) -> None:
    """Else the same file uploaded every hour uses up the day's builds, and new data wait for the next."""
    world.play()
    before = {name: world.pipeline[name] for name in ("budget_used", "last_build_at")}
    world.later(hours=1)
    assert world.build("a.csv") == "skipped"
    assert {name: world.pipeline[name] for name in before} == before
    world.finish("skipped", "reviews-00002")
    assert world.pipeline["budget_used"] == before["budget_used"] == 1
    assert world.build("b.csv", b"x,y\n3,1\n") == "registered"
    assert world.pipeline["budget_used"] == 2


def test_a_first_run_that_found_nothing_new_leaves_no_cooldown(world: World) -> None:
    world.finish("skipped")
    assert world.pipeline["budget_used"] == 0
    assert "last_build_at" not in world.pipeline


def test_a_failed_run_says_why_in_the_words_of_the_error(world: World) -> None:
    cause = json.dumps({"errorMessage": "no candidate", "errorType": "NoCandidateError"})
    world.finish("failed", error={"Error": "NoCandidateError", "Cause": cause})
    assert world.catalog_run()["reasons"] == ["NoCandidateError: no candidate"]


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
def test_an_execution_that_ended_without_saying_so_is_found_out(world: World, status: str) -> None:
    assert end_execution(world, status) == {"status": "failed"}
    assert world.catalog_run()["reasons"] == [f"{status}: the execution ended so"]
    assert "in_flight" not in world.pipeline


def test_an_execution_that_runs_on_is_left_alone(world: World) -> None:
    assert deliver(world) == {"status": "running"}
    assert world.pipeline["in_flight"] == RUN
    assert world.cloud.build_requests.sent == []


def test_an_execution_that_does_not_exist_any_more_has_ended(world: World) -> None:
    del world.cloud.workflows.executions[world.catalog_run()["execution_arn"]]
    assert deliver(world) == {"status": "failed"}
    assert world.catalog_run()["reasons"] == ["ABORTED: the execution ended so"]


def test_the_first_end_counts_and_the_event_after_it_changes_nothing(world: World) -> None:
    world.finish("failed", error={"Error": "JobFailedError", "Cause": "prepare: no luck"})
    before = world.catalog_run()
    world.later(minutes=1)
    for _ in range(3):
        assert end_execution(world, "FAILED", error="JobFailedError") == {"status": "failed"}
    assert world.catalog_run() == before
    assert world.events().count("run failed") == 1


def test_a_late_event_does_not_take_the_lock_from_the_next_run(world: World) -> None:
    world.finish("failed", error={"Error": "States.Timeout", "Cause": ""})
    world.upload("b.csv")
    world.later(minutes=2)
    world.ask()
    assert world.pipeline["in_flight"] == "reviews-00002"
    end_execution(world, "FAILED")
    assert world.pipeline["in_flight"] == "reviews-00002"


@pytest.mark.parametrize("crash_at", ["the timeline", "the build request"])
def test_a_crash_in_between_is_made_good_by_the_retry(
    world: World, monkeypatch: pytest.MonkeyPatch, crash_at: str
) -> None:
    apply = world.cloud.catalog.apply

    def crash(*_: object) -> None:
        raise RuntimeError

    def crash_at_entry(*changes: Change) -> bool:
        if any(change.key["sk"].startswith(keys.TIMELINE) for change in changes):
            raise RuntimeError
        return apply(*changes)

    with monkeypatch.context() as patched:
        if crash_at == "the timeline":
            patched.setattr(world.cloud.catalog, "apply", crash_at_entry)
        else:
            patched.setattr(world.cloud.build_requests, "send", crash)
        with pytest.raises(RuntimeError):
            world.finish("registered")
    assert world.finish("registered") == "registered"
    assert "in_flight" not in world.pipeline
    assert world.cloud.build_requests.sent == [(PIPELINE, 0)]
    assert world.events().count("run registered") == 1


def told(world: World) -> list[dict[str, Any]]:
    """What was announced of ends of runs."""
    return [detail for event, detail in world.cloud.bus.announced if event == "RunEnded"]


def test_the_end_of_a_run_is_announced_once_with_the_first_reasons(world: World) -> None:
    snapshot = world.prepare_run()
    for _ in range(3):
        world.finish("data_rejected", reasons=[f"reason {number}" for number in range(9)])
    (detail,) = told(world)
    assert (detail["pipeline"], detail["run_id"]) == (PIPELINE, RUN)
    assert detail["dataset_version"] == snapshot["dataset_version"]
    assert detail["status"] == "data_rejected"
    assert detail["reasons"] == [f"reason {number}" for number in range(5)]


def test_a_crash_before_the_end_is_announced_is_made_good_by_the_retry(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError

    world.prepare_run()
    with monkeypatch.context() as patched:
        patched.setattr(world.cloud.bus, "announce", crash)
        with pytest.raises(RuntimeError):
            world.finish("data_rejected", reasons=["because"])
    assert world.pipeline["in_flight"] == RUN
    world.finish("data_rejected", reasons=["because"])
    assert len(told(world)) == 1
    assert "in_flight" not in world.pipeline


@pytest.mark.parametrize("status", ["registered", "failed"])
def test_the_runs_role_ends_with_it(world: World, status: str) -> None:
    world.prepare_run()
    world.job("prepare")
    assert len(world.cloud.roles.by_name) == 1
    world.finish(status)
    assert world.cloud.roles.by_name == {}


def test_a_role_that_cannot_be_deleted_does_not_hold_up_the_next_run(world: World) -> None:
    world.prepare_run()
    world.job("prepare")
    world.cloud.roles.forbidden = True
    assert world.finish("rejected", reasons=["no"]) == "rejected"
    assert world.cloud.roles.by_name
    assert "in_flight" not in world.pipeline


# ------------------------------------------------------------------------------- what a failed run took up

FAILURE = {"Error": "Runtime.ExitError", "Cause": "signal: killed"}


@pytest.mark.parametrize("is_judged", [False, True])
def test_what_a_failed_run_took_up_waits_again_and_the_next_upload_builds_all_of_it(
    world: World, is_judged: bool
) -> None:
    version = {"dataset_version": world.prepare_run()["dataset_version"]}
    if is_judged:
        world.invoke("validate_data", {**world.common(), **version})
    for _ in range(2):
        world.finish("failed", error=FAILURE)
    assert world.arrivals() == {f"{PIPELINE}/a.csv#v1": "pending"}
    for _ in range(3):
        world.later(days=1)
        world.ask()
    assert len(world.cloud.workflows.executions) == 1
    assert world.build("b.csv", b"x,y\n3,1\n") == "registered"
    assert world.objects_of("reviews-00002") == [f"{PIPELINE}/a.csv#v1", f"{PIPELINE}/b.csv#v1"]
    assert set(world.arrivals().values()) == {"included"}


def test_a_push_of_another_project_builds_what_a_failed_run_took_up(world: World) -> None:
    world.prepare_run()
    world.finish("failed", error=FAILURE)
    world.later(minutes=1)
    world.push(train=b"print('mended')\n")
    world.ask()
    assert world.play("reviews-00002") == "registered"
    assert world.objects_of("reviews-00002") == [f"{PIPELINE}/a.csv#v1"]


def test_builds_that_fail_do_not_follow_each_other_by_themselves(world: World) -> None:
    world.prepare_run()
    world.finish("failed", error=FAILURE)
    world.upload("b.csv", b"x,y\n3,1\n")
    world.later(minutes=2)
    world.ask()
    world.prepare_run("reviews-00002")
    world.finish("failed", "reviews-00002", error=FAILURE)
    for _ in range(5):
        world.later(days=1)
        world.ask()
        world.invoke("reconcile", {})
    assert len(world.cloud.workflows.executions) == 2


def test_what_an_earlier_run_built_does_not_wait_for_a_later_ones_failure(world: World) -> None:
    assert world.play() == "registered"
    world.later(minutes=1)
    world.push(train=b"print('worse')\n")
    world.ask()
    world.prepare_run("reviews-00002")
    world.finish("failed", "reviews-00002", error=FAILURE)
    assert world.arrivals() == {f"{PIPELINE}/a.csv#v1": "included"}


@pytest.mark.parametrize("status", ["rejected", "data_rejected", "registered"])
def test_what_a_run_came_to_a_verdict_on_does_not_wait_again(world: World, status: str) -> None:
    world.prepare_run()
    world.finish(status, reasons=["because"])
    assert "pending" not in world.arrivals().values()
