"""What the command line says before it talks to any cloud."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from sluice.domain import projects
from sluice_cli import main, project, target
from sluice_cli.errors import CommandError

COMMANDS = sorted(
    name
    for name, command in typer.main.get_command(main.app).commands.items()  # type: ignore[attr-defined]
    if not hasattr(command, "commands")
)


@pytest.fixture(autouse=True)
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No local cloud, no AWS credentials, no region."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    result = CliRunner().invoke(main.app, [command, "--help"])
    assert result.exit_code == 0
    assert f"Example: sluice {command}" in result.output.replace("`", "")
    assert "--json" in result.output


def test_the_commands_a_user_was_promised_are_there() -> None:
    promised = "up down push upload runs run models approve reject status predict rollback logs demo init"
    assert set(COMMANDS) >= set(promised.split())


@pytest.mark.parametrize("command", [["runs"], ["models"], ["status"], ["approve", "x/1"], ["push", "."]])
def test_without_a_cloud_a_command_says_how_to_get_one(command: list[str]) -> None:
    result = CliRunner().invoke(main.app, command)
    assert isinstance(result.exception, CommandError)
    assert result.exception.exit_code == 2
    assert "sluice up" in result.exception.hint


def test_a_stale_ready_file_is_no_running_cloud(empty_home: Path) -> None:
    state = empty_home / "local"
    state.mkdir()
    (state / "ready.json").write_text(json.dumps({"pid": 2**22 + 1, "endpoint_url": "http://127.0.0.1:1"}))
    assert target.local_cloud() is None


def test_a_running_cloud_is_chosen_and_a_profile_overrules_it(empty_home: Path) -> None:
    state = empty_home / "local"
    state.mkdir()
    ready = {"pid": os.getpid(), "endpoint_url": "http://127.0.0.1:1", "region": "us-east-1"}
    (state / "ready.json").write_text(json.dumps(ready))
    chosen = target.resolve(stack=None, profile=None, region=None)
    assert chosen.description == "local cloud http://127.0.0.1:1, stack sluice"
    with pytest.raises(CommandError, match="profile"):
        target.resolve(stack=None, profile="nobody", region=None)


def test_what_aws_lacks_is_named_beside_a_running_local_cloud_too(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CommandError, match=r"no local cloud is running, and .* credentials and a region"):
        target.resolve(stack=None, profile=None, region=None)
    monkeypatch.setattr(target, "local_cloud", lambda: {"endpoint_url": "http://127.0.0.1:1"})
    with pytest.raises(CommandError, match=r"^the AWS configuration lacks credentials$") as caught:
        target.resolve(where="aws", stack=None, profile=None, region="eu-west-1")
    assert "--aws" in caught.value.hint


def test_a_copied_example_is_a_valid_project_of_its_own_name(tmp_path: Path) -> None:
    folder = project.init("my-model", "reviews", tmp_path)
    loaded = projects.load_project(project.read_folder(folder))
    assert loaded.config.name == "my-model"
    with pytest.raises(CommandError, match="exists already"):
        project.init("my-model", "reviews", tmp_path)


def test_an_unknown_example_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"there is: .*reviews"):
        project.init("my-model", "nothing", tmp_path)


def test_a_folder_without_pipeline_yaml_is_not_pushed(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"no pipeline\.yaml"):
        project.read_folder(tmp_path)
