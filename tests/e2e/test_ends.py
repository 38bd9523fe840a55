"""Runs that end otherwise than planned, on the deployed stack: nothing runs on, what serves still counts."""

from __future__ import annotations

from typing import Any

import pytest

from e2e.loop import TINY, Loop, rows
from sluice_cli import log_streams, lookup, waiting
from sluice_cli.errors import CommandError

pytestmark = pytest.mark.thorough

# A container's first process gets no SIGTERM that it does not handle.
SLOW = """\
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
print("handles it", flush=True)
time.sleep(600)
"""


def text(name: str, **replacements: str) -> str:
    """A script of the tiny project with some of its words replaced."""
    changed = (TINY / "src" / f"{name}.py").read_text()
    for old, new in replacements.items():
        changed = changed.replace(old, new)
    return changed


def steps(loop: Loop, run_id: str) -> dict[str, dict[str, Any]]:
    return {step["step"]: step for step in lookup.the_run(loop.target, run_id)["steps"]}


def wait_for(loop: Loop, run_id: str, status: str) -> None:
    """Wait until both candidates are so."""

    def look() -> bool | None:
        found = steps(loop, run_id)
        return all(found.get(name, {}).get("status") == status for name in ("train-0", "train-1")) or None

    try:
        # A function that fails is tried again a minute later.
        waiting.until(look, timeout_s=150, what=f"the candidates to be {status}")
    except CommandError as error:
        logs = [log_streams.function_log(loop.target, name)[-20:] for name in ("finish_run", "finish_job")]
        pytest.fail(f"{error}\n{steps(loop, run_id)}\n{logs}")


def both_handle(loop: Loop, run_id: str) -> bool:
    """Whether both candidates' scripts have come so far that they end when they are told to."""
    found = steps(loop, run_id)
    logs = [log_streams.step_log(loop.target, found[name]) for name in ("train-0", "train-1")]
    return all("handles it" in log for log in logs)


def test_an_aborted_run_stops_its_jobs_and_says_why(loop: Loop) -> None:
    loop.push(train=SLOW)
    loop.upload("a.csv", rows(100, seed=1))
    run_id = waiting.new_run(loop.target, loop.pipeline, set(), timeout_s=120)
    wait_for(loop, run_id, "InProgress")
    waiting.until(lambda: both_handle(loop, run_id) or None, timeout_s=120, what="the scripts to run")
    arn = lookup.the_run(loop.target, run_id)["execution_arn"]
    loop.target.client("stepfunctions").stop_execution(executionArn=arn)
    wait_for(loop, run_id, "Stopped")
    assert steps(loop, run_id)["train-0"]["failure_reason"].startswith(
        "stopped by sluice, as its run had ended"
    )
    assert lookup.the_run(loop.target, run_id)["status"] == "failed"
    assert loop.status()["failed"] == {"run_id": run_id, "objects": 1}


def test_a_model_of_another_format_is_held_against_what_serves_whatever_became_of_that(loop: Loop) -> None:
    loop.push()
    assert loop.run_after("a.csv", rows(200, seed=1))["status"] == "registered"
    assert loop.release_after(1)["status"] == "released"
    arn = lookup.model_arn(loop.target, f"{loop.pipeline}/1")
    loop.target.client("sagemaker").delete_model_package(ModelPackageName=arn)
    other = {"model.json": "model-2.json"}
    written = {'value": accuracy': 'value": accuracy}, "auc": {"value": float("nan")'}
    known = waiting.run_ids(loop.target, loop.pipeline)
    loop.push(
        pipeline=loop.configure(stages="[{name: prod}]"),
        train=text("train", **other),
        inference=text("inference", **other),
        evaluate=text("evaluate", **other, **written),
    )
    run = loop.next_run(known)
    assert run["status"] == "registered", run["reasons"]
    found = steps(loop, run["run_id"])
    assert found["evaluate-champion"]["status"] == "Failed"
    assert found["evaluate-champion-own"]["metrics"]["accuracy"] > 0.8
    assert found["evaluate-candidate"]["remark"] == "no finite numbers, recorded as null: metrics.auc.value"
    assert found["gates"]["detail"][1]["champion"] == found["evaluate-champion-own"]["metrics"]["accuracy"]
