"""The lecture's pipeline runs as it is written, with the SDK that people have, against a local cloud."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from clients.playing import TIMEOUT_S, VERSIONS, Client
from sluice_local.cloud import LocalCloud

PIPELINE = "sentiment"
pytestmark = pytest.mark.long


@pytest.fixture(scope="module", params=VERSIONS)
def lecture(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as cloud:
        home = tmp_path_factory.mktemp("home")
        client = Client(cloud, request.param, home, f"reviews-sdk{request.param}")
        for part in range(2):
            rows = [f"{'great' if n % 2 else 'awful'} product {part}{n},{n % 2}" for n in range(60)]
            client.put(f"raw/part-{part}.csv", "\n".join(["review,sentiment", *rows, ""]))
        yield client


@pytest.fixture(scope="module")
def played(lecture: Client) -> dict[str, Any]:
    """What came of the pipeline's first execution, which registered a model."""
    return lecture.play("lecture", PIPELINE, "0.9")


def by_name(played: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {step["StepName"]: step for step in played["steps"]}


@pytest.mark.timeout(3 * TIMEOUT_S)
def test_the_pipeline_trains_judges_and_registers_and_uses_its_cache(
    lecture: Client, played: dict[str, Any]
) -> None:
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


@pytest.mark.timeout(2 * TIMEOUT_S)
def test_what_an_execution_did_is_told_as_experiment_and_lineage(
    lecture: Client, played: dict[str, Any]
) -> None:
    bucket, steps = lecture.bucket, by_name(played)
    told = lecture.play("tracking", PIPELINE, played["arn"])

    rows = {name.partition("-")[0]: table for name, table in told["tables"].items()}
    outputs = [row for row in rows["Processing"] if row[1] == "Output"]
    assert {tuple(row[2:]) for row in outputs} == {("DataSet", "Produced", "artifact")}
    assert len(outputs) == 3
    assert [f"s3://{bucket}/raw/", "Input", "DataSet", "ContributedTo", "artifact"] in rows["Processing"]
    kinds = sorted((row[1], row[2], row[3]) for row in rows["Train"])
    assert kinds == [
        *[("Input", "DataSet", "ContributedTo")] * len([row for row in rows["Train"] if row[2] == "DataSet"]),
        ("Input", "Image", "ContributedTo"),
        ("Output", "Model", "Produced"),
    ]
    registered = {(row[1], row[2], row[3], row[4]) for row in rows["RegisterModel"]}
    assert registered == {
        ("Input", "Model", "ContributedTo", "artifact"),
        ("Input", "Image", "ContributedTo", "artifact"),
        ("Input", "Approval", "ContributedTo", "action"),
        ("Output", "ModelGroup", "AssociatedWith", "context"),
    }
    assert rows["AccuracyCondition"] is None

    (trained,) = told["trained"]
    assert trained["DisplayName"] == "Train"
    assert trained["validation:accuracy - Last"] >= 0.9
    assert (trained["Experiments"], trained["Trials"]) == (
        [PIPELINE],
        [played["arn"].rpartition("/")[2]],
    )
    sources = {kind for kind, _ in told["upstream"]}
    assert sources == {"DataSet", "TrainingJob", "ProcessingJob"}
    job = steps["Train"]["Metadata"]["TrainingJob"]["Arn"].rpartition("/")[2]
    assert any(arn.endswith(f"/{job}-aws-training-job") for _, arn in told["upstream"])
    assert told["edges"] >= 8
    assert told["execution"] == played["arn"]
    assert told["groups"] == [f"{PIPELINE}-group-aws-model-package-group"]

    assert told["runs"] == ["first"]
    assert told["parameters"]["alpha"] == {"NumberValue": 0.5}
    assert told["parameters"]["solver"] == {"StringValue": "saga"}
    assert "again" in told["parameters"]
    assert told["outputs"] == ["report"]
    (loss,) = told["loss"]
    assert (loss["Count"], loss["Max"], loss["Last"]) == (12, 1.0, 1 / 12)
    assert (told["before"], told["after"]) == (["raw"], [])
    assert told["left"] == [PIPELINE]
