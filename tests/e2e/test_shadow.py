"""A new version answers mirrored requests before it serves, and is released only if it does as well."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from e2e.loop import Loop, rows, silent
from sluice.services.release import releasing
from sluice_cli import main, waiting
from sluice_cli.drill import traffic

pytestmark = pytest.mark.thorough

FAILING = (Path(__file__).parents[1] / "failing/inference.py").read_text()
SHADOWED = """[{name: production, traffic: {type: all_at_once, bake_s: 0},
     shadow: {percent: 50, bake_s: 60, min_requests: 20, max_latency_ratio: 6}}]"""
# A minute of mirrored requests, and three changes of the endpoint.
SHADOWED_S = 300
MONITOR = "monitor: {answer: {rows: predictions}}\n"


def asking(loop: Loop) -> Callable[[], object]:
    """Requests that differ, so that answers are compared by what was asked."""
    draw, numbers = random.Random(1), itertools.count()  # noqa: S311
    client = loop.target.client("sagemaker-runtime")

    def ask() -> object:
        xs = [round(draw.uniform(0, 30) if next(numbers) % 2 else draw.uniform(70, 100), 3)]
        return client.invoke_endpoint(
            EndpointName=loop.endpoint_name,
            ContentType="application/json",
            Accept="application/json",
            Body=json.dumps({"x": xs}),
        )

    return ask


def train(loop: Loop, fails: str) -> None:
    known = waiting.run_ids(loop.target, loop.pipeline)
    loop.push(
        pipeline=loop.configure(stages=SHADOWED) + MONITOR,
        inference=FAILING.replace('FAILS = "no"', f'FAILS = "{fails}"'),
    )
    assert loop.next_run(known)["status"] == "registered"


def approve(loop: Loop, version: int) -> dict[str, Any]:
    """Approve a version, and follow its release with a shadow to its end."""
    known = waiting.release_ids(loop.target, loop.pipeline)
    loop.decide(version, "Approved")
    return ended(loop, known)


def ended(loop: Loop, known: set[str]) -> dict[str, Any]:
    return waiting.release_end(loop.target, loop.pipeline, known, silent, timeout_s=SHADOWED_S)


def endpoint(loop: Loop) -> dict[str, object]:
    return loop.target.cloud.endpoints.describe_endpoint(loop.endpoint_name) or {}


@pytest.mark.timeout(900)
def test_a_version_is_released_once_its_shadow_did_well_and_a_failing_one_is_not(loop: Loop) -> None:
    loop.push(pipeline=loop.configure(stages=SHADOWED) + MONITOR)
    assert loop.run_after("part-1.csv", rows(400, seed=1))["status"] == "registered"
    first = loop.release_after(1)
    assert first["status"] == "released", first
    assert "no shadow" in loop.events()

    train(loop, "slow")
    with traffic(loop.target, asking(loop)):
        known = waiting.release_ids(loop.target, loop.pipeline)
        loop.decide(2, "Approved")
        seen = waiting.until(
            lambda: next((each["shadow"] for each in loop.status()["stages"] if each["shadow"]), None),
            timeout_s=120,
            what="the shadow to begin",
        )
        # Whoever asks is answered by what serves, without delay.
        assert loop.predict()["model_version"] == "1"
        shown = CliRunner().invoke(main.app, ["--stack", loop.target.stack, "status", loop.pipeline])
        assert "v2 answers too, for nobody" in " ".join(shown.output.split())
        slow = ended(loop, known)
    assert seen["percent"] == 50
    assert slow["status"] == "refused", slow
    assert "as a shadow it took" in slow["reasons"][0]
    assert loop.predict()["model_version"] == "1"
    assert not endpoint(loop).get("ShadowProductionVariants")

    train(loop, "errors")
    with traffic(loop.target, asking(loop)):
        failing = approve(loop, 3)
    assert "as a shadow it failed on" in failing["reasons"][0], failing
    assert loop.predict()["model_version"] == "1"

    train(loop, "no")
    with traffic(loop.target, asking(loop)):
        good = approve(loop, 4)
    assert good["status"] == "released", good
    assert loop.predict()["model_version"] == "4"
    assert not endpoint(loop).get("ShadowProductionVariants")
    assert loop.events().count("shadow refused") == 2

    train(loop, "later")
    known = waiting.release_ids(loop.target, loop.pipeline)
    loop.decide(5, "Approved")
    waiting.until(lambda: endpoint(loop).get("ShadowProductionVariants"), timeout_s=120, what="a shadow")
    waiting.until(lambda: loop.events().count("shadow began") == 4 or None, timeout_s=120, what="it to begin")
    (release_id,) = waiting.release_ids(loop.target, loop.pipeline) - known
    release = releasing.find_release(loop.target.cloud, loop.pipeline, release_id)
    assert release
    loop.target.client("stepfunctions").stop_execution(executionArn=release.execution_arn)
    waiting.until(
        lambda: not endpoint(loop).get("ShadowProductionVariants") or None,
        timeout_s=120,
        what="the shadow of the stopped release to be gone",
    )
    assert loop.predict()["model_version"] == "4"
