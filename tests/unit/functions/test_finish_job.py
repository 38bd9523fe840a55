"""A waiting task is answered once, by what SageMaker says of the job, whatever events come."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

import fakes
from build_world import RUN, Invoke, TaskFailed, World, ended
from sluice.catalog import keys
from sluice.catalog.changes import Change, Update, builds
from sluice.services.build import concluding


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    return World.of_prepared_run(cloud, invoke)


def test_a_completed_job_answers_with_its_result(world: World) -> None:
    result = world.job("train-0", hyperparameters={})
    assert result["metrics"] == {"accuracy": 0.8}
    assert result["model_uri"] == result["outputs"]["model"]
    assert result["model_uri"].endswith(f"sluice--{RUN}-train-0/output/model.tar.gz")
    recorded = world.cloud.catalog.get(keys.step_key(RUN, "train-0")) or {}
    assert recorded["metrics"] == {"accuracy": 0.8}
    assert recorded["ended_at"] == result["ended_at"]


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_a_job_that_ends_otherwise_fails_its_task_with_the_reason(world: World, status: str) -> None:
    token = world.start("prepare")
    world.end("prepare", status=status, FailureReason="AlgorithmError: no such file")
    with pytest.raises(
        TaskFailed, match=f"JobFailedError: sluice--{RUN}-prepare: AlgorithmError: no such file"
    ):
        world.answer(token)
    recorded = world.cloud.catalog.get(keys.step_key(RUN, "prepare")) or {}
    assert (recorded["status"], recorded["failure_reason"]) == (status, "AlgorithmError: no such file")


def test_the_event_five_times_is_one_answer_and_one_timeline_entry(world: World) -> None:
    world.job("prepare")
    for _ in range(4):
        assert world.invoke("finish_job", ended(f"sluice--{RUN}-prepare")) == {"status": "ignored"}
    assert len(world.cloud.workflows.answers) == 1
    assert world.events().count("prepare completed") == 1


def test_an_event_is_a_hint_and_the_description_counts(world: World) -> None:
    world.start("prepare")
    assert world.invoke("finish_job", ended(f"sluice--{RUN}-prepare")) == {"status": "waiting"}
    assert world.cloud.workflows.answers == []
    world.end("prepare")
    assert len(world.cloud.workflows.answers) == 1


def test_somebody_elses_job_is_ignored(world: World) -> None:
    assert world.invoke("finish_job", ended("somebody-elses")) == {"status": "ignored"}


def test_what_a_jobs_name_says_counts_if_its_task_says_the_same(world: World) -> None:
    world.start("prepare")
    name = f"sluice--{RUN}-prepare"
    task, found = concluding.find(world.cloud, name, "sagemaker")
    assert task is not None
    assert found is not None
    assert (found.task, found.step and found.step.step) == (task, "prepare")
    assert concluding.find(world.cloud, name, "lambda") == (task, None)
    for another in (replace(task, step="train-0"), replace(task, run_id="reviews-00009")):
        world.cloud.catalog.apply(builds.await_job(another))
        assert concluding.find(world.cloud, name, "sagemaker") == (another, None)


def test_a_crash_after_the_answer_is_made_good_by_the_retry(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = world.start("prepare")
    apply = world.cloud.catalog.apply

    def crash_on_close(*changes: Change) -> bool:
        if any(isinstance(change, Update) and change.set.get("status") == "done" for change in changes):
            raise RuntimeError
        return apply(*changes)

    with monkeypatch.context() as patched:
        patched.setattr(world.cloud.catalog, "apply", crash_on_close)
        with pytest.raises(RuntimeError):
            world.end("prepare")
    assert world.answer(token)["status"] == "Completed"
    world.invoke("finish_job", ended(f"sluice--{RUN}-prepare"))
    assert world.cloud.catalog.listing(keys.TASKS) == []
    assert len(world.cloud.workflows.answers) == 1


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            {"train": b"1\n", "test": b"1\n"},
            "no file to /opt/ml/processing/validation, which train's script reads",
        ),
        (
            {"train": b"", "validation": b"1\n", "test": b"1\n"},
            "only empty files (a.csv) to /opt/ml/processing/train",
        ),
        (
            {"train": b"1\n", "validation": b"1\n"},
            "no file to /opt/ml/processing/test, which evaluate's script reads",
        ),
    ],
)
def test_a_split_that_prepare_left_empty_fails_prepare_and_not_what_reads_it(
    world: World, written: dict[str, bytes], said: str
) -> None:
    token = world.start("prepare")
    for output in world.request(name := f"sluice--{RUN}-prepare")["ProcessingOutputConfig"]["Outputs"]:
        if (split := output["OutputName"]) in written:
            world.cloud.objects.write(f"{output['S3Output']['S3Uri']}/a.csv", written[split])
    world.cloud.job_logs.by_job[name] = ["read 0 rows"]
    world.cloud.jobs.end(name, "Completed")
    world.invoke("finish_job", ended(name))
    with pytest.raises(TaskFailed, match=re.escape(said)):
        world.answer(token)
    step = world.cloud.catalog.get(keys.step_key(RUN, "prepare")) or {}
    assert (step["status"], step["log_tail"]) == ("Failed", ["read 0 rows"])
    assert world.cloud.catalog.listing(keys.TASKS) == []


def start_and_write(world: World) -> str:
    """Start `prepare`, and write all that it should; returns the task's token."""
    token = world.start("prepare")
    for output in world.request(f"sluice--{RUN}-prepare")["ProcessingOutputConfig"]["Outputs"]:
        world.cloud.objects.write(f"{output['S3Output']['S3Uri']}/rows.csv", b"1\n")
    return token


