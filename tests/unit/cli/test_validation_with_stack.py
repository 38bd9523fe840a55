"""`sluice validate` judges with what a stack has, or says what it could not judge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner

import fakes
from build_world import PIPELINE_YAML, ROWS, Invoke, World
from command_world import Stack
from sluice_cli import main, stack_data, validation
from sluice_cli.errors import EXIT_USAGE, CommandError
from sluice_cli.options import Options
from sluice_cli.target import Target

CONTRACT = PIPELINE_YAML.replace(
    "  label: y",
    "  label: y\n  drift: {max: 0.2}\n  keys: [[x, y]]\n  quality: [{check: row_count, max_change: 0.9}]",
)


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    (tmp_path / "pipeline.yaml").write_text(CONTRACT)
    monkeypatch.chdir(tmp_path)
    world = World(cloud, invoke)
    world.push(pipeline=CONTRACT.encode())
    return world


def validate(
    monkeypatch: pytest.MonkeyPatch, cloud: fakes.Cloud | None, name: str, body: bytes, *more: str
) -> dict[str, Any]:
    Path(name).write_bytes(body)
    found = cast(Target, Stack(cloud)) if cloud else None
    monkeypatch.setattr(validation, "local_cloud", lambda: {} if cloud else None)
    monkeypatch.setattr(Options, "target", lambda options: found)
    result = CliRunner().invoke(main.app, ["validate", name, "--json", *more])
    if isinstance(result.exception, CommandError):
        raise result.exception
    assert result.exit_code in (0, 3), result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def test_without_a_stack_it_is_said_what_was_not_judged(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = validate(monkeypatch, None, "b.csv", ROWS)
    assert answer["is_valid"]
    assert answer["judged_with"] is None
    about = [sentence.partition(":")[0].partition(",")[0] for sentence in answer["not_judged"]]
    assert about == ["what is about all rows", "max_change of row_count", "drift"]


def test_with_a_stack_the_files_join_its_data_set_and_have_its_baseline(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = validate(monkeypatch, world.cloud, "b.csv", ROWS)
    assert answer["judged_with"] == "reviews has no data set yet in stack sluice"
    assert world.build("a.csv", b"x,y\n1,0\n2,1\n3,1\n") == "registered"
    answer = validate(monkeypatch, world.cloud, "b.csv", b"x,y\n1,0\n4,1\n")
    assert (answer["is_valid"], answer["rows"], answer["not_judged"]) == (False, 5, [])
    assert answer["reasons"][0].startswith("x, y: 1 row with values that occur together before")
    assert "with its 1 other object" in answer["judged_with"]
    # What takes an object's place is judged without it.
    answer = validate(monkeypatch, world.cloud, "a.csv", ROWS)
    assert (answer["is_valid"], answer["rows"]) == (True, 2)
    alone = validate(monkeypatch, world.cloud, "b.csv", b"x,y\n1,0\n4,1\n", "--alone")
    assert (alone["is_valid"], alone["rows"], len(alone["not_judged"])) == (True, 2, 3)


def test_in_mode_replace_the_files_are_judged_by_themselves_with_the_baseline(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = CONTRACT.replace("  label: y", "  label: y\n  mode: replace")
    Path("pipeline.yaml").write_text(text)
    world.later(minutes=1)
    world.push(pipeline=text.encode())
    assert world.build("a.csv", b"x,y\n" + b"".join(b"%d,0\n" % x for x in range(90))) == "registered"
    answer = validate(monkeypatch, world.cloud, "b.csv", ROWS)
    assert answer["reasons"] == ["2 rows after 90, a change of 0.977778, more than 0.9"]
    assert answer["judged_with"].endswith("which the files replace")


def test_a_pinned_version_without_a_profile_is_refused_as_the_stack_would_fail(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert world.build("a.csv") == "registered"
    pinned = "ab" * 32
    Path("pipeline.yaml").write_text(CONTRACT.replace("{max: 0.2}", f"{{max: 0.2, baseline: {pinned}}}"))
    with pytest.raises(CommandError, match=f"data.drift.baseline is {pinned}, .*: a run of the stack would"):
        validate(monkeypatch, world.cloud, "b.csv", ROWS)
    Path("pipeline.yaml").write_text(CONTRACT)
    validate(monkeypatch, None, "b.csv", ROWS, "--output", "former")
    Path("pipeline.yaml").write_text(CONTRACT.replace("{max: 0.2}", f"{{max: 0.2, baseline: {pinned}}}"))
    answer = validate(monkeypatch, world.cloud, "b.csv", ROWS, "--baseline", "former/profile.json")
    assert not [sentence for sentence in answer["not_judged"] if sentence.startswith("drift")]


def test_a_pipeline_that_the_stack_has_not_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("pipeline.yaml").write_text(CONTRACT.replace("name: reviews", "name: others"))
    answer = validate(monkeypatch, world.cloud, "b.csv", ROWS)
    assert answer["judged_with"] == "stack sluice has no pipeline others"
    assert len(answer["not_judged"]) == 3
    said = CliRunner().invoke(main.app, ["validate", "b.csv"])
    assert "next: `sluice push .`, then upload" in said.stderr
    Path("pipeline.yaml").write_text(CONTRACT)
    said = CliRunner().invoke(main.app, ["validate", "b.csv"])
    assert "next: `sluice upload reviews b.csv`" in said.stderr


def test_a_large_data_set_is_not_fetched(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert world.build("a.csv") == "registered"
    monkeypatch.setattr(stack_data, "FETCHED_MAX_BYTES", 1)
    answer = validate(monkeypatch, world.cloud, "b.csv", ROWS)
    assert (answer["rows"], len(answer["not_judged"])) == (2, 1)
    assert "of which only the baseline was fetched" in answer["judged_with"]


def test_the_verdict_speaks_of_the_files_and_then_of_the_data_set(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert world.build("a.csv", b"x,y\n1,0\n2,1\n3,1\n") == "registered"
    answer = validate(monkeypatch, world.cloud, "b.csv", b"x,y\n4,1\n")
    assert (answer["file_rows"], answer["rows"]) == ({"b.csv": 1}, 4)
    assert (
        "valid: 1 row, 4 rows with the data set\n"
        in CliRunner().invoke(main.app, ["validate", "b.csv"]).stdout
    )
    alone = CliRunner().invoke(main.app, ["validate", "b.csv", "--alone"])
    assert "valid: 1 row\n" in alone.stdout


def test_a_file_of_which_nothing_can_be_read_is_told_apart_from_the_data_set(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert world.build("a.csv", b"x,y\n1,0\n2,1\n3,1\n") == "registered"
    validate(monkeypatch, world.cloud, "b.csv", b"x,y\n")
    Path("b.csv").write_bytes(b"")
    for more in ([], ["--alone"]):
        result = CliRunner().invoke(main.app, ["validate", "b.csv", *more])
        assert result.exit_code == EXIT_USAGE
        assert result.stdout.startswith("rejected: 0 rows")
        assert "b.csv is empty" in result.stdout


def test_a_pipeline_of_the_stack_is_named_in_place_of_its_folder(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("pipeline.yaml").unlink()
    answer = validate(monkeypatch, world.cloud, "b.csv", ROWS, "--pipeline", "reviews")
    assert answer["is_valid"]
    refused = CliRunner().invoke(main.app, ["validate", "b.csv", "--pipeline", "others"]).exception
    assert str(refused) == "there is no folder others"
