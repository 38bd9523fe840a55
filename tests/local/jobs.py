"""What the tests of SageMaker jobs share: requests, code archives, waiting, logs and events."""

from __future__ import annotations

import io
import json
import tarfile
import textwrap
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from sluice_local.cloud import LocalCloud
from sluice_local.sagemaker.containers.container import NOT_MAPPED, Isolation, isolation

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
ROLE = "arn:aws:iam::000000000000:role/sagemaker-execution"
T = TypeVar("T")
Event = dict[str, Any]

needs_namespaces = pytest.mark.skipif(
    isolation() is Isolation.NONE, reason="/opt/ml is written in the script, and cannot be mapped here"
)
# The first job of a machine waits for its image to be built.
TIMEOUT_S = 240.0


@dataclass(frozen=True, slots=True)
class Jobs:
    """Jobs of one test, with a bucket of its own."""

    cloud: LocalCloud
    bucket: str
    unique: Callable[[str], str]
    role: str = ROLE

    @property
    def sagemaker(self) -> Any:
        return self.cloud.client("sagemaker")

    def put(self, key: str, body: bytes | str) -> str:
        """Write an object; its URI."""
        self.cloud.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"

    def get(self, key: str) -> bytes:
        content: bytes = self.cloud.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return content

    def keys(self, prefix: str) -> list[str]:
        found = self.cloud.client("s3").list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return [item["Key"] for item in found.get("Contents", [])]

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    def start_training(self, script: str, files: Mapping[str, str] | None = None, **request: Any) -> str:
        """Start a training job in script mode; its name."""
        name = self.unique("train")
        code = archive({"train.py": script, **(files or {})})
        code_uri = self.put(f"code/{name}/sourcedir.tar.gz", code)
        hyperparameters = {
            "sagemaker_program": '"train.py"',
            "sagemaker_submit_directory": json.dumps(code_uri),
            **request.pop("HyperParameters", {}),
        }
        self.sagemaker.create_training_job(
            TrainingJobName=name, **self.training_request(HyperParameters=hyperparameters, **request)
        )
        return name

    def training_request(self, **request: Any) -> dict[str, Any]:
        """A CreateTrainingJob request but for its name."""
        algorithm = request.pop("AlgorithmSpecification", {})
        return {
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File", **algorithm},
            "RoleArn": self.role,
            "OutputDataConfig": {"S3OutputPath": self.uri("models")},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
            "StoppingCondition": {"MaxRuntimeInSeconds": 120},
            **request,
        }

    def train(self, script: str, files: Mapping[str, str] | None = None, **request: Any) -> dict[str, Any]:
        """The description of a training job that has ended."""
        return self.ended_training(self.start_training(script, files, **request))

    def ended_training(self, name: str) -> dict[str, Any]:
        return self._ended("training", name)

    def start_processing(self, script: str, **request: Any) -> str:
        """Start a processing job that runs a Python script; its name."""
        name = self.unique("process")
        self.put(f"code/{name}/script.py", textwrap.dedent(script))
        code = processing_input("code", self.uri(f"code/{name}/script.py"), "/opt/ml/processing/input/code")
        application = {
            "ImageUri": IMAGE,
            "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/script.py"],
            **request.pop("AppSpecification", {}),
        }
        cluster = {
            **{"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5},
            **request.pop("ClusterConfig", {}),
        }
        self.sagemaker.create_processing_job(
            ProcessingJobName=name,
            AppSpecification=application,
            ProcessingInputs=[code, *request.pop("ProcessingInputs", [])],
            ProcessingResources={"ClusterConfig": cluster},
            RoleArn=self.role,
            **request,
        )
        return name

    def process(self, script: str, **request: Any) -> dict[str, Any]:
        """The description of a processing job that has ended."""
        return self.ended_processing(self.start_processing(script, **request))

    def ended_processing(self, name: str) -> dict[str, Any]:
        return self._ended("processing", name)

    def ended_transform(self, name: str) -> dict[str, Any]:
        return self._ended("transform", name)

    def _ended(self, kind: str, name: str) -> dict[str, Any]:
        noun = kind.capitalize()
        describe = getattr(self.sagemaker, f"describe_{kind}_job")

        def ended() -> dict[str, Any] | None:
            job: dict[str, Any] = describe(**{f"{noun}JobName": name})
            return None if job[f"{noun}JobStatus"] in ("InProgress", "Stopping") else job

        return until(ended)

    def log(self, group: str, job_name: str, host: str = "algo-1") -> list[str]:
        """What a host of a job printed."""
        logs = self.cloud.client("logs")
        names = {"logGroupName": f"/aws/sagemaker/{group}", "logStreamNamePrefix": f"{job_name}/{host}-"}
        streams = logs.describe_log_streams(**names)["logStreams"]
        if not streams:
            return []
        events = logs.get_log_events(
            logGroupName=names["logGroupName"], logStreamName=streams[0]["logStreamName"]
        )["events"]
        return [event["message"] for event in events if event["message"] != NOT_MAPPED]

    def wait_for_line(self, group: str, job_name: str, line: str) -> None:
        """Return once the job's first host has printed a line."""
        until(lambda: line in self.log(group, job_name))

    def subscribe(self, pattern: Mapping[str, Any]) -> str:
        """A queue that gets the events which match the pattern; its URL."""
        sqs, events = self.cloud.client("sqs"), self.cloud.client("events")
        name = self.unique("events")
        url: str = sqs.create_queue(QueueName=name)["QueueUrl"]
        wanted = ["QueueArn"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]["QueueArn"]
        events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
        return url

    def events(self, queue: str, arn: str, is_last: Callable[[Event], bool]) -> list[Event]:
        """The events of a resource that a queue gets, up to the last one."""
        sqs = self.cloud.client("sqs")
        found: list[Event] = []

        def received() -> bool:
            answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            bodies = [json.loads(message["Body"]) for message in answer.get("Messages", [])]
            found.extend(event for event in bodies if arn in event["resources"])
            return any(is_last(event) for event in found)

        until(received)
        return found


def archive(files: Mapping[str, str]) -> bytes:
    """A .tar.gz of text files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            data = textwrap.dedent(content).encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def members(content: bytes) -> dict[str, bytes]:
    """The files of a .tar.gz."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {member.name: file.read() for member in tar if (file := tar.extractfile(member)) is not None}


def channel(name: str, uri: str, **source: str) -> dict[str, Any]:
    """A channel of a training job."""
    return {
        "ChannelName": name,
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri, **source}},
    }


def processing_input(name: str, uri: str, path: str, **source: str) -> dict[str, Any]:
    return {
        "InputName": name,
        "S3Input": {
            **{"S3Uri": uri, "LocalPath": path, "S3DataType": "S3Prefix", "S3InputMode": "File"},
            **source,
        },
    }


def processing_outputs(*outputs: tuple[str, str, str], mode: str = "EndOfJob") -> dict[str, Any]:
    """Outputs as (name, local path, URI)."""
    return {
        "Outputs": [
            {"OutputName": name, "S3Output": {"LocalPath": path, "S3Uri": uri, "S3UploadMode": mode}}
            for name, path, uri in outputs
        ]
    }


def until(question: Callable[[], T | None]) -> T:
    """The first answer that is not empty."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        if answer := question():
            return answer
        time.sleep(0.03)
    raise TimeoutError("no answer in time")
