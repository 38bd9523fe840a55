"""What `sluice pin` says, what it refuses, and that `approve` says at once why nothing is released."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

import fakes
from command_world import ADA, Hearing
from release_world import PIPELINE, World
from sluice.catalog import keys
from sluice.services.views import awaited
from sluice_cli import lookup, main, options


class Stack(Hearing[World]):
    """A stack whose registry is the fakes'."""

    def call(self, service: str, operation: str, **request: Any) -> dict[str, Any]:
        arn = str(request.get("ModelPackageName") or request.get("ModelPackageArn"))
        if operation == "describe_model_package":
            return self.world.cloud.registry.by_arn[arn]
        if operation == "update_model_package":
            self.world.decide(arn, request["ModelApprovalStatus"])
        return super().call(service, operation, **request)


@pytest.fixture
def stack(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any], monkeypatch: pytest.MonkeyPatch) -> Stack:
    world = World(cloud, invoke)
    world.approve(world.register(1))
    stack = Stack(world, "StagePinned", "pin_stage")
    monkeypatch.setattr(options.Options, "target", lambda self: stack)
    monkeypatch.setattr(lookup, "model_arn", lambda target, model: model)
    monkeypatch.setattr(awaited, "decisions", lambda cloud, pipeline: [])
    return stack


def run(*command: str) -> Any:
    return CliRunner().invoke(main.app, command)


def second(stack: Stack) -> str:
    """A version that the catalog knows, as register_model leaves it."""
    arn = stack.world.register(2)
    run_id = f"{PIPELINE}-00002"
    evidence = stack.catalog.get(keys.run_key(PIPELINE, run_id)) or {}
    item = {"pipeline": PIPELINE, "group": PIPELINE, "version": 2, "run_id": run_id}
    stack.catalog.create({**keys.package_key(arn), **item, "manifest_sha256": evidence["manifest_sha256"]})
    return arn


def test_what_is_live_is_pinned_and_let_go(stack: Stack) -> None:
    result = run("pin", PIPELINE, "-m", "until Monday")
    assert result.exit_code == 0, result.output
    assert "pinned v1 on production" in result.output
    assert "`sluice pin reviews --stage production --off`" in result.output
    again = " ".join(run("pin", PIPELINE).output.split())
    assert "was pinned before" in again
    assert f"since 2026-11-24T09:00:00.000Z: {ADA} (unverified) pinned v1: until Monday" in again
    let_go = run("pin", PIPELINE, "--off").output
    assert "let go v1 on production" in let_go
    assert "next: `sluice status reviews` shows what serves, and what guards it" in let_go
    assert run("pin", PIPELINE, "--off").stdout == "v1 on production was not pinned\n"


def test_what_waits_is_the_next_step_of_letting_go(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    run("pin", PIPELINE)
    waits = {"model": "reviews/2", "command": "approve reviews/2"}
    monkeypatch.setattr(awaited, "decisions", lambda cloud, pipeline: [waits])
    said = " ".join(run("pin", PIPELINE, "--off").output.split())
    assert "next: `sluice approve reviews/2` releases reviews/2, which waits" in said


def test_the_json_says_who_pinned_it_and_why(stack: Stack) -> None:
    run("pin", PIPELINE, "-m", "until Monday")
    result = json.loads(run("pin", PIPELINE, "--json").stdout)
    assert (result["pinned"], result["version"]) == (True, 1)
    assert result["hold"]["reason"].endswith("user/ada (unverified) pinned v1: until Monday")


def test_a_stage_that_serves_nothing_is_refused(stack: Stack) -> None:
    result = run("pin", PIPELINE, "--stage", "staging")
    assert str(result.exception) == "nothing serves on a stage 'staging' of reviews"
    stack.catalog.update(keys.stage_key(PIPELINE, "production"), {"releasing": "reviews-v2-1"})
    assert str(run("pin", PIPELINE).exception) == "reviews-v2-1 is under way on production"


def test_approving_a_version_says_at_once_that_a_pin_keeps_it_back(stack: Stack) -> None:
    arn = second(stack)
    run("pin", PIPELINE, "-m", "until Monday")
    before = (
        "reviews/2 was approved before, at 2026-11-24T09:00:00.000Z by arn:aws:iam::123456789012:user/anna"
    )
    for note in ("it is not released: production is pinned", f"{before}, and is not released: production"):
        said = " ".join(run("approve", arn).output.split())
        assert note in said
        assert "`sluice pin reviews --stage production --off` lets go of it" in said
        assert "the release" not in said.partition("next:")[2]
        stack.world.tell_decision(arn, "Approved", ["ModelApprovalStatus"])
        stack.world.run_all()
    refused = run("approve", arn, "--stage", "production").exception
    assert "production is pinned since" in str(refused)
    assert stack.world.live_version() == 1
