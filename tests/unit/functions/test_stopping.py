"""A run that ends leaves no job running: each is stopped once, its step says why; others are left alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

import fakes
from build_world import PIPELINE_YAML, RUN, Invoke, World, ended
from sluice.catalog import keys
from sluice.domain import roles
from sluice.domain.roles import Account
from sluice.services import side_by_side

WHY = "stopped by sluice, as its run had ended as failed (JobFailedError: no luck)"
ACCOUNT = Account(fakes.ROLES_ARN, "eu-central-1", fakes.DATA_BUCKET, fakes.ARTIFACT_BUCKET)
FAILURE = {"Error": "JobFailedError", "Cause": "no luck"}


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    return World.of_prepared_run(cloud, invoke)


def role(step: str) -> str:
    return roles.step_role(ACCOUNT, "reviews", RUN, step).name


def end_execution(world: World, status: str) -> dict[str, Any]:
    """Step Functions ends the execution; the event that may get lost."""
    arn = world.catalog_run()["execution_arn"]
    world.cloud.workflows.executions[arn].update(status=status)
    return {"detail": {"executionArn": arn, "name": RUN, "stateMachineArn": "arn:machine"}}


def hear_reconcile(world: World) -> list[str]:
    """Reconcile, and deliver what it tells of runs; the detail-types of all that it told."""
    world.cloud.bus.entries.clear()
    world.invoke("reconcile", {})
    for detail_type, detail, _ in world.cloud.bus.entries:
        if detail_type.startswith("Step Functions"):
            world.invoke("finish_run", {"detail": detail})
    return [detail_type for detail_type, _, _ in world.cloud.bus.entries]


def test_the_siblings_of_what_failed_are_stopped_and_their_steps_say_why(world: World) -> None:
    world.job("prepare")
    for name in ("train-0", "train-1"):
        world.start(name)
    world.end("train-1", status="Failed", FailureReason="no luck")
    for _ in range(3):
        world.finish("failed", error=FAILURE)
    assert world.cloud.jobs.stopped == [f"sluice--{RUN}-train-0"]
    assert world.events().count("train-0 is being stopped") == 1
    world.end("train-0", status="Stopped")
    assert (world.step("train-0")["status"], world.step("train-0")["failure_reason"]) == ("Stopped", WHY)
    assert world.step("train-1")["failure_reason"] == "no luck"
    assert world.cloud.catalog.listing(keys.TASKS) == []


def test_stopped_jobs_keep_their_role_until_the_last_of_them_has_uploaded_what_it_has(world: World) -> None:
    world.job("prepare")
    for name in ("train-0", "train-1"):
        world.start(name)
    world.invoke("finish_run", end_execution(world, "ABORTED"))
    assert len(world.cloud.jobs.stopped) == 2
    world.end("train-0", status="Stopped")
    assert list(world.cloud.roles.by_name) == [role(name) for name in ("prepare", "train-0", "train-1")]
    world.end("train-1", status="Stopped")
    assert not world.cloud.roles.by_name


def test_a_role_that_could_not_be_deleted_with_its_last_job_is_deleted_at_the_next_hint(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def throttled(*_: object) -> None:
        raise RuntimeError

    world.start("prepare")
    world.invoke("finish_run", end_execution(world, "ABORTED"))
    with monkeypatch.context() as patched:
        patched.setattr(world.cloud.roles, "delete", throttled)
        with pytest.raises(RuntimeError):
            world.end("prepare", status="Stopped")
    assert list(world.cloud.roles.by_name) == [role("prepare")]
    world.invoke("finish_job", ended(f"sluice--{RUN}-prepare"))
    assert not world.cloud.roles.by_name
    assert world.events().count("prepare stopped") == 1


def test_a_run_whose_jobs_have_ended_leaves_no_role(world: World) -> None:
    world.job("prepare")
    assert list(world.cloud.roles.by_name) == [role("prepare")]
    world.finish("failed", error=FAILURE)
    assert not world.cloud.roles.by_name


@pytest.mark.parametrize("compute", ["", "  compute: {keep_alive_s: 600}\n"], ids=["own", "pooled"])
@pytest.mark.parametrize("begun", [(), ("prepare",), ("prepare", "train-0")])
def test_only_roles_that_were_made_are_deleted(
    cloud: fakes.Cloud, invoke: Invoke, begun: tuple[str, ...], compute: str
) -> None:
    """Of others IAM says that we may not, and who watches an account's denials would look for an attacker."""
    text = PIPELINE_YAML.replace("  candidates:", f"{compute}  candidates:")
    world = World.of_prepared_run(cloud, invoke, pipeline=text.encode())
    for step in begun:
        world.job(step)
    world.finish("failed", error=FAILURE)
    assert (world.cloud.roles.by_name, world.cloud.roles.denied) == ({}, [])


@pytest.mark.parametrize("compute", ["", "  compute: {keep_alive_s: 600}\n"], ids=["own", "pooled"])
def test_a_run_under_way_while_the_stack_is_updated_leaves_no_role(
    cloud: fakes.Cloud, invoke: Invoke, compute: str
) -> None:
    """Its first steps do not say whose role their jobs have."""
    text = PIPELINE_YAML.replace("  candidates:", f"{compute}  candidates:")
    world = World.of_prepared_run(cloud, invoke, pipeline=text.encode())
    for step in ("prepare", "train-0"):
        world.job(step)
        cloud.catalog.update(keys.step_key(RUN, step), {"role": None})
    world.job("train-1")
    assert cloud.roles.by_name
    world.finish("failed", error=FAILURE)
    assert not cloud.roles.by_name


