"""Jobs on Lambda as the stack runs them: the real function, its layers, and credentials of one job each."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import markupsafe._speedups
import zstandard

from local.functions import wait_for
from sluice.adapters.lambda_jobs import FunctionJobs, Place
from sluice.adapters.objects import S3Objects
from sluice.domain.roles import Account, run_role
from sluice.ports import JobKind, Room
from sluice_local.cloud import LocalCloud
from sluice_local.settings import REPOSITORY

PIPELINE = "reviews"
RUN = "reviews-00001"
_LAMBDA_TRUST = {
    "Effect": "Allow",
    "Principal": {"Service": "lambda.amazonaws.com"},
    "Action": "sts:AssumeRole",
}
MEMORY_MB = 512


@dataclass(frozen=True, slots=True)
class LambdaJobs:
    """A stack that has run_job and little else."""

    cloud: LocalCloud
    bucket: str
    data_bucket: str
    jobs: FunctionJobs
    account: Account
    failures_url: str
    function: str
    packages: Mapping[str, str] | None = None

    @classmethod
    def deploy(cls, cloud: LocalCloud, name: str, timeout_s: int = 60) -> LambdaJobs:
        s3, iam, sqs = cloud.client("s3"), cloud.client("iam"), cloud.client("sqs")
        bucket, data_bucket = f"{name}-artifacts", f"{name}-data"
        for each in (bucket, data_bucket):
            s3.create_bucket(Bucket=each)
            s3.put_bucket_versioning(Bucket=each, VersioningConfiguration={"Status": "Enabled"})
        root = f"arn:aws:iam::{cloud.account}:root"
        account = Account(
            f"arn:aws:iam::{cloud.account}:role/sluice/{name}/us-east-1/",
            "us-east-1",
            data_bucket,
            bucket,
            starter_arn=root,
        )
        role = run_role(account, PIPELINE, RUN)
        iam.create_role(RoleName=role.name, Path=role.path, AssumeRolePolicyDocument=json.dumps(role.trust))
        iam.put_role_policy(RoleName=role.name, PolicyName="it", PolicyDocument=json.dumps(role.policy))
        runner = f"{name}-runner"
        trust = {"Effect": "Allow", "Principal": {"AWS": root}, "Action": "sts:AssumeRole"}
        runner_arn = _role(iam, runner, trust, _runner_statements(name, bucket))
        queue = sqs.create_queue(QueueName=f"{name}-failures")["QueueUrl"]
        queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        failures = queue_arn["Attributes"]["QueueArn"]
        keys = f"arn:aws:s3:::{bucket}/jobs/*/keys/*"
        own = [
            {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": failures},
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": keys},
        ]
        function_role = _role(iam, f"{name}-run-job", _LAMBDA_TRUST, own)
        lambdas = cloud.client("lambda")
        layers = [
            lambdas.publish_layer_version(LayerName=f"{name}-{each}", Content={"ZipFile": content})
            for each, content in (("common", _common_layer()), ("ml", _ml_layer()))
        ]
        function = f"{name}-run-job"
        made = lambdas.create_function(
            FunctionName=function,
            Runtime="python3.11",
            Handler="app.lambda_handler",
            Role=function_role,
            Code={"ZipFile": _code()},
            Layers=[layer["LayerVersionArn"] for layer in layers],
            MemorySize=MEMORY_MB,
            Timeout=timeout_s,
        )
        # One execution environment: an order waits until it has cleared what the job before left.
        lambdas.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=1)
        lambdas.put_function_event_invoke_config(
            FunctionName=function,
            MaximumRetryAttempts=0,
            DestinationConfig={"OnFailure": {"Destination": failures}},
        )
        lambdas.get_waiter("function_active_v2").wait(
            FunctionName=function, WaiterConfig={"Delay": 0.05, "MaxAttempts": 100}
        )
        place = Place(name, account, {MEMORY_MB: made["FunctionArn"]}, runner_arn, 7)
        jobs = FunctionJobs(place, S3Objects(s3), cloud.client)
        return cls(cloud, bucket, data_bucket, jobs, account, queue, function)

    # ------------------------------------------------------------------------------------------------- jobs

    def put(self, key: str, body: bytes | str) -> str:
        self.cloud.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"

    def read(self, key: str) -> bytes:
        body = self.cloud.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"]
        return bytes(body.read())

    def keys(self, prefix: str) -> list[str]:
        listed = self.cloud.client("s3").list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return [each["Key"] for each in listed.get("Contents", [])]

    def processing(self, name: str, script: str, max_runtime_s: int = 40, **more: Any) -> dict[str, Any]:
        """A request for a script that reads `input` and writes `output`."""
        code = self.put(f"projects/{PIPELINE}/{name}/code/script.py", script)
        self.put(f"runs/{PIPELINE}/{RUN}/prepare/{name}-in/data.csv", "x\n1\n")
        source = f"s3://{self.bucket}/runs/{PIPELINE}/{RUN}/prepare/{name}-in/"
        return {
            "ProcessingJobName": name,
            "RoleArn": run_role(self.account, PIPELINE, RUN).arn,
            "AppSpecification": {
                "ImageUri": "image",
                "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/script.py"],
            },
            "ProcessingInputs": [
                _input("code", code.rpartition("/")[0] + "/", "input/code"),
                _input("data", source, "input/data"),
            ],
            "ProcessingOutputConfig": {
                "Outputs": [
                    {
                        "OutputName": "out",
                        "S3Output": {
                            "S3Uri": f"s3://{self.bucket}/runs/{PIPELINE}/{RUN}/evaluate/{name}",
                            "LocalPath": "/opt/ml/processing/out",
                            "S3UploadMode": "EndOfJob",
                        },
                    }
                ]
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": max_runtime_s},
            "Environment": {},
            **more,
        }

    def training(self, name: str, script: str, max_runtime_s: int = 40, **more: Any) -> dict[str, Any]:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            info = tarfile.TarInfo("train.py")
            info.size = len(script.encode())
            tar.addfile(info, io.BytesIO(script.encode()))
        code = self.put(f"projects/{PIPELINE}/{name}/sourcedir.tar.gz", buffer.getvalue())
        self.put(f"runs/{PIPELINE}/{RUN}/prepare/train/data.csv", "x\n1\n")
        source = {
            "S3DataType": "S3Prefix",
            "S3Uri": f"s3://{self.bucket}/runs/{PIPELINE}/{RUN}/prepare/train/",
            "S3DataDistributionType": "FullyReplicated",
        }
        return {
            "TrainingJobName": name,
            "RoleArn": run_role(self.account, PIPELINE, RUN).arn,
            "AlgorithmSpecification": {
                "TrainingImage": "image",
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "accuracy", "Regex": "accuracy: ([0-9.]+)"}],
            },
            "HyperParameters": {
                "alpha": "0.5",
                "sagemaker_program": json.dumps("train.py"),
                "sagemaker_submit_directory": json.dumps(code),
            },
            "InputDataConfig": [
                {"ChannelName": "train", "DataSource": {"S3DataSource": source}, "InputMode": "File"}
            ],
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/runs/{PIPELINE}/{RUN}/train"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
            "StoppingCondition": {"MaxRuntimeInSeconds": max_runtime_s},
            **more,
        }

    def start(self, request: Mapping[str, Any], pipeline: str = PIPELINE) -> bool:
        return self.jobs.start(
            kind_of(request), request, Room(pipeline, MEMORY_MB, self.packages), lambda: None
        )

    def with_packages(self) -> LambdaJobs:
        """The same with an environment, whose package has a compiled module: after a job that loads it, an
        interpreter waits that has.
        """
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("pack/__init__.py"))
            compiled = Path(str(markupsafe._speedups.__file__))
            tar.add(compiled, f"pack/{compiled.name}")
        archive = zstandard.ZstdCompressor().compress(buffer.getvalue())
        digest = hashlib.sha256(archive).hexdigest()
        uri = self.put(f"environments/{digest}.tar.zst", archive)
        return replace(self, packages={"digest": digest, "uri": uri})

    def warm_up(self, name: str) -> None:
        self.run(self.processing(name, "import time, pack._speedups\ntime.sleep(1)"))

    def run(self, request: Mapping[str, Any], pipeline: str = PIPELINE) -> dict[str, Any]:
        self.start(request, pipeline)
        return self.ended(request)

    def ended(self, request: Mapping[str, Any], timeout_s: float = 120) -> dict[str, Any]:
        kind, name = kind_of(request), name_of(request)

        def look() -> dict[str, Any]:
            described = self.jobs.describe(kind, name)
            assert described is not None
            status = described.get("ProcessingJobStatus") or described.get("TrainingJobStatus")
            return described if status in ("Completed", "Failed", "Stopped") else {}

        return wait_for(look, timeout_s)

    def log(self, name: str) -> list[str]:
        logs = self.cloud.client("logs")
        group = f"/sluice/{self.jobs._place.stack}/jobs/{PIPELINE}"
        found = logs.filter_log_events(logGroupName=group)["events"]
        return [each["message"] for each in found if each["logStreamName"].startswith(f"{name}/")]

    def failure(self, timeout_s: int = 120) -> dict[str, Any]:
        """Lambda's record of the next failed invocation."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            answer = self.cloud.client("sqs").receive_message(QueueUrl=self.failures_url, WaitTimeSeconds=5)
            for message in answer.get("Messages", []):
                self.cloud.client("sqs").delete_message(
                    QueueUrl=self.failures_url, ReceiptHandle=message["ReceiptHandle"]
                )
                record: dict[str, Any] = json.loads(message["Body"])
                return record
        raise AssertionError("no invocation failed")


