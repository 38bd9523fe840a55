"""What `sluice scale` asks for and refuses, and that `sluice status` shows who scaled."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

import fakes
from command_world import ADA, Hearing
from release_world import ENDPOINT, PIPELINE, PIPELINE_YAML, World
from sluice_cli import main, options

AUTOSCALING = PIPELINE_YAML.replace(
    "sample: sample.json}",
    "sample: sample.json, compute: {autoscaling: {max: 4, invocations_per_instance: 500}}}",
)


@pytest.fixture
def stack(
    cloud: fakes.Cloud, invoke: Callable[[str, Any], Any], monkeypatch: pytest.MonkeyPatch
) -> Hearing[World]:
    world = World(cloud, invoke, AUTOSCALING)
    world.approve(world.register(1))
    stack = Hearing(world, "ScalingDue", "scale_stage")
    monkeypatch.setattr(options.Options, "target", lambda self: stack)
    return stack


def run(*arguments: str) -> Any:
    return CliRunner().invoke(main.app, [*arguments])


def instances(stack: Hearing[World]) -> int:
    (variant,) = stack.cloud.endpoints.by_name[ENDPOINT]["ProductionVariants"]
    return int(variant["DesiredInstanceCount"])


def test_a_count_is_recorded_with_who_wished_it_and_shown(stack: Hearing[World]) -> None:
    result = run("scale", PIPELINE, "--count", "3")
    assert result.exit_code == 0, result.output
    assert "scaled production to 3 instances" in result.stdout
    assert instances(stack) == 3
    shown = run("status", PIPELINE).stdout
    assert f"3 instances, scaled by {ADA} (unverified)" in " ".join(shown.split())
    assert "(3 instances, scaled by" in " ".join(run("models", PIPELINE).stdout.split())

    assert "scaled production as its project says" in run("scale", PIPELINE, "--reset").stdout
    assert "1 to 4 by requests (500 a minute each)" in run("status", PIPELINE).stdout
    assert instances(stack) == 3  # its requests decide from now on


def test_limits_are_scaled_as_json(stack: Hearing[World]) -> None:
    result = run("scale", PIPELINE, "--min", "2", "--max", "8", "--json")
    assert json.loads(result.stdout) == {
        "pipeline": PIPELINE,
        "stage": "production",
        "wish": {"min": 2, "max": 8},
    }
    (target,) = stack.cloud.scaling.targets.values()
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 8)


@pytest.mark.parametrize(
    ("arguments", "said", "exit_code"),
    [
        ((), "nothing says how to scale", 2),
        (("--count", "2", "--max", "3"), "--count and --min or --max exclude each other", 2),
        (("--stage", "prod", "--count", "2"), "has no stage 'prod'", 2),
        (("--concurrency", "2"), f"{ENDPOINT} has instances, and no concurrency", 3),
        (("--min", "5"), f"{ENDPOINT} would have at least 5 and at most 4 instances", 3),
    ],
)
def test_what_cannot_be_is_refused(
    stack: Hearing[World], arguments: tuple[str, ...], said: str, exit_code: int
) -> None:
    result = run("scale", PIPELINE, *arguments)
    assert said in str(result.exception)
    assert getattr(result.exception, "exit_code", None) == exit_code
    assert instances(stack) == 1


def test_a_target_that_differs_is_shown(stack: Hearing[World]) -> None:
    # The release's own announcement was lost.
    assert "not scaled: its instances do not follow its requests" in " ".join(
        run("status", PIPELINE).stdout.split()
    )
