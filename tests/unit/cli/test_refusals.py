"""What SageMaker refuses is one sentence wherever a person reads of it; its own words are in the JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

import fakes
from build_world import PIPELINE, RUN, Invoke, World
from command_world import Stack
from sluice.domain import refusals
from sluice.domain.build.jobs import JobKind
from sluice.ports import RequestRefusedError
from sluice_cli import log_streams, main
from sluice_cli.options import Options

TYPES = ", ".join(f"ml.m5.{size}xlarge" for size in range(2, 200))
SAID = (
    "1 validation error detected: Value 'ml.m9.huge' at 'resourceConfig.instanceType' failed to satisfy "
    f"constraint: Member must satisfy enum value set: [ml.m5.large, {TYPES}]"
)
SENTENCE = "SageMaker has no instance type 'ml.m9.huge': name one such as ml.m5.large in pipeline.yaml"


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(Options, "target", lambda _: Stack(cloud))
    monkeypatch.setattr(log_streams, "step_log", lambda target, step: [])
    world = World(cloud, invoke)
    world.push()

    def refuse(kind: JobKind, request: Any) -> bool:
        raise RequestRefusedError(refusals.told(SAID))

    monkeypatch.setattr(cloud.jobs, "start", refuse)
    assert world.build("a.csv") == "failed"
    return world


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("command", [["run", RUN], ["runs", PIPELINE], ["status", PIPELINE]])
def test_a_refused_job_is_told_once_in_a_sentence(command: list[str]) -> None:
    result = CliRunner().invoke(main.app, command)
    assert result.exit_code == 0, result.output
    assert result.stdout.count(SENTENCE) == 1
    assert "ml.m5.17xlarge" not in result.stdout
    assert "the log of" not in result.stdout


@pytest.mark.usefixtures("world")
def test_its_own_words_are_in_the_json() -> None:
    (step,) = json.loads(CliRunner().invoke(main.app, ["run", RUN, "--json"]).stdout)["steps"]
    assert step["failure_reason"].startswith(SENTENCE)
    assert "ml.m5.199xlarge]" in step["failure_reason"]
