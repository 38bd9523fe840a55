"""The steps of a project's workflow, as a runner takes them: what they check, and what they push."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from sluice.services.views import runs
from sluice_cli import project
from sluice_cli.target import Target
from sluice_local.settings import REPOSITORY

pytestmark = pytest.mark.thorough


@pytest.fixture
def runner(tmp_path: Path) -> Path:
    folder = tmp_path / "runner"
    folder.mkdir()
    return folder


def check_out(runner: Path, name: str) -> Path:
    """Put a new project where the workflow has it."""
    return project.init(runner.parent / name, "deliveries", "github").rename(runner / "project")


def play(runner: Path, job: str, **variables: str) -> tuple[int, str]:
    """Run a job's commands, but for set-up, until one fails; the last one's exit code and output."""
    definition = yaml.safe_load((runner / "project" / project.WORKFLOWS["github"]).read_text())
    path = f"{REPOSITORY / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
    commands = [step["run"] for step in definition["jobs"][job]["steps"] if "run" in step]
    code, output = 0, ""
    for command in commands:
        if code == 0 and not command.startswith(("make ", "echo ")):
            done = subprocess.run(
                ["bash", "-e", "-c", command],
                cwd=runner,
                env={**os.environ, **definition["env"], **variables, "PATH": path},
                capture_output=True,
                text=True,
                timeout=300,
            )
            code, output = done.returncode, done.stdout + done.stderr
    return code, output


def test_a_change_whose_model_passes_its_gates_is_checked_and_pushed(stack: Target, runner: Path) -> None:
    check_out(runner, "parcels")
    code, output = play(runner, "check", SLUICE_STACK=stack.stack)
    assert code == 0, output
    (run,) = runs.runs(stack.cloud, "parcels")
    assert run["status"] == "registered"
    # In AWS's place is the same cloud, reached as AWS is: by credentials and a region.
    assert stack.endpoint_url is not None
    aws = {"AWS_ENDPOINT_URL": stack.endpoint_url, "AWS_REGION": "us-east-1"}
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    code, output = play(runner, "push", SLUICE_STACK=stack.stack, **aws, **keys)
    assert code == 0, output


def test_a_change_whose_model_a_gate_refuses_fails_the_check(stack: Target, runner: Path) -> None:
    settings = check_out(runner, "crates") / "pipeline.yaml"
    settings.write_text(
        settings.read_text().replace("metrics.auc.value >= 0.72", "metrics.auc.value >= 0.99")
    )
    code, output = play(runner, "check", SLUICE_STACK=stack.stack)
    assert code == 3, output
    assert "metrics.auc.value >= 0.99" in output