def test_roles_that_an_end_which_died_half_way_deleted_hold_up_no_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be more of them than are deleted at a time: what is not begun is not given up."""
    monkeypatch.setattr(side_by_side, "_AT_A_TIME", 1)
    for step in ("prepare", "train-0", "train-1"):
        world.job(step)
    del world.cloud.roles.by_name[role("prepare")]
    world.finish("failed", error=FAILURE)
    assert (world.cloud.roles.by_name, world.cloud.roles.denied) == ({}, [role("prepare")])


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
@pytest.mark.parametrize("is_heard", [True, False])
def test_an_execution_that_ends_otherwise_stops_its_jobs(world: World, status: str, is_heard: bool) -> None:
    world.start("prepare")
    event = end_execution(world, status)
    if is_heard:
        world.invoke("finish_run", event)
    else:
        hear_reconcile(world)
    assert world.cloud.jobs.stopped == [f"sluice--{RUN}-prepare"]
    assert world.step("prepare")["stopped_because"].endswith(f"({status}: the execution ended so)")


def test_a_job_whose_task_timed_out_is_stopped(world: World) -> None:
    world.cloud.workflows.expired_tokens.add(world.start("prepare"))
    world.finish("failed", error={"Error": "States.Timeout", "Cause": ""})
    assert world.cloud.jobs.stopped == [f"sluice--{RUN}-prepare"]


def test_a_job_whose_start_was_never_recorded_is_stopped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function dies between the creation of the job and its record."""
    start = world.cloud.jobs.start

    def dies(*given: Any) -> bool:
        start(*given)
        raise RuntimeError

    monkeypatch.setattr(world.cloud.jobs, "start", dies)
    with pytest.raises(RuntimeError):
        world.start("prepare")
    world.finish("failed", error=FAILURE)
    assert world.cloud.jobs.stopped == [f"sluice--{RUN}-prepare"]


def test_a_job_that_is_created_while_its_run_ends_is_stopped_by_who_creates_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = world.cloud.jobs.start

    def overtaken(*given: Any) -> bool:
        world.finish("failed", error=FAILURE)
        assert world.cloud.jobs.stopped == []
        return start(*given)

    monkeypatch.setattr(world.cloud.jobs, "start", overtaken)
    world.start("prepare")
    assert world.cloud.jobs.stopped == [f"sluice--{RUN}-prepare"]


def test_a_job_that_goes_on_after_its_run_is_found_by_reconcile_until_it_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever created it late died before it could stop it."""
    start = world.cloud.jobs.start

    def overtaken_and_dies(*given: Any) -> bool:
        world.invoke("finish_run", end_execution(world, "ABORTED"))
        start(*given)
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(world.cloud.jobs, "start", overtaken_and_dies)
        with pytest.raises(RuntimeError):
            world.start("prepare")
    hear_reconcile(world)
    assert world.cloud.jobs.stopped == [f"sluice--{RUN}-prepare"]
    world.end("prepare", status="Stopped")
    assert hear_reconcile(world).count("Step Functions Execution Status Change") == 0


def test_a_stop_that_fails_is_repeated_and_holds_the_lock_until_then(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def throttled(*_: object) -> None:
        raise RuntimeError

    world.start("prepare")
    with monkeypatch.context() as patched:
        patched.setattr(world.cloud.jobs, "stop", throttled)
        with pytest.raises(RuntimeError):
            world.invoke("finish_run", end_execution(world, "ABORTED"))
    assert world.pipeline["in_flight"] == RUN
    hear_reconcile(world)
    assert world.cloud.jobs.stopped == [f"sluice--{RUN}-prepare"]
    assert "in_flight" not in world.pipeline


def test_another_stacks_job_of_the_same_name_is_left_alone(world: World) -> None:
    world.cloud.jobs.created_at -= timedelta(days=1)
    world.cloud.jobs.start("processing_job", {"ProcessingJobName": f"sluice--{RUN}-prepare"})
    with pytest.raises(Exception, match="was created before this run"):
        world.start("prepare")
    world.finish("failed", error=FAILURE)
    assert world.cloud.jobs.stopped == []


def test_a_run_that_ends_well_stops_nothing(world: World) -> None:
    assert world.play() == "registered"
    assert world.cloud.jobs.stopped == []


def test_a_run_that_does_not_exist_is_ignored(world: World) -> None:
    """An execution that a person started under any name, or one of a stack that was here before."""
    before = dict(world.cloud.catalog.items)
    world.cloud.build_requests.sent.clear()
    payload = {"pipeline": "reviews", "run_id": "reviews-00099", "status": "failed", "error": FAILURE}
    assert world.invoke("finish_run", payload) == {"status": "ignored"}
    arn = fakes.arn("states", "execution:sluice-build:by-hand")
    detail = {"executionArn": arn, "name": "by-hand", "stateMachineArn": "arn:machine"}
    assert world.invoke("finish_run", {"detail": detail}) == {"status": "ignored"}
    assert world.cloud.catalog.items == before
    assert world.cloud.build_requests.sent == []
