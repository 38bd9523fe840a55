"""What the demo says at its end, and what its report has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

import fakes
from build_world import PIPELINE, RUN, Invoke, World
from command_world import Stack
from sluice_cli import demo, lookup, proofs
from sluice_cli.playing import Demo, FellShortError, Rollback
from sluice_cli.progress import Steps
from sluice_cli.target import Target


def test_the_rollback_that_was_timed_is_told_with_its_own_versions() -> None:
    assert (
        demo.told(Rollback(failed=2, restored=1, seconds=17.74)) == ", v1 served again 17.7s after v2 failed"
    )
    assert demo.told(None) == ""


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World.of_registered_model(cloud, invoke)
    monkeypatch.setattr(lookup, "model_arn", lambda *_: world.catalog_run()["model_package_arn"])
    return world


@pytest.fixture
def played(world: World) -> Demo:
    target, steps = cast(Target, Stack(world.cloud)), Steps(Console(quiet=True))
    return Demo(target, steps, Path("project"), pipeline=PIPELINE, live_version=1)


def report(played: Demo) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(demo._told(played, Path("artifacts"), "p", short=False)))
    return found


def test_its_report_has_backends_candidates_costs_and_the_verified_manifest(
    played: Demo,
) -> None:
    before = report(played)
    assert (before["backend"], before["candidates"], before["cost_usd"]) == ({}, [], {})
    assert (before["manifest_verified"], before["gate_refused"]) == (False, None)
    with played.steps.step("candidates") as step:
        proofs.show_candidates(played, step, {"run_id": RUN})
    with played.steps.step("verified") as step:
        proofs.verify_manifest(played, step)
    played.gate_refused = {"gate": "accuracy not_worse_than champion by 0.02", "interval": [-0.2, -0.1]}
    found = report(played)
    assert found["backend"].keys() == {"prepare", "train-0", "train-1", "evaluate-candidate"}
    assert [row["step"] for row in found["candidates"]] == ["train-1", "train-0"]
    assert found["cost_usd"].keys() >= {"run", *found["backend"]}
    assert found["cost_usd"]["run"] > sum(usd for step, usd in found["cost_usd"].items() if step != "run") > 0
    assert found["manifest_verified"] is True
    assert found["gate_refused"]["interval"] == [-0.2, -0.1]


def test_a_manifest_that_is_not_as_it_was_written_ends_it(world: World, played: Demo) -> None:
    uri = world.catalog_run()["manifest_uri"]
    world.cloud.objects.write(uri, world.cloud.objects.read(uri) + b" ")
    with (
        pytest.raises(FellShortError, match="is not what its manifest says"),
        played.steps.step("it") as step,
    ):
        proofs.verify_manifest(played, step)
    assert report(played)["manifest_verified"] is False
