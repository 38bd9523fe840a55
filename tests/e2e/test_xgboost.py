"""The example of xgboost trains, registers, is released and answers, in its own image."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.loop import Loop
from sluice.services.views import costs
from sluice_cli import project
from sluice_cli.errors import CommandError

pytestmark = pytest.mark.thorough

EXAMPLE = Path(__file__).parents[2] / "examples" / "deliveries"


@pytest.fixture
def folder(loop: Loop) -> Path:
    """The example under the test's own pipeline name, as `sluice init` copies it."""
    return project.init(loop.folder / loop.pipeline, "deliveries")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    subprocess.run([sys.executable, EXAMPLE / "get_data.py", "--out", tmp_path / "data"], check=True)
    return tmp_path / "data"


@pytest.mark.long
def test_it_trains_registers_and_serves(loop: Loop, folder: Path, data: Path) -> None:
    project.push(loop.target, folder)
    run = loop.run_after("part-1.csv", (data / "part-1.csv").read_bytes())
    assert run["status"] == "registered", run["reasons"]
    steps = {step["step"]: step for step in run["steps"]}
    for name in ("train-0", "train-1"):
        assert 0.5 < steps[name]["metrics"]["validation:auc"] <= 1
        assert "sagemaker-xgboost" in steps[name]["image"]
    cost = costs.run_cost(loop.target.cloud, run["run_id"])
    assert cost is not None
    assert cost["unknown"] == []
    # The first run of a stack pays for what its jobs on Lambda install, unless the push was quicker.
    paid = {step["step"] for step in cost["steps"]} - {"packages of prepare"}
    assert paid == {"prepare", "train-0", "train-1", "evaluate-candidate"}
    assert 0 < cost["usd"] < 0.05
    assert cost["storage"]["bytes"] > 10_000
    assert loop.release_after(1)["status"] == "released"
    answer = loop.target.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=loop.endpoint_name,
        ContentType="application/json",
        Accept="application/json",
        Body=(EXAMPLE / "sample.json").read_bytes(),
    )
    first, second = json.loads(answer["Body"].read())["predictions"]
    assert first["probability"] < second["probability"]


def test_several_instances_each_prepare_a_part(loop: Loop, folder: Path, data: Path) -> None:
    path = folder / "pipeline.yaml"
    compute = "  compute: {instance_count: 2, data_distribution: sharded_by_s3_key}\n"
    text = path.read_text().replace("[0.7, 0.1, 0.2]}\n", f"[0.7, 0.1, 0.2]}}\n{compute}")
    path.write_text(text.replace("{quiet_period_s: 1}", "{marker: _SUCCESS}"))
    project.push(loop.target, folder)
    for part in (1, 2):
        loop.upload(f"batch/part-{part}.csv", (data / f"part-{part}.csv").read_bytes())
    run = loop.run_after("batch/_SUCCESS", b"")
    assert run["status"] == "registered", run["reasons"]
    (prepare,) = [step for step in run["steps"] if step["step"] == "prepare"]
    assert prepare["usage"]["instance_count"] == 2
    bucket, _, prefix = prepare["outputs"]["train"].removeprefix("s3://").partition("/")
    listed = loop.target.client("s3").list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/")
    names = sorted(each["Key"].rpartition("/")[2] for each in listed["Contents"])
    assert names == ["train-algo-1.csv", "train-algo-2.csv"]


def test_a_spot_job_without_a_network_keeps_checkpoints_in_the_runs_folder(
    loop: Loop, folder: Path, data: Path
) -> None:
    path = folder / "pipeline.yaml"
    spot = "spot: {max_wait_s: 3600}, isolation: true, tags: {team: ml}, environment: {DEPTH: '3'}"
    text = path.read_text().replace("{instance_type: ml.m5.large, max", f"{{{spot}, max")
    assert spot in text
    path.write_text(text)
    project.push(loop.target, folder)
    run = loop.run_after("part-1.csv", (data / "part-1.csv").read_bytes())
    assert run["status"] == "registered", run["reasons"]
    train = next(step for step in run["steps"] if step["step"] == "train-0")
    assert train["usage"]["is_spot"] is True
    assert train["usage"]["billed_s"] <= train["usage"]["ran_s"]
    job = loop.target.client("sagemaker").describe_training_job(TrainingJobName=train["job_name"])
    assert job["EnableNetworkIsolation"] is True
    bucket, _, prefix = job["CheckpointConfig"]["S3Uri"].removeprefix("s3://").partition("/")
    assert prefix == f"runs/{loop.pipeline}/{run['run_id']}/train/checkpoints/train-0/"
    listed = loop.target.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)
    names = sorted(each["Key"].rpartition("/")[2] for each in listed["Contents"])
    assert names == ["rounds-00020.json", "rounds-00040.json", "rounds-00060.json"]
    # It listed its packages from inside; prepare runs elsewhere.
    manifest = json.loads(loop.target.cloud.objects.read(run["manifest_uri"]))
    (trained_in,) = [each for each in manifest["environments"] if "train-0" in each["steps"]]
    assert any(name.startswith("xgboost") for name in trained_in["packages"])
    assert job["HyperParameters"]["sagemaker_program"] == '"sluice_train.py"'
    tags = loop.target.client("sagemaker").list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
    assert {"Key": "team", "Value": "ml"} in tags


def test_an_image_that_only_aws_has_is_told_before_the_upload(loop: Loop, folder: Path) -> None:
    path = folder / "pipeline.yaml"
    path.write_text(path.read_text().replace('"3.2-0"', '"1.7-1"'))
    with pytest.raises(CommandError, match=r"no image sagemaker-xgboost:1\.7-1, which prepare needs"):
        project.push(loop.target, folder)