def kind_of(request: Mapping[str, Any]) -> JobKind:
    return "training_job" if "TrainingJobName" in request else "processing_job"


def name_of(request: Mapping[str, Any]) -> str:
    return str(request.get("TrainingJobName") or request["ProcessingJobName"])


def _input(name: str, uri: str, folder: str) -> dict[str, Any]:
    source = {
        "S3Uri": uri,
        "LocalPath": f"/opt/ml/processing/{folder}",
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
    }
    return {"InputName": name, "S3Input": source}


def _role(iam: Any, name: str, trust: Any, statements: list[Any]) -> str:
    version = {"Version": "2012-10-17"}
    made = iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({**version, "Statement": [trust]})
    )
    policy = json.dumps({**version, "Statement": statements})
    iam.put_role_policy(RoleName=name, PolicyName="it", PolicyDocument=policy)
    return str(made["Role"]["Arn"])


def _runner_statements(stack: str, bucket: str) -> list[dict[str, Any]]:
    """What JobRunnerRole of the template allows."""
    return [
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": f"arn:aws:s3:::{bucket}/jobs/*",
        },
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/environments/*"},
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": f"arn:aws:logs:us-east-1:*:log-group:/sluice/{stack}/jobs/*",
        },
        {"Effect": "Allow", "Action": "events:PutEvents", "Resource": "*"},
    ]


def _code() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.write(REPOSITORY / "functions/run_job/app.py", "app.py")
    return buffer.getvalue()


@cache
def _common_layer() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        source = REPOSITORY / "layers/common"
        for path in sorted((source / "sluice").rglob("*.py")):
            archive.write(path, f"python/{path.relative_to(source)}")
        for file in metadata.files("zstandard") or []:
            archive.write(Path(str(file.locate())), f"python/{file}")
    return buffer.getvalue()


def _ml_layer() -> bytes:
    return (REPOSITORY / "layers/opt_ml/opt-ml.zip").read_bytes()
