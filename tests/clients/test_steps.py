"""Tuning, checks and functions run as they are written with the SDK that people have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from clients.playing import TIMEOUT_S, VERSIONS, Client
from local.jobs import archive
from sluice_local.cloud import LocalCloud

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
PIPELINE = "steps"
pytestmark = [pytest.mark.thorough, pytest.mark.long]


@pytest.fixture(scope="module", params=VERSIONS)
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as cloud:
        made = Client(cloud, request.param, tmp_path_factory.mktemp("home"), f"steps-sdk{request.param}")
        for name in ("train", "validation"):
            rows = [f"{'great' if n % 2 else 'awful'} {name} {n},{n % 2}" for n in range(40)]
            made.put(f"prepared/{name}/a.csv", "\n".join(["review,sentiment", *rows, ""]))
        people = [f"{20 + n % 60},{'ab'[n % 2]},{int(n % 4 == 0 or n % 6 == 1)}" for n in range(240)]
        made.put("people/quality/a.csv", "\n".join(["age,group,outcome", *people, ""]))
        made.put("people/bias/a.csv", "\n".join([*people, ""]))
        made.put("people/model.tar.gz", archive({}))
        yield made


def by_name(steps: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {step["StepName"].removesuffix("-RegisterModel"): step for step in steps}


def used_by(step: dict[str, Any]) -> str:
    """The baseline that a check's step is held against."""
    (told,) = step["Metadata"].values()
    return str(told["BaselineUsedForDriftCheckConstraints"])


@pytest.mark.timeout(3 * TIMEOUT_S)
def test_tuning_checks_and_functions_run_unmodified(client: Client) -> None:
    played = client.play("steps", PIPELINE, IMAGE)
    first, again = by_name(played["first"]), by_name(played["again"])
    wanted = {"Tune", "Quality", "Bias", "Register", "Count", "Double"}
    if client.version == "2":
        wanted |= {"People-CreateModel", "ModelBias", "Explain"}
    assert {name: step["StepStatus"] for name, step in first.items()} == dict.fromkeys(wanted, "Succeeded")

    sagemaker = client.cloud.client("sagemaker")
    name = first["Tune"]["Metadata"]["TuningJob"]["Arn"].rpartition("/")[2]
    tuned = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    arn = first["Register"]["Metadata"]["RegisterModel"]["Arn"]
    package = sagemaker.describe_model_package(ModelPackageName=arn)
    (container,) = package["InferenceSpecification"]["Containers"]
    assert tuned["BestTrainingJob"]["TrainingJobName"] in container["ModelDataUrl"]

    # What the first execution calculated is what the second is held against.
    baselines = package["DriftCheckBaselines"]
    quality = again["Quality"]["Metadata"]["QualityCheck"]
    bias = again["Bias"]["Metadata"]["ClarifyCheck"]
    assert {step["StepStatus"] for step in again.values()} == {"Succeeded"}
    assert used_by(again["Quality"]) == baselines["ModelDataQuality"]["Constraints"]["S3Uri"]
    assert used_by(again["Bias"]) == baselines["Bias"]["PreTrainingConstraints"]["S3Uri"]
    assert "ViolationReport" not in quality
    analysis = client.document(bias["CalculatedBaselineConstraints"])
    (facet,) = analysis["pre_training_bias_metrics"]["facets"]["group"]
    assert {metric["name"] for metric in facet["metrics"]} >= {"CI", "DPL", "KL", "JS", "LP", "TVD", "KS"}

    if client.version == "2":
        assert used_by(again["ModelBias"]) == baselines["Bias"]["PostTrainingConstraints"]["S3Uri"]
        analysis = client.document(used_by(again["Explain"]))
        parts = analysis["explanations"]["kernel_shap"]["label0"]["global_shap_values"]
        assert parts["age"] > parts["group"] == 0
    assert played["result"] == 6
    assert len(played["tried"]) == 2
    assert played["best"] in played["tried"]
