"""A model that fails where no gate looks is caught in its canary or after its bake, and taken back."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.loop import Loop, rows
from sluice_cli import waiting
from sluice_cli.drill import traffic

pytestmark = pytest.mark.thorough

FAILING = (Path(__file__).parents[1] / "failing/inference.py").read_text()
CANARY = "[{name: production, traffic: {type: canary, percent: 50, bake_s: 180}}]"
TWO_INSTANCES = "{script: src/inference.py, sample: sample.json, compute: {instance_count: 2}}"


def release_then_train(loop: Loop, config: str, fails: str) -> None:
    """A version that works is live; the next one fails, which its evaluation cannot see."""
    loop.push(pipeline=config)
    assert loop.run_after("part-1.csv", rows(100, seed=1))["status"] == "registered"
    assert loop.release_after(1)["status"] == "released"
    known = waiting.run_ids(loop.target, loop.pipeline)
    loop.push(pipeline=config, inference=FAILING.replace('FAILS = "no"', f'FAILS = "{fails}"'))
    assert loop.next_run(known)["status"] == "registered"


def test_a_bad_model_is_caught_in_its_canary_and_nothing_else_is_taken_back(loop: Loop) -> None:
    release_then_train(loop, loop.configure(stages=CANARY, serve=TWO_INSTANCES), "errors")
    with traffic(loop.target, loop.predict):
        caught = loop.release_after(2)
    assert (caught["status"], caught["cause"]) == ("failed", "approval")
    assert "DeploymentRolledBackError" in caught["reasons"][0]
    assert loop.predict()["model_version"] == "1"
    # The alarm still counts what the canary did.
    loop.reconcile()
    assert "rollback started" not in loop.events()


def test_a_model_that_fails_after_its_bake_is_rolled_back_once_and_the_stage_is_held(loop: Loop) -> None:
    release_then_train(loop, loop.text, "later")
    assert loop.release_after(2)["status"] == "released"
    assert loop.predict()["model_version"] == "2"
    known = waiting.release_ids(loop.target, loop.pipeline)
    with traffic(loop.target, loop.predict):
        back = loop.release_end(known)
    assert (back["status"], back["cause"], back["package_version"]) == ("released", "alarm", 1)
    assert loop.predict()["model_version"] == "1"
    (stage,) = loop.status()["stages"]
    assert stage["hold"]["why"] == "held"
