"""Jobs go to Lambda where they fit, say why, and to SageMaker once where they turn out not to."""

from __future__ import annotations

from typing import Any

import pytest

import fakes
import inline
from build_world import PIPELINE, PIPELINE_YAML, RUN, Invoke, TaskFailed, World
from sluice.catalog import keys
from sluice.catalog.records.builds import Environment, Step
from sluice.domain.failures import TransientError
from sluice.domain.safeguards import Safeguards
from sluice.ports import RequestRefusedError
from sluice.services.build import concluding, environments
from sluice.services.build.environments import Found

NAME = f"sluice--{RUN}-prepare"
PACKAGES = {"uri": f"s3://{fakes.ARTIFACT_BUCKET}/environments/abc.tar.zst", "digest": "abc"}


@pytest.fixture(autouse=True)
def packages(cloud: fakes.Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's packages are built, and there are functions for jobs."""
    cloud.lambda_jobs.largest_mb = 3008
    ready = Environment("spec", "ready", "2026-11-24T08:00:00.000Z", digest="abc", unpacked_bytes=1)
    monkeypatch.setattr(environments, "find", lambda *given: Found(ready))


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    return World.of_prepared_run(cloud, invoke)


def declared(cloud: fakes.Cloud, invoke: Invoke, compute: str) -> World:
    """A run whose prepare step has this compute."""
    text = PIPELINE_YAML.replace(
        "prepare: {script: src/prepare.py}", f"prepare: {{script: src/prepare.py, compute: {compute}}}"
    )
    return World.of_prepared_run(cloud, invoke, pipeline=text.encode())


def lost(order: str, secret: str, error: str) -> dict[str, Any]:
    """Lambda's record of an invocation that failed."""
    return {
        "version": "1.0",
        "requestContext": {"condition": "RetriesExhausted"},
        "requestPayload": {"name": order, "secret": secret},
        "responsePayload": {"errorType": "Runtime.ExitError", "errorMessage": error},
    }


KILLED = "RequestId: 1 Error: Runtime exited with error: signal: killed"


def test_a_small_job_runs_on_lambda_and_its_step_says_why(world: World) -> None:
    world.start("prepare")
    assert world.cloud.jobs.requests == {}
    room = world.cloud.lambda_jobs.rooms[NAME]
    assert (room.pipeline, room.memory_mb, room.environment) == (PIPELINE, 1769, PACKAGES)
    step = world.step("prepare")
    assert (step["status"], step["backend"]) == ("InProgress", "lambda")
    assert step["backend_reason"].startswith("lambda: ")
    world.end("prepare", Usage={"billed_s": 1.5, "memory_mb": 1769})
    assert world.step("prepare")["status"] == "Completed"
    assert world.step("prepare")["usage"] == {"billed_s": 1.5, "memory_mb": 1769}


def test_a_run_on_lambda_leaves_no_role_and_deletes_none_that_it_had_not(world: World) -> None:
    world.job("prepare")
    world.job("train-0")
    world.finish("failed", error={"Error": "JobFailedError", "Cause": "no luck"})
    assert (world.cloud.roles.by_name, world.cloud.roles.denied) == ({}, [])


def test_no_job_is_ordered_whose_token_is_not_stored(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> bool:
        raise TransientError("the catalog does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(world.cloud.catalog, "apply", fail)
        with pytest.raises(TransientError):
            world.start("prepare")
    assert world.cloud.lambda_jobs.ordered == []
    world.start("prepare")
    assert world.cloud.lambda_jobs.ordered == [NAME]


def test_no_packages_are_installed_in_a_job_that_has_them(cloud: fakes.Cloud, invoke: Invoke) -> None:
    world = World.of_prepared_run(cloud, invoke)
    world.start("prepare")
    entrypoint = cloud.lambda_jobs.requests[NAME]["AppSpecification"]["ContainerEntrypoint"]
    assert entrypoint == ["python3", "/opt/ml/processing/input/code/prepare.py"]


def test_without_packages_a_job_runs_on_sagemaker(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Found(problem="its packages are still being built")
    monkeypatch.setattr(environments, "find", lambda *given: found)
    world.start("prepare")
    assert world.step("prepare")["backend_reason"] == "sagemaker: its packages are still being built"
    assert world.cloud.lambda_jobs.requests == {}


def test_whoever_names_lambda_is_told_what_keeps_the_job_from_it(
    cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = declared(cloud, invoke, "{backend: lambda}")
    missing = Found(problem="numpy 1.24.1 has no wheel for Python 3.13 on x86_64")
    monkeypatch.setattr(environments, "find", lambda *given: missing)
    with pytest.raises(RequestRefusedError, match=r"is lambda, and numpy 1\.24\.1 has no wheel .*: set it"):
        world.start("prepare")


def test_whoever_names_lambda_gets_no_less_memory_than_was_asked_for(
    cloud: fakes.Cloud, invoke: Invoke
) -> None:
    world = declared(cloud, invoke, "{backend: lambda, memory_mb: 5000}")
    with pytest.raises(
        RequestRefusedError, match="is 5000, where the stack's LargeJobMemoryMB is 3008: set it"
    ):
        world.start("prepare")
    assert cloud.lambda_jobs.requests == {}


def test_whoever_names_sagemaker_gets_it(cloud: fakes.Cloud, invoke: Invoke) -> None:
    world = declared(cloud, invoke, "{backend: sagemaker}")
    world.start("prepare")
    assert world.step("prepare")["backend_reason"] == "sagemaker: pipeline.yaml says so"


def test_what_may_need_more_memory_than_the_stack_has_goes_to_sagemaker(
    cloud: fakes.Cloud, invoke: Invoke
) -> None:
    world = declared(cloud, invoke, "{memory_mb: 5000}")
    world.start("prepare")
    assert "LargeJobMemoryMB" in world.step("prepare")["backend_reason"]
    assert NAME in cloud.jobs.requests


def test_a_job_of_too_many_places_for_one_session_goes_to_sagemaker(world: World) -> None:
    world.cloud.lambda_jobs.too_long = "its session policy is too long"
    for _ in range(2):  # a retry stays there
        world.start("prepare")
        assert world.step("prepare")["backend_reason"] == "sagemaker: its session policy is too long"
    assert world.cloud.lambda_jobs.requests == {}
    assert NAME in world.cloud.jobs.requests


def test_an_account_without_network_for_jobs_runs_none_on_lambda(world: World) -> None:
    world.cloud.safeguards = Safeguards(isolates_jobs=True)
    world.start("prepare")
    assert world.step("prepare")["backend_reason"].startswith("sagemaker: the account")


def test_the_next_run_knows_what_the_last_one_needed(world: World) -> None:
    world.job("prepare")
    world.cloud.catalog.update(keys.step_key(RUN, "prepare"), {"usage": {"peak_memory_mb": 2000}})
    next_run(world)
    assert world.cloud.lambda_jobs.rooms["sluice--reviews-00002-prepare"].memory_mb == 3008


def test_the_next_run_of_more_data_has_room_for_them(world: World) -> None:
    world.job("prepare")
    step = world.step("prepare")
    assert step["data_bytes"] > 0
    # As if the data had grown by 200 MB since.
    grown = {"usage": {"peak_memory_mb": 1200}, "data_bytes": step["data_bytes"] - 200 * 2**20}
    world.cloud.catalog.update(keys.step_key(RUN, "prepare"), grown)
    next_run(world)
    assert "sluice--reviews-00002-prepare" not in world.cloud.lambda_jobs.requests
    said = (world.cloud.catalog.get(keys.step_key("reviews-00002", "prepare")) or {})["backend_reason"]
    assert said.startswith("sagemaker: a run before held 1,200 MB, so with ")


def next_run(world: World) -> None:
    """End the run after its prepare step, and begin another with a file more."""
    world.finish("failed", error={"Error": "x", "Cause": "y"})
    world.later(hours=2)
    world.upload("b.csv")
    world.later(minutes=2)
    world.ask()
    world.prepare_run("reviews-00002")
    world.start("prepare", "reviews-00002")


def limited(world: World) -> None:
    """Have Lambda end the step for want of storage, and SageMaker begin it."""
    world.start("prepare")
    world.cloud.lambda_jobs.end(
        NAME, status="Failed", LimitReached="storage", FailureReason="no space is left"
    )
    world.invoke("finish_job", {"source": "sluice", "detail": {"stack": "sluice", "JobName": NAME}})
    world.start("prepare")


@pytest.mark.parametrize("runs", [2, 3])
def test_what_reached_a_limit_of_lambda_goes_to_sagemaker_in_every_run_after(world: World, runs: int) -> None:
    limited(world)
    assert world.step("prepare")["backend"] == "sagemaker"
    next_run(world)
    second = world.cloud.catalog.get(keys.step_key("reviews-00002", "prepare")) or {}
    assert second["backend_reason"] == "sagemaker: a run before reached Lambda's limit of storage"
    assert "sluice--reviews-00002-prepare" not in world.cloud.lambda_jobs.requests
    if runs == 2:
        return
    world.finish("failed", "reviews-00002", reasons=["no reason"])
    world.upload("c.csv", b"x,y\n3,1\n")
    world.later(minutes=2)
    world.ask()
    world.prepare_run("reviews-00003")
    world.start("prepare", "reviews-00003")
    third = world.cloud.catalog.get(keys.step_key("reviews-00003", "prepare")) or {}
    assert third["backend_reason"] == second["backend_reason"]


def test_a_run_with_values_of_its_own_says_nothing_of_those_after(world: World) -> None:
    """One experiment too large for Lambda sent the pipeline to SageMaker until its next push."""
    values = {"prepare.parameters.seed": 7}
    world.cloud.catalog.update(keys.run_key("reviews", RUN), {"overrides": values})
    limited(world)
    next_run(world)
    assert world.cloud.lambda_jobs.requests["sluice--reviews-00002-prepare"]


# -------------------------------------------------------------------------------------------------- its end


def test_a_run_that_had_no_job_of_its_own_forgets_nothing(world: World) -> None:
    world.start("prepare")
    world.cloud.catalog.update(keys.step_key(RUN, "prepare"), {"usage": {"peak_memory_mb": 2000}})
    world.finish("failed", reasons=["no reason"])
    for number in ("reviews-00002", "reviews-00003"):
        world.upload(f"{number}.csv", b"x,y\n3,1\n")
        world.later(minutes=2)
        world.ask()
        world.prepare_run(number)
        if number == "reviews-00002":
            cached = {"run_id": RUN, "step": "prepare", "job_name": NAME}
            step = Step(number, "prepare", "Completed", "processing_job", cached=cached)
            world.cloud.catalog.create(step.item())
            world.finish("failed", number, reasons=["no reason"])
    world.start("prepare", "reviews-00003")
    assert world.cloud.lambda_jobs.rooms["sluice--reviews-00003-prepare"].memory_mb == 3008


def test_the_packages_of_a_job_on_lambda_are_part_of_what_it_depends_on(world: World) -> None:
    world.start("prepare")
    assert world.step("prepare")["cache_parts"]["packages"] == "abc"


def test_our_own_event_answers_the_task(world: World) -> None:
    token = world.start("prepare")
    world.write_splits()
    world.cloud.lambda_jobs.end(NAME)
    event = {"source": "sluice", "detail": {"stack": "sluice", "JobName": NAME}}
    assert world.invoke("finish_job", event) == {"status": "answered"}
    assert world.answer(token)["status"] == "Completed"


def test_a_function_that_died_fails_the_task_by_its_reason_and_sagemaker_runs_the_job(world: World) -> None:
    token = world.start("prepare")
    assert world.invoke("finish_job", lost(NAME, "the order's", KILLED)) == {"status": "answered"}
    with pytest.raises(TaskFailed, match=r"LambdaLimitError: .*want of memory"):
        world.answer(token)
    # SageMaker gets the job: there is nothing to change in pipeline.yaml.
    (failed,) = [entry for entry in world.timeline() if entry["event"] == "prepare failed"]
    assert failed["detail"] == "it was ended for want of memory"
    world.cloud.catalog.update(keys.step_key(RUN, "prepare"), {"left_behind": "ended 1 process"})
    again = world.start("prepare")
    step = world.step("prepare")
    assert (step["status"], step["backend"]) == ("InProgress", "sagemaker")
    assert "left_behind" not in step
    assert step["backend_reason"] == "sagemaker: on Lambda it was ended for want of memory"
    assert "failure_reason" not in step
    world.end("prepare")
    assert world.answer(again)["status"] == "Completed"


def test_an_end_on_lambda_that_is_told_twice_says_nothing_of_the_job_that_took_its_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.start("prepare")

    def moved_meanwhile(*given: object) -> list[str]:
        world.start("prepare")
        return []

    monkeypatch.setattr(concluding, "_log_tail", moved_meanwhile)
    world.invoke("finish_job", lost(NAME, "the order's", KILLED))
    step = world.step("prepare")
    assert (step["status"], step["backend"]) == ("InProgress", "sagemaker")
    assert "failure_reason" not in step
    assert "usage" not in step


def test_a_retry_after_the_move_stays_on_sagemaker(world: World) -> None:
    world.start("prepare")
    world.invoke("finish_job", lost(NAME, "the order's", KILLED))
    world.start("prepare")
    world.start("prepare")
    assert world.step("prepare")["backend"] == "sagemaker"
    assert len(world.cloud.jobs.requests) == 1


def test_who_does_not_know_the_order_s_secret_ends_no_job(world: World) -> None:
    world.start("prepare")
    assert world.invoke("finish_job", lost(NAME, "a guess", KILLED)) == {"status": "another order's"}
    assert world.step("prepare")["status"] == "InProgress"
    assert world.cloud.workflows.failures == []


def test_a_crash_is_no_limit_and_nothing_is_tried_again(world: World) -> None:
    token = world.start("prepare")
    world.invoke("finish_job", lost(NAME, "the order's", "RequestId: 1 Error: exit status 1"))
    with pytest.raises(TaskFailed, match=r"JobFailedError: .*exit status 1"):
        world.answer(token)


def test_whoever_names_lambda_is_told_what_to_do_about_its_limits(cloud: fakes.Cloud, invoke: Invoke) -> None:
    world = declared(cloud, invoke, "{backend: lambda}")
    token = world.start("prepare")
    world.invoke("finish_job", lost(NAME, "the order's", KILLED))
    with pytest.raises(TaskFailed, match=r"JobFailedError: .*compute\.backend to auto or sagemaker"):
        world.answer(token)


def test_reconcile_hears_of_an_end_that_nobody_told(world: World) -> None:
    world.start("prepare")
    world.cloud.lambda_jobs.end(NAME)
    world.invoke("reconcile", {})
    hints = [detail for _, detail, _ in world.cloud.bus.entries if detail.get("ProcessingJobName") == NAME]
    assert len(hints) == 1


def test_an_ended_run_stops_its_jobs_on_lambda(world: World) -> None:
    world.start("prepare")
    world.finish("failed", error={"Error": "States.Timeout", "Cause": "too long"})
    assert world.cloud.lambda_jobs.stopped == [NAME]
    assert world.cloud.jobs.stopped == []


# ----------------------------------------------------------------------------------------------- the machine


def test_the_build_as_it_is_deployed_moves_what_lambda_cannot_do(cloud: fakes.Cloud, invoke: Invoke) -> None:
    world = World(cloud, invoke)
    world.push()
    world.beyond_lambda = {"train-0", "evaluate-candidate"}
    assert world.build("a.csv") == "registered", world.catalog_run()
    steps = {
        item["sk"].removeprefix(keys.STEPS): item.get("backend")
        for item in cloud.catalog.query(keys.steps_partition(RUN), keys.STEPS)
        if item["kind"] in ("training_job", "processing_job")
    }
    assert steps == {
        "prepare": "lambda",
        "train-0": "sagemaker",
        "train-1": "lambda",
        "evaluate-candidate": "sagemaker",
    }
    assert inline.entered(world.execution)[-1] == "FinishRun"
    moved, stayed = world.step("train-0"), world.step("train-1")
    assert moved["lambda_usage"]["memory_mb"] >= 1769
    assert "instance_type" in moved["usage"]
    assert "lambda_usage" not in stayed
    assert world.catalog_run()["cost_usd"] > 0
