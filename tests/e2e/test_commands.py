"""The `sluice` command against a deployed stack, as scripts and people use it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from e2e.loop import Loop, rows
from sluice.domain import names
from sluice.domain.release import scaling
from sluice_cli import main, waiting

pytestmark = pytest.mark.thorough

TWO_STAGES = "[{name: staging}, {name: production, requires_approval: true}]"


AUTOSCALING = (
    "{script: src/inference.py, sample: sample.json, "
    "compute: {autoscaling: {max: 3, invocations_per_instance: 500}}}"
)


def scales_up_to(loop: Loop, endpoint_name: str) -> int | None:
    """How many instances an endpoint's requests may give it; None if it does not scale."""
    found = loop.target.cloud.scaling.describe(scaling.target(endpoint_name))
    return found["MaxCapacity"] if found else None


def sluice(loop: Loop, *words: str) -> Any:
    """What a command prints with --json; the target is announced on stderr."""
    result = CliRunner().invoke(main.app, ["--stack", loop.target.stack, *words, "--json"])
    assert result.exit_code == 0, (result.output, result.exception)
    assert f"local cloud {loop.target.endpoint_url}" in result.stderr
    return json.loads(result.stdout)


def test_every_command_tells_a_script_what_it_tells_a_person(loop: Loop) -> None:
    loop.push()
    path = loop.folder / "part-1.csv"
    path.write_bytes(rows(100, seed=1))
    run = sluice(loop, "upload", loop.pipeline, str(path), "--wait")["run"]
    assert run["status"] == "registered"
    assert [row["run_id"] for row in sluice(loop, "runs", loop.pipeline)] == [run["run_id"]]
    assert Path(sluice(loop, "report", run["run_id"])["file"]).read_text().startswith("<!doctype html>")
    shown = sluice(loop, "run", run["run_id"])
    assert next(step for step in shown["steps"] if step["step"] == "gates")["detail"][0]["passed"] is True
    assert [row["model"] for row in sluice(loop, "models", loop.pipeline)] == [f"{loop.pipeline}/1"]
    log = sluice(loop, "logs", run["run_id"], "--step", "train-0")["train-0"]
    assert any("validation accuracy" in line for line in log)
    approved = sluice(loop, "approve", f"{loop.pipeline}/1", "-m", "fine", "--wait")
    assert approved["release"]["status"] == "released"
    assert sluice(loop, "predict", loop.pipeline, '{"x": [5, 95]}')["prediction"]["predictions"] == [0, 1]
    (status,) = sluice(loop, "status", loop.pipeline)["pipelines"]
    assert status["stages"][0]["live_version"] == 1
    assert sluice(loop, "logs", "--function", "start_build")["start_build"]
    assert loop.endpoint_name in sluice(loop, "logs", "--endpoint", loop.endpoint_name)
    planned = sluice(loop, "start", loop.pipeline, "--dry-run")
    told = {step["step"]: step["outcome"] for step in planned["foreseen"]["steps"]}
    assert (told["prepare"], told["evaluate-champion"]) == ("cached", "cached")
    cost = sluice(loop, "cost", run["run_id"])
    of_step = {step["step"]: step["usd"] for step in cost["steps"]}
    packages = sum(usd for step, usd in of_step.items() if step.startswith("packages of"))
    # All that the first run did, without packages, and the evaluation of what serves now.
    more = planned["costs"]["estimate"]["usd"] - (cost["usd"] - packages)
    assert more == pytest.approx(of_step["evaluate-candidate"], abs=1e-4)
    loop.run_after("part-2.csv", rows(100, seed=2))
    assert sluice(loop, "approve", loop.pipeline, "--wait")["release"]["status"] == "released"
    back = sluice(loop, "rollback", loop.pipeline, "-m", "complaints", "--wait")
    assert (back["release"]["cause"], back["release"]["package_version"]) == ("command", 1)
    assert loop.predict()["model_version"] == "1"
    assert sluice(loop, "reject", f"{loop.pipeline}/2", "-m", "complaints")["status"] == "Rejected"


def test_a_stage_that_requires_approval_waits_until_a_person_names_it(loop: Loop) -> None:
    text = loop.configure(stages=TWO_STAGES, serve=AUTOSCALING)
    loop.push(pipeline=text)
    loop.run_after("part-1.csv", rows(100, seed=1))
    released = sluice(loop, "approve", loop.pipeline, "--wait")["release"]
    assert (released["status"], released["stages"]) == ("released", ["staging"])
    live = {stage["stage"]: stage["live_version"] for stage in loop.status()["stages"]}
    assert live == {"staging": 1}
    released = sluice(loop, "approve", loop.pipeline, "--stage", "production", "--wait")["release"]
    assert (released["status"], released["stages"]) == ("released", ["production"])
    assert loop.predict()["model_version"] == "1"
    staging = names.endpoint_name(loop.target.stack, loop.pipeline, "staging")
    assert sluice(loop, "scale", loop.pipeline, "--stage", "staging", "--max", "4")["wish"] == {"max": 4}
    waiting.until(lambda: scales_up_to(loop, staging) == 4 or None, timeout_s=120, what="the stage to scale")
    (retired,) = sluice(loop, "retire", loop.pipeline, "--stage", "staging", "--yes")["retired"]
    assert scales_up_to(loop, staging) is None
    assert (retired["endpoint_name"], len(retired["alarms"])) == (staging, 1)
    (status,) = sluice(loop, "status", loop.pipeline)["pipelines"]
    stages = {stage["stage"]: stage for stage in status["stages"]}
    assert (stages["staging"]["live_version"], stages["production"]["live_version"]) == (None, 1)
    assert (stages["staging"]["endpoint_status"], stages["staging"]["alarms"]) == ("missing", [])


def test_aws_own_tools_use_the_local_cloud_after_its_environment_is_evaluated(loop: Loop) -> None:
    command = shlex.join([str(Path(sys.executable).with_name("sluice")), "env"])
    script = "import boto3; print(boto3.client('s3').list_buckets()['Buckets'])"
    line = f'eval "$({command})" && {shlex.join([sys.executable, "-c", script])}'
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, env=clean)
    assert loop.target.outputs["DataBucketName"] in done.stdout, done.stderr
