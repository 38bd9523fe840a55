"""The lecture's pipeline runs as it is written, with the SDK that people have, against a local cloud."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from clients.playing import TIMEOUT_S, Client
from sluice_local.cloud import LocalCloud

PIPELINE = "sentiment"


@pytest.fixture(scope="module", params=["2", "3"])
def lecture(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as cloud:
        home = tmp_path_factory.mktemp("home")
        client = Client(cloud, request.param, home, f"reviews-sdk{request.param}")
        for part in range(2):
            rows = [f"{'great' if n % 2 else 'awful'} product {part}{n},{n % 2}" for n in range(60)]
            client.put(f"raw/part-{part}.csv", "\n".join(["review,sentiment", *rows, ""]))
        yield client


def by_name(played: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {step["StepName"]: step for step in played["steps"]}


@pytest.mark.timeout(3 * TIMEOUT_S)
def test_the_pipeline_trains_judges_and_registers_and_uses_its_cache(lecture: Client) -> None:
    played = lecture.play("lecture", PIPELINE, "0.9")
    steps = by_name(played)
    assert played["status"] == "Succeeded", steps
    assert {step["StepStatus"] for step in steps.values()} == {"Succeeded"}
    assert [step["StepName"].partition("-")[0] for step in reversed(played["steps"])][:4] == [
        *("Processing", "Train", "EvaluateModel", "AccuracyCondition"),
    ]
    assert {"Name": "MinAccuracyValue", "Value": "0.9"} in played["parameters"]

    sagemaker = lecture.cloud.client("sagemaker")
    (arn,) = [
        step["Metadata"]["RegisterModel"]["Arn"]
        for step in steps.values()
        if "RegisterModel" in step["Metadata"]
    ]
    package = sagemaker.describe_model_package(ModelPackageName=arn)
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    report = package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    evaluation = lecture.document(report)
    assert evaluation["metrics"]["accuracy"]["value"] >= 0.9
    name = steps["Train"]["Metadata"]["TrainingJob"]["Arn"].rpartition("/")[2]
    (metric,) = sagemaker.describe_training_job(TrainingJobName=name)["FinalMetricDataList"]
    assert metric["MetricName"] == "validation:accuracy"
    # Each of the two instances got one of the two files.
    name = steps["Processing"]["Metadata"]["ProcessingJob"]["Arn"].rpartition("/")[2]
    logs = lecture.cloud.client("logs").filter_log_events(
        logGroupName="/aws/sagemaker/ProcessingJobs", logStreamNamePrefix=name
    )
    said = {event["message"].strip() for event in logs["events"]}
    assert {"algo-1 has 1 files and 60 rows", "algo-2 has 1 files and 60 rows"} <= said

    # The SDK uploads the code anew, and a pipeline of the same name is updated; the work is the same.
    again = by_name(lecture.play("lecture", PIPELINE, "1.01"))
    hit = {"SourcePipelineExecutionArn": played["arn"]}
    assert {name: again[name].get("CacheHitResult") for name in ("Processing", "Train")} == {
        "Processing": hit,
        "Train": hit,
    }
    assert again["AccuracyCondition"]["Metadata"]["Condition"]["Outcome"] == "False"
    assert again["TooBad"]["FailureReason"] == "Accuracy is below 1.01"
