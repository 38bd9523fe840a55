"""The tiny project on Lambda: the same scripts, the same model, what its jobs used, and what they may."""

from __future__ import annotations

import json
from typing import Any

import pytest

from e2e.loop import TINY, Loop, rows
from sluice.domain.build import log_tails
from sluice_cli import lookup
from sluice_local.sagemaker.containers.container import Isolation, isolation

pytestmark = pytest.mark.skipif(
    isolation() is Isolation.NONE, reason="/opt/ml is written in the scripts, and cannot be mapped here"
)


def steps_of(loop: Loop, run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = lookup.the_run(loop.target, run["run_id"])["steps"]
    return {step["step"]: step for step in found if step.get("job_name")}


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.backend("lambda")
def test_a_run_on_lambda_registers_the_model_that_it_trained(loop: Loop) -> None:
    loop.push()
    run = loop.run_after("part.csv", rows(100, seed=1))
    assert run["status"] == "registered", run["reasons"]
    steps = steps_of(loop, run)
    assert {step["backend"] for step in steps.values()} == {"lambda"}
    for step in steps.values():
        assert step["backend_reason"] == "lambda: pipeline.yaml says so"
        assert step["usage"]["billed_s"] > 0
        assert 0 < step["usage"]["peak_memory_mb"] < step["usage"]["memory_mb"]
    assert steps["train-0"]["metrics"]["validation:accuracy"] > 0.6
    group = log_tails.group(loop.target.stack, loop.pipeline, "training_job", "lambda")
    events = loop.target.client("logs").filter_log_events(logGroupName=group)["events"]
    assert [each for each in events if each["message"].startswith("validation accuracy: ")]
    assert loop.release_after(1)["status"] == "released"
    assert loop.predict()


@pytest.mark.thorough
@pytest.mark.timeout(600)
@pytest.mark.backend("auto")
def test_a_script_that_takes_more_memory_than_lambda_gives_goes_on_on_sagemaker(loop: Loop) -> None:
    """Of the script's two attempts the first has 1769 MB; on SageMaker nobody counts here."""
    greedy = (
        "import os\nif os.path.islink('/opt/ml') and os.readlink('/opt/ml') == '/tmp/ml':\n"
        "    held = [b'x' * (1 << 26) for _ in range(100)]\n"
    )
    loop.push(train=greedy + (TINY / "src/train.py").read_text())
    run = loop.run_after("part.csv", rows(100, seed=2))
    assert run["status"] == "registered", run["reasons"]
    steps = steps_of(loop, run)
    assert steps["prepare"].get("backend") == "lambda"
    assert steps["train-0"].get("backend") == "sagemaker"
    moved = "sagemaker: on Lambda it was ended for want of memory: its function has 1769 MB"
    assert steps["train-0"]["backend_reason"] == moved


HOSTILE = """
import boto3, json, os, pathlib
said = {}
for name, (operation, given) in CALLS.items():
    try:
        getattr(boto3.client("s3"), operation)(**given)
        said[name] = None
    except Exception as error:
        said[name] = error.response["Error"]["Code"]
pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "said.json").write_text(json.dumps(said))
print("SAID " + json.dumps(said), flush=True)
"""


@pytest.mark.thorough
@pytest.mark.timeout(600)
@pytest.mark.backend("lambda")
def test_a_script_on_lambda_reaches_no_more_than_its_own_job_needs(loop: Loop) -> None:
    """Less than on SageMaker, where a job may read all that its pipeline has."""
    artifacts, data = (loop.target.outputs[f"{name}BucketName"] for name in ("Artifact", "Data"))
    pipeline, run_id = loop.pipeline, f"{loop.pipeline}-00001"
    job = f"{loop.target.stack}--{run_id}-train-0"
    put: dict[str, Any] = {"Bucket": artifacts, "Body": "{}"}
    run = f"runs/{pipeline}/{run_id}"
    calls = {
        "run manifest": ("put_object", {**put, "Key": f"evidence/{pipeline}/{run_id}/manifest.json"}),
        "result": ("put_object", {**put, "Key": f"jobs/{job}/result.json"}),
        "order": ("get_object", {"Bucket": artifacts, "Key": f"jobs/{job}/request.json"}),
        "evaluation": ("put_object", {**put, "Key": f"{run}/evaluate/candidate/evaluation.json"}),
        "input": ("put_object", {**put, "Key": f"{run}/prepare/train/data.csv"}),
        "test data": ("get_object", {"Bucket": artifacts, "Key": f"{run}/prepare/test/data.csv"}),
        "raw data": ("get_object", {"Bucket": data, "Key": f"{pipeline}/part.csv"}),
        "all": ("list_objects_v2", {"Bucket": artifacts}),
        "own input": ("get_object", {"Bucket": artifacts, "Key": f"{run}/prepare/train/data.csv"}),
    }
    hostile = f"CALLS = {calls!r}{HOSTILE}"
    loop.push(
        pipeline=loop.text.replace("{bins: [4, 20]}", "{bins: [20]}"),
        train=f"{(TINY / 'src/train.py').read_text()}\n{hostile}",
    )
    ended = loop.run_after("part.csv", rows(100, seed=3))
    assert ended["status"] == "registered", ended["reasons"]
    group = log_tails.group(loop.target.stack, pipeline, "training_job", "lambda")
    events = loop.target.client("logs").filter_log_events(logGroupName=group)["events"]
    (line,) = [each["message"] for each in events if each["message"].startswith("SAID ")]
    said = json.loads(line.removeprefix("SAID "))
    assert said.pop("own input") is None
    assert set(said.values()) == {"AccessDenied"}, said
