"""The rollback that a person commands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from sluice.services.views import stages
from sluice_cli import lookup, main, options, waiting


class Target:
    """As much of a stack as starting a rollback asks for."""

    def __init__(self) -> None:
        self.cloud = None
        self.outputs = {"ReleaseModelStateMachineArn": "arn:machine"}
        self.started: list[dict[str, Any]] = []

    def call(self, service: str, operation: str, **request: Any) -> dict[str, Any]:
        if operation == "start_execution":
            self.started.append(json.loads(request["input"]))
        return {"Arn": "arn:aws:iam::123456789012:user/anna"}


def test_a_rollback_names_the_release_that_it_takes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same command twice in a row waits for the first one, and would go back twice."""
    target = Target()
    live = {"stage": "production", "live": "reviews-v3-0a1b2c3d", "live_version": 3, "takes_back": None}
    monkeypatch.setattr(options.Options, "target", lambda self: target)
    monkeypatch.setattr(lookup, "the_pipeline", lambda target, name: name)
    monkeypatch.setattr(stages, "stages", lambda cloud, name: [live])
    monkeypatch.setattr(waiting, "release_ids", lambda target, name: set())
    result = CliRunner().invoke(main.app, ["rollback", "reviews", "--json"])
    assert result.exit_code == 0, result.output
    (request,) = target.started
    assert (request["stage"], request["rolls_back"]) == ("production", "reviews-v3-0a1b2c3d")
