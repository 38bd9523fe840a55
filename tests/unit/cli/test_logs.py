"""`sluice logs` prints what jobs wrote, also while they write it, over a stack of fakes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import fakes
from build_world import RUN, Invoke, World
from command_world import Stack
from sluice.catalog.changes import builds
from sluice.catalog.records.builds import Step
from sluice_cli import main
from sluice_cli.errors import CommandError
from sluice_cli.options import Options

GROUP = "/aws/sagemaker/TrainingJobs"


class AbsentError(Exception):
    pass


class Logs:
    """CloudWatch Logs with streams by group and name; `then` is what happens between two looks."""

    exceptions = type("Exceptions", (), {"ResourceNotFoundException": AbsentError})

    def __init__(self) -> None:
        self.streams: dict[tuple[str, str], list[str]] = {}

    def write(self, job: str, *lines: str, group: str = GROUP) -> None:
        self.streams.setdefault((group, f"{job}/algo-1"), []).extend(lines)

    def describe_log_streams(self, logGroupName: str, logStreamNamePrefix: str = "") -> Any:
        assert logGroupName, "botocore refuses a group without a name"
        if logGroupName not in {group for group, _ in self.streams}:
            raise AbsentError
        named = [name for group, name in self.streams if group == logGroupName]
        return {"logStreams": [{"logStreamName": n} for n in named if n.startswith(logStreamNamePrefix)]}

    def get_log_events(
        self, logGroupName: str, logStreamName: str, startFromHead: bool, nextToken: str = "f/0"
    ) -> Any:
        lines, start = self.streams[logGroupName, logStreamName], int(nextToken.removeprefix("f/"))
        # A page holds two lines.
        events = [{"message": f"{line}\n"} for line in lines[start : start + 2]]
        return {"events": events, "nextForwardToken": f"f/{start + len(events)}"}

    def get_paginator(self, _: str) -> Any:
        pages = lambda **given: [self.describe_log_streams(**given)]  # noqa: E731
        return type("Paginator", (), {"paginate": staticmethod(pages)})


class Logging(Stack):
    """A stack whose only client is that of the logs."""

    def __init__(self, cloud: fakes.Cloud, logs: Logs) -> None:
        super().__init__(cloud)
        self.logs = logs

    def client(self, service: str) -> Any:
        return self.logs


@pytest.fixture
def logs() -> Logs:
    return Logs()


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke, logs: Logs, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(Options, "target", lambda _: Logging(cloud, logs))
    return World.of_prepared_run(cloud, invoke)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main.app, ["logs", *arguments], catch_exceptions=False)


def meanwhile(monkeypatch: pytest.MonkeyPatch, *happens: Callable[[], object]) -> list[float]:
    """Let these happen, one between each two looks; what is listed is how long was waited."""
    left, waited = list(happens), list[float]()

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if left:
            left.pop(0)()

    monkeypatch.setattr("time.sleep", sleep)
    return waited


def job(step: str) -> str:
    return f"sluice--{RUN}-{step}"


def test_a_step_is_given_as_an_argument_or_an_option(world: World, logs: Logs) -> None:
    for step in ("train-0", "train-1"):
        world.job(step)
        logs.write(job(step), f"{step} one", "two", "three")
    for given in (["train-1"], ["--step", "train-1"], ["train-1", "--step", "train-1"]):
        assert call(RUN, *given).stdout.splitlines() == ["train-1", "train-1 one", "two", "three"]
    assert "train-0 one" in call(RUN).stdout
    with pytest.raises(CommandError, match="two steps"):
        call(RUN, "train-0", "--step", "train-1")


def with_a_pipeline(world: World) -> None:
    """Let the run have had an execution of SageMaker, which has no log, and its training job."""
    execution = Step(RUN, "pipeline", "Completed", "pipeline_execution", job_name="execution")
    trained = Step(RUN, "pipeline-Train", "Completed", "training_job", job_name="pipeline-Train-job")
    for made in (execution, trained):
        world.cloud.catalog.apply(builds.record_step(replace(made, backend="pipelines")))


def test_of_a_pipeline_of_sagemaker_its_jobs_have_logs_and_its_execution_has_none(
    world: World, logs: Logs
) -> None:
    with_a_pipeline(world)
    logs.write("pipeline-Train-job", "validation accuracy: 0.9")
    assert call(RUN).stdout.splitlines() == ["pipeline-Train", "validation accuracy: 0.9"]
    world.finish("failed", reasons=["x"])
    followed = call(RUN, "--follow").stdout.splitlines()
    assert followed == ["pipeline-Train", "validation accuracy: 0.9"]
    with pytest.raises(CommandError, match="the step 'pipeline' writes no log"):
        call(RUN, "pipeline")


def test_a_step_of_a_pipeline_of_sagemaker_is_waited_for(
    world: World, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs.write("pipeline-Train-job", "one")
    meanwhile(monkeypatch, lambda: with_a_pipeline(world))
    lines = [json.loads(line) for line in call(RUN, "pipeline-Train", "-f", "--json").stdout.splitlines()]
    assert lines == [{"name": "pipeline-Train", "line": "one"}]


def test_lines_are_followed_as_they_come_until_the_step_ends(
    world: World, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.start("train-0")
    logs.write(job("train-0"), "one")
    waited = meanwhile(
        monkeypatch,
        lambda: logs.write(job("train-0"), "two", "three", "four"),
        lambda: world.end("train-0"),
        # CloudWatch is late.
        lambda: logs.write(job("train-0"), "five"),
    )
    assert call(RUN, "train-0", "--follow").stdout.splitlines() == [
        "train-0", "one", "two", "three", "four", "five",
    ]  # fmt: skip
    assert 3 <= len(waited) <= 6


def test_a_step_that_is_to_come_is_waited_for(
    world: World, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start_and_end() -> None:
        world.job("train-1")
        logs.write(job("train-1"), "one")

    meanwhile(monkeypatch, start_and_end)
    lines = [json.loads(line) for line in call(RUN, "train-1", "-f", "--json").stdout.splitlines()]
    assert lines == [{"name": "train-1", "line": "one"}]


def test_all_of_a_run_is_followed_to_its_end_with_a_head_where_another_log_goes_on(
    world: World, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.start("train-0")
    world.start("train-1")
    logs.write(job("train-0"), "a")
    logs.write(job("train-1"), "b")
    meanwhile(
        monkeypatch,
        lambda: logs.write(job("train-0"), "c"),
        lambda: world.finish("failed", error={"Error": "E", "Cause": "c"}),
    )
    assert call(RUN, "--follow").stdout.splitlines() == ["train-0", "a", "train-1", "b", "train-0", "c"]


def test_ctrl_c_ends_it_without_a_message(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    world.start("train-0")
    meanwhile(monkeypatch, interrupt)
    result = call(RUN, "--follow")
    assert (result.exit_code, result.stdout) == (130, "")


def test_a_step_that_no_run_has_is_not_waited_for(world: World) -> None:
    with pytest.raises(CommandError, match="has no step 'trian-0'"):
        call(RUN, "trian-0", "--follow")
    world.finish("failed", error={"Error": "E", "Cause": "c"})
    with pytest.raises(CommandError, match="has no step 'train-7'"):
        call(RUN, "train-7", "--follow")


@pytest.mark.parametrize("step", ["train-7", "pipeline-Evaluate"])
def test_a_step_that_was_waited_for_and_never_came_is_an_error(
    world: World, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    meanwhile(monkeypatch, lambda: world.finish("failed", error={"Error": "E", "Cause": "c"}))
    with pytest.raises(CommandError, match=f"has no step '{step}'"):
        call(RUN, step, "--follow")


def test_the_execution_of_a_pipeline_of_sagemaker_is_not_followed_in_silence(world: World) -> None:
    with_a_pipeline(world)
    with pytest.raises(CommandError, match="the step 'pipeline' writes no log"):
        call(RUN, "pipeline", "--follow")


def test_a_regex_that_matched_nothing_is_shown_with_the_lines_it_was_held_against(
    world: World, logs: Logs
) -> None:
    world.accuracies = {"train-1": 0.9}
    for step in ("train-0", "train-1"):
        world.job(step)
        logs.write(job(step), "accuracy is 0.8")
    version = world.catalog_run()["dataset_version"]
    world.invoke("select_candidate", {**world.common(), "dataset_version": version})
    result = CliRunner().invoke(main.app, ["run", RUN], catch_exceptions=False)
    assert 'no line of the log matches the regex "accuracy: ([0-9.]+)"' in result.stdout
    assert "the log of train-0 ends:\n    accuracy is 0.8\n" in result.stdout
    assert "the log of train-1" not in result.stdout