def test_what_no_state_waits_for_comes_after_the_answer_and_before_the_task_is_closed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_and_write(world)
    world.remembers = True
    effects = list[str]()
    apply, succeed = world.cloud.catalog.apply, world.cloud.workflows.succeed

    def applied(*changes: Change) -> bool:
        effects.extend(change.key["sk"].partition("#")[0] for change in changes)
        return apply(*changes)

    def succeeded(token: str, output: Mapping[str, Any]) -> bool:
        effects.append("answer")
        return succeed(token, output)

    monkeypatch.setattr(world.cloud.catalog, "apply", applied)
    monkeypatch.setattr(world.cloud.workflows, "succeed", succeeded)
    world.end("prepare")
    assert effects == ["STEP", "answer", "TIMELINE", "CACHE", "TASK"]


def test_a_crash_right_after_the_answer_is_made_good_for_the_timeline_and_the_cache(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = start_and_write(world)

    def crash(*_: object, **__: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(concluding, "noting", crash)
        with pytest.raises(RuntimeError):
            world.end("prepare")
    assert world.answer(token)["status"] == "Completed"
    world.invoke("finish_job", ended(f"sluice--{RUN}-prepare"))
    assert world.events().count("prepare completed") == 1
    recorded = world.cloud.catalog.get(keys.step_key(RUN, "prepare")) or {}
    assert world.cloud.catalog.get(keys.cache_key("reviews", recorded["cache_key"]))
    assert world.cloud.catalog.listing(keys.TASKS) == []
    assert len(world.cloud.workflows.answers) == 1


def test_a_task_whose_execution_is_gone_is_closed_in_silence(world: World) -> None:
    world.cloud.workflows.expired_tokens.add(world.start("prepare"))
    world.end("prepare")
    assert world.cloud.workflows.answers == []
    assert world.cloud.catalog.listing(keys.TASKS) == []


def test_a_metric_that_is_no_number_is_reported_as_none(world: World) -> None:
    token = world.start("train-0", hyperparameters={})
    metric = {"MetricName": "accuracy", "Value": float("nan")}
    world.end("train-0", FinalMetricDataList=[metric])
    assert world.answer(token)["status"] == "Completed"
    assert (world.cloud.catalog.get(keys.step_key(RUN, "train-0")) or {})["metrics"] == {"accuracy": None}


def test_a_job_that_never_came_to_be_is_given_up_after_an_hour(world: World) -> None:
    token = world.start("prepare")
    world.cloud.jobs.descriptions.clear()
    assert world.invoke("finish_job", ended(f"sluice--{RUN}-prepare")) == {"status": "waiting"}
    world.later(hours=2)
    assert world.invoke("finish_job", ended(f"sluice--{RUN}-prepare")) == {"status": "given up"}
    with pytest.raises(TaskFailed, match=f"there is no processing job sluice--{RUN}-prepare"):
        world.answer(token)


BARE = "AlgorithmError: , exit code: 1"


def test_a_failed_script_s_last_lines_are_kept_and_its_last_words_are_the_reason(world: World) -> None:
    log = [*map(str, range(30)), "ValueError: C is None", ""]
    world.cloud.job_logs.by_job[f"sluice--{RUN}-prepare"] = log
    token = world.start("prepare")
    world.end("prepare", status="Failed", ExitMessage=BARE)
    said = "AlgorithmError: the script ended with exit code 1: ValueError: C is None"
    with pytest.raises(TaskFailed, match=said):
        world.answer(token)
    step = world.step("prepare")
    assert step["failure_reason"] == said
    assert step["log_tail"] == log[-20:]


def test_a_description_may_have_the_last_lines_itself(world: World) -> None:
    world.start("prepare")
    world.end("prepare", status="Failed", ExitMessage=BARE, LogTail=["killed by the script"])
    assert world.step("prepare")["failure_reason"].endswith("exit code 1: killed by the script")


LEFT = "ended 1 process that the script left running: sleep"


def test_what_a_script_left_running_is_said_with_its_log_though_it_completed(world: World) -> None:
    world.start("prepare")
    world.end("prepare", LeftBehind=LEFT, LogTail=["done", LEFT])
    step = world.step("prepare")
    assert (step["status"], step["left_behind"], step["log_tail"]) == ("Completed", LEFT, ["done", LEFT])
    assert "failure_reason" not in step
    assert [each["detail"] for each in world.timeline() if each["event"] == "prepare completed"] == [LEFT]


def test_what_a_script_left_running_is_not_why_it_failed(world: World) -> None:
    world.start("prepare")
    world.end("prepare", status="Failed", ExitMessage=BARE, LogTail=["no rows", LEFT], LeftBehind=LEFT)
    step = world.step("prepare")
    assert step["failure_reason"].endswith("exit code 1: no rows")
    assert (step["left_behind"], step["log_tail"]) == (LEFT, ["no rows", LEFT])


def test_a_completed_job_s_log_is_not_read(world: World) -> None:
    world.cloud.job_logs.by_job[f"sluice--{RUN}-prepare"] = ["fine"]
    assert "log_tail" not in world.job("prepare")
