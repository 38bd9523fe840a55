"""A build runs a pipeline of SageMaker: its model is judged, registered, released and answers."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from e2e.loop import Loop
from e2e.test_provenance import sluice
from sluice.services.views import costs
from sluice_cli import project

pytestmark = pytest.mark.thorough
EXAMPLE = Path(__file__).parents[2] / "examples" / "sdk-pipeline"


@pytest.fixture
def folder(loop: Loop) -> Path:
    """The example under the test's own pipeline name, with the definition that needs no SDK."""
    made = project.init(loop.folder / loop.pipeline, "sdk-pipeline")
    yaml = made / "pipeline.yaml"
    yaml.write_text(yaml.read_text().replace("pipeline: pipeline.py", "pipeline: pipeline.json"))
    return made


def reviews(seed: int) -> bytes:
    """Reviews whose words tell their sentiment, but for a few."""
    draw = random.Random(seed)  # noqa: S311
    rows = ["product,review,sentiment"]
    for number in range(150):
        is_great = draw.random() < 0.5
        word = "great" if is_great != (draw.random() < 0.05) else "awful"
        rows.append(f"P{seed},{word} product {seed} {number},{'great' if is_great else 'other'}")
    return "\n".join([*rows, ""]).encode()


def let_it_be_cached(definition: Path, below: str) -> None:
    """Have jobs cached, which write where the SDK does by default: OutputUri is another for each run."""
    place = {"On": "/", "Values": [below, {"Get": "Execution.PipelineExecutionId"}]}
    text = json.dumps(json.loads(definition.read_text()))
    document = json.loads(
        text.replace(json.dumps({"Get": "Parameters.OutputUri"}), json.dumps({"Std:Join": place}))
    )
    for step in document["Steps"]:
        if step["Type"] in ("Processing", "Training"):
            step["CacheConfig"] = {"Enabled": True, "ExpireAfter": "P30D"}
    definition.write_text(json.dumps(document))


@pytest.mark.timeout(600)
def test_a_model_that_its_pipeline_made_is_reproduced_without_its_cache(loop: Loop, folder: Path) -> None:
    below = f"s3://{loop.target.outputs['ArtifactBucketName']}/pipelines/{loop.pipeline}"
    let_it_be_cached(folder / "pipeline.json", below)
    project.push(loop.target, folder)
    run = loop.run_after("part-1.csv", reviews(1))
    assert run["status"] == "registered", run["reasons"]
    model = f"{loop.pipeline}/1"

    verified = sluice(loop, "manifest", "verify", model)
    assert {each["condition"] for each in verified["findings"]} == {"intact"}
    repeated = sluice(loop, "reproduce", model)
    assert repeated["run"]["status"] == "reproduced"
    steps = {step["step"]: step for step in sluice(loop, "run", repeated["run"]["run_id"])["steps"]}
    trained, first = steps["pipeline-Train"], {step["step"]: step for step in run["steps"]}["pipeline-Train"]
    assert "remark" not in trained
    assert trained["job_name"] != first["job_name"]

    # With the cache SageMaker has done all of it already.
    retried = sluice(loop, "start", loop.pipeline, "--dataset", run["dataset_version"], "--wait")
    steps = {step["step"]: step for step in sluice(loop, "run", retried["run_id"])["steps"]}
    assert "cached by SageMaker" in steps["pipeline-Train"]["remark"]


@pytest.mark.long
@pytest.mark.timeout(600)
def test_what_its_pipeline_registers_is_judged_registered_and_serves(loop: Loop, folder: Path) -> None:
    project.push(loop.target, folder)
    run = loop.run_after("part-1.csv", reviews(1))
    assert run["status"] == "registered", run["reasons"]
    steps = {step["step"]: step for step in run["steps"]}
    assert {"pipeline", "pipeline-Prepare", "pipeline-Train", "pipeline-Evaluate"} <= steps.keys()
    assert steps["pipeline-Train"]["metrics"]["validation:accuracy"] > 0.6
    assert steps["pipeline"]["outputs"]["package"].endswith("--built/1")
    cost = costs.run_cost(loop.target.cloud, run["run_id"])
    assert cost is not None
    assert cost["unknown"] == []
    assert 0 < cost["usd"] < 0.05
    assert loop.release_after(1)["status"] == "released"
    answer = loop.target.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=loop.endpoint_name,
        ContentType="application/json",
        Accept="application/json",
        Body=json.dumps({"reviews": ["great product", "awful product"]}),
    )
    first, second = json.loads(answer["Body"].read())["predictions"]
    assert first["score"] > second["score"]

    # The pipeline's own condition may say no, which is no failure.
    yaml = folder / "pipeline.yaml"
    yaml.write_text(yaml.read_text().replace("MinAccuracyValue: 0.6", "MinAccuracyValue: 1.01"))
    project.push(loop.target, folder)
    run = loop.run_after("part-2.csv", reviews(2))
    assert run["status"] == "rejected"
    assert run["reasons"] == ["the pipeline registered no model: the accuracy is below 1.01"]
