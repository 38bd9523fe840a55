"""A command that takes a run takes a pipeline for its newest run, and says which that is."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

import fakes
from build_world import PIPELINE, ROWS, RUN, Invoke, World
from command_world import Stack
from sluice_cli import log_streams, main
from sluice_cli.errors import EXIT_USAGE, CommandError
from sluice_cli.options import Options

SECOND = "reviews-00002"


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(Options, "target", lambda _: Stack(cloud))
    monkeypatch.setattr(log_streams, "step_log", lambda target, step: [step["job_name"]])
    world = World(cloud, invoke)
    world.push()
    return world


@pytest.fixture
def twice(world: World) -> World:
    """A pipeline of two runs."""
    world.build("a.csv")
    world.later(hours=1)
    world.build("b.csv", ROWS + b"3,1\n")
    return world


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main.app, arguments)


@pytest.mark.usefixtures("twice")
@pytest.mark.parametrize("command", [["run"], ["cost"], ["candidates"], ["logs"], ["report", "--gates"]])
def test_a_pipeline_is_taken_for_its_newest_run(command: list[str]) -> None:
    result = call(*command, PIPELINE, "--json")
    assert result.exit_code == 0, result.output
    assert result.stdout == call(*command, SECOND, "--json").stdout
    assert result.stdout != call(*command, RUN, "--json").stdout
    assert f"the newest run of {PIPELINE}: {SECOND}\n" in result.stderr


@pytest.mark.usefixtures("twice")
def test_a_run_is_compared_with_the_newest_one() -> None:
    assert json.loads(call("compare", RUN, PIPELINE, "--json").stdout)["runs"] == [RUN, SECOND]
    same = call("compare", SECOND, PIPELINE).exception
    assert f"{SECOND} was named each time" in str(same)


@pytest.mark.usefixtures("twice")
def test_what_acts_on_a_run_takes_the_newest_one_too() -> None:
    for command in ("stop", "retry"):
        refused = call(command, PIPELINE).exception
        assert isinstance(refused, CommandError)
        assert SECOND in str(refused)


@pytest.mark.usefixtures("world")
def test_a_pipeline_without_runs_and_an_unknown_name_are_told_apart() -> None:
    none_yet, unknown = (call("run", name).exception for name in (PIPELINE, "revews"))
    assert isinstance(none_yet, CommandError)
    assert isinstance(unknown, CommandError)
    assert (str(none_yet), none_yet.exit_code) == (f"{PIPELINE} has no runs yet", EXIT_USAGE)
    assert "sluice upload" in none_yet.hint
    assert (str(unknown), unknown.exit_code) == (
        "there is no run 'revews'; did you mean 'reviews'?",
        EXIT_USAGE,
    )
    assert PIPELINE in unknown.hint
