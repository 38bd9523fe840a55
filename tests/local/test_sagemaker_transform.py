"""Transform jobs send the records of S3 objects through a model, by the hosting contract."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.jobs import IMAGE, ROLE, Jobs, archive
from sluice_local.cloud import LocalCloud

# Answers each record in upper case, and tells how many came at once.
SCRIPT = """
    import os
    import time

    def model_fn(model_dir):
        return os.environ.get("SUFFIX", "")

    def input_fn(data, content_type):
        return (data.decode() if isinstance(data, bytes) else data).split("\\n")

    def predict_fn(records, model):
        if "fail" in records:
            raise ValueError("this record cannot be scored")
        if "sleep" in records:
            time.sleep(60)
        return [f"{record.upper()}{model} of {len(records)}" for record in records]

    def output_fn(prediction, accept):
        return "\\n".join(prediction), accept
    """


@dataclass(frozen=True, slots=True)
class Transforms:
    """Transform jobs over one model."""

    jobs: Jobs
    model_name: str

    def start(self, uri: str, **request: Any) -> str:
        name = self.jobs.unique("transform")
        source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}
        given = {
            **{"DataSource": source, "ContentType": "text/csv", "SplitType": "Line"},
            **request.pop("TransformInput", {}),
        }
        output = {
            **{"S3OutputPath": self.jobs.uri("out"), "Accept": "text/csv", "AssembleWith": "Line"},
            **request.pop("TransformOutput", {}),
        }
        self.jobs.sagemaker.create_transform_job(
            TransformJobName=name,
            ModelName=self.model_name,
            TransformInput=given,
            TransformOutput=output,
            TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
            **request,
        )
        return name

    def run(self, uri: str, **request: Any) -> dict[str, Any]:
        return self.ended(self.start(uri, **request))

    def ended(self, name: str) -> dict[str, Any]:
        return self.jobs.ended_transform(name)


@pytest.fixture
def transforms(cloud: LocalCloud, unique: Callable[[str], str]) -> Transforms:
    bucket, model_name = unique("transform"), unique("model")
    cloud.client("s3").create_bucket(Bucket=bucket)
    jobs = Jobs(cloud, bucket, unique)
    model = jobs.put("model.tar.gz", archive({"model.txt": "", "code/inference.py": SCRIPT}))
    container = {
        "Image": IMAGE,
        "ModelDataUrl": model,
        "Environment": {"SAGEMAKER_PROGRAM": "inference.py"},
    }
    jobs.sagemaker.create_model(ModelName=model_name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    return Transforms(jobs, model_name)


def test_lines_are_sent_together_and_each_object_s_answers_are_an_object(transforms: Transforms) -> None:
    transforms.jobs.put("in/a.csv", "x\ny\n")
    transforms.jobs.put("in/deep/b.csv", "z\n")
    job = transforms.run(transforms.jobs.uri("in/"))
    assert job["TransformJobStatus"] == "Completed", job.get("FailureReason")
    assert transforms.jobs.get("out/a.csv.out") == b"X of 2\nY of 2\n"
    assert transforms.jobs.get("out/deep/b.csv.out") == b"Z of 1\n"
    assert job["CreationTime"] <= job["TransformStartTime"] <= job["TransformEndTime"]


def test_no_request_is_larger_than_the_job_allows(transforms: Transforms) -> None:
    line = "x" * 600_000
    transforms.jobs.put("in/a.csv", f"{line}\n{line}\ny\n")
    transforms.run(transforms.jobs.uri("in/"), MaxPayloadInMB=1)
    answers = transforms.jobs.get("out/a.csv.out").decode().splitlines()
    assert [answer[-5:] for answer in answers] == [" of 1", " of 2", " of 2"]


def test_single_records_are_sent_one_by_one_in_order(transforms: Transforms) -> None:
    transforms.jobs.put("in/a.csv", "\n".join("abcdefgh"))
    job = transforms.run(
        transforms.jobs.uri("in/a.csv"), BatchStrategy="SingleRecord", MaxConcurrentTransforms=4
    )
    assert job["TransformJobStatus"] == "Completed", job.get("FailureReason")
    assert transforms.jobs.get("out/a.csv.out") == b"".join(b"%c of 1\n" % letter for letter in b"ABCDEFGH")


def test_an_object_may_be_sent_as_it_is(transforms: Transforms) -> None:
    transforms.jobs.put("in/a.csv.gz", gzip.compress(b"x\ny"))
    transforms.run(
        transforms.jobs.uri("in/"),
        TransformInput={"SplitType": "None", "CompressionType": "Gzip"},
        TransformOutput={"AssembleWith": "None"},
    )
    assert transforms.jobs.get("out/a.csv.gz.out") == b"X of 2\nY of 2"


def test_the_job_s_environment_is_the_container_s(transforms: Transforms) -> None:
    transforms.jobs.put("in/a.csv", "x\n")
    transforms.run(transforms.jobs.uri("in/"), Environment={"SUFFIX": "!"})
    assert transforms.jobs.get("out/a.csv.out") == b"X! of 1\n"


def test_a_record_that_the_model_refuses_fails_the_job(transforms: Transforms) -> None:
    transforms.jobs.put("in/a.csv", "fail\n")
    job = transforms.run(transforms.jobs.uri("in/"))
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: 500")
    assert transforms.jobs.keys("out") == []
    [stream] = transforms.jobs.cloud.client("logs").describe_log_streams(
        logGroupName="/aws/sagemaker/TransformJobs", logStreamNamePrefix=f"{job['TransformJobName']}/"
    )["logStreams"]
    assert stream["logStreamName"]


def test_input_without_objects_fails_the_job(transforms: Transforms) -> None:
    job = transforms.run(transforms.jobs.uri("nothing/"))
    assert job["FailureReason"].startswith("ClientError: Data download failed: No S3 objects found")


def test_a_job_can_be_stopped(transforms: Transforms) -> None:
    transforms.jobs.put("in/a.csv", "x\n" * 1000)
    name = transforms.start(transforms.jobs.uri("in/"), BatchStrategy="SingleRecord")
    transforms.jobs.sagemaker.stop_transform_job(TransformJobName=name)
    assert transforms.ended(name)["TransformJobStatus"] == "Stopped"
    with pytest.raises(ClientError, match="is in status Stopped"):
        transforms.jobs.sagemaker.stop_transform_job(TransformJobName=name)


def test_a_model_that_does_not_exist_is_refused(transforms: Transforms) -> None:
    with pytest.raises(ClientError, match="no-such-model"):
        Transforms(transforms.jobs, "no-such-model").start("s3://bucket/in")


def test_a_job_s_events_state_times_as_texts(transforms: Transforms) -> None:
    transforms.jobs.put("in/a.csv", "x\n")
    queue = transforms.jobs.subscribe({"detail-type": ["SageMaker Transform Job State Change"]})
    job = transforms.run(transforms.jobs.uri("in/"))
    events = transforms.jobs.events(
        queue,
        job["TransformJobArn"],
        lambda event: bool(event["detail"]["TransformJobStatus"] == "Completed"),
    )
    detail = events[-1]["detail"]
    assert detail["ModelName"] == transforms.model_name
    assert detail["TransformEndTime"] == f"{job['TransformEndTime']:%Y-%m-%dT%H:%M:%SZ}"
    assert detail["TransformInput"]["SplitType"] == "Line"
