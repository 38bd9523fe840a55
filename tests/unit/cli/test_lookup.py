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

    def play(world: World) -> None:
        world.build("a.csv")
        world.later(hours=1)
        world.build("b.csv", ROWS + b"3,1\n")

    return world.begin("twice", play)


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


@pytest.mark.usefixtures("twice")
@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (f"run {PIPELINE}-2", SECOND),
        (f"run {PIPELINE}-0002", SECOND),
        ("cost reveiws-00002", SECOND),
        (f"retry {PIPELINE}-00022", SECOND),
        ("runs reveiws", PIPELINE),
        (f"approve {PIPELINE}/22", f"{PIPELINE}/2"),
        (f"lineage --object {PIPELINE}/aa.csv", f"{PIPELINE}/a.csv"),
        (f"recall {PIPELINE}/bb.csv", f"{PIPELINE}/b.csv"),
        ("data release reveiws/b.csv", f"{PIPELINE}/b.csv"),
        (f"logs {SECOND} trian-0", "train-0"),
        ("logs --function start_biuld", "start_build"),
        ("init new --example review", "reviews"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(typed: str, meant: str) -> None:
    error = call(*typed.split()).exception
    assert isinstance(error, CommandError), error
    assert str(error).endswith(f"; did you mean {meant!r}?")
    assert error.exit_code == EXIT_USAGE


@pytest.mark.usefixtures("twice")
def test_digits_of_a_data_set_suggest_the_nearest_version() -> None:
    version = json.loads(call("dataset", "list", PIPELINE, "--json").stdout)[0]["dataset_version"]
    typed = version[:11] + ("0" if version[11] != "0" else "1")
    error = call("dataset", "show", PIPELINE, typed).exception
    assert str(error) == f"no data set version begins with {typed}; did you mean {version[:12]!r}?"


@pytest.mark.usefixtures("twice")
def test_a_model_in_place_of_a_run_leads_to_its_run() -> None:
    error = call("run", f"{PIPELINE}/2").exception
    assert isinstance(error, CommandError)
    assert error.hint == f"Its run is {SECOND}."


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("dataset my-model", "; did you mean `sluice dataset list my-model`?"),
        ("monitor my-model", "; did you mean `sluice monitor show my-model`?"),
        ("manifest my-model", "; did you mean `sluice manifest show my-model`?"),
        ("gates my-model", "; did you mean `sluice gates backtest my-model`?"),
        ("notify my-model", " no command 'my-model'"),
    ],
)
def test_a_pipeline_in_place_of_a_command_leads_to_one_that_takes_it(typed: str, meant: str) -> None:
    result = CliRunner().invoke(main.app, typed.split(), prog_name="sluice")
    assert isinstance(result.exception, CommandError)
    assert str(result.exception).endswith(meant)
    # What is similar to a command is typer's to suggest.
    assert CliRunner().invoke(main.app, ["dataset", "lst"]).exit_code == EXIT_USAGE
