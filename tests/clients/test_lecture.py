"""The lecture's pipeline runs as it is written, with the SDK that people have, against a local cloud."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sluice_local.cloud import LocalCloud
from sluice_local.settings import REPOSITORY

HERE = Path(__file__).parent
PIPELINE = "sentiment"
ROLE = "sagemaker-execution"
TRUST = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
TIMEOUT_S = 600
# An account's administrator opts out in such a file; else the SDK calls an address of AWS after each request.
NO_TELEMETRY = "SchemaVersion: '1.0'\nSageMaker:\n  PythonSDK:\n    Modules:\n      TelemetryOptOut: true\n"


class Lecture:
    """One version of the SDK, with a cloud and its reviews."""

    def __init__(self, cloud: LocalCloud, version: str, home: Path) -> None:
        self.cloud, self.version, self.home = cloud, version, home
        self.python = REPOSITORY / f".venv/envs/sdk{version}/bin/python"
        assert self.python.exists(), "there is no environment with the SDK: run `make clients`"
        self.bucket = f"reviews-sdk{version}"
        (home / "config.yaml").write_text(NO_TELEMETRY)
        iam, s3 = cloud.client("iam"), cloud.client("s3")
        # The SDK 3 asks IAM whether the role may do what a job needs.
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=_policy(TRUST))
        iam.put_role_policy(RoleName=ROLE, PolicyName="all", PolicyDocument=_policy(EVERYTHING))
        s3.create_bucket(Bucket=self.bucket)
        for part in range(2):
            rows = [f"{'great' if n % 2 else 'awful'} product {part}{n},{n % 2}" for n in range(60)]
            body = "\n".join(["review,sentiment", *rows, ""])
            s3.put_object(Bucket=self.bucket, Key=f"raw/part-{part}.csv", Body=body)

    def play(self, min_accuracy: float) -> dict[str, Any]:
        """Run the script, as a person does; what it printed."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
        variables = {
            "HOME": str(self.home),
            "SAGEMAKER_USER_CONFIG_OVERRIDE": str(self.home / "config.yaml"),
            "AWS_ENDPOINT_URL": self.cloud.endpoint_url,
            "AWS_DEFAULT_REGION": self.cloud.region,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        script = HERE / f"lecture_v{self.version}.py"
        done = subprocess.run(
            [self.python, script, self.bucket, PIPELINE, str(min_accuracy)],
            env=kept | variables,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        printed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return printed


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture(scope="module", params=["2", "3"])
def lecture(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lecture]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield Lecture(cloud, request.param, tmp_path_factory.mktemp("home"))


def by_name(played: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {step["StepName"]: step for step in played["steps"]}


@pytest.mark.timeout(3 * TIMEOUT_S)
def test_the_pipeline_trains_judges_and_registers_and_uses_its_cache(lecture: Lecture) -> None:
    played = lecture.play(0.9)
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
    bucket, _, key = report.removeprefix("s3://").partition("/")
    evaluation = json.loads(lecture.cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
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
    again = by_name(lecture.play(1.01))
    hit = {"SourcePipelineExecutionArn": played["arn"]}
    assert {name: again[name].get("CacheHitResult") for name in ("Processing", "Train")} == {
        "Processing": hit,
        "Train": hit,
    }
    assert again["AccuracyCondition"]["Metadata"]["Condition"]["Outcome"] == "False"
    assert again["TooBad"]["FailureReason"] == "Accuracy is below 1.01"
