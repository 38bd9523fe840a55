"""A cloud that is started again has what was in it, after a clean stop and after SIGKILL."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.functions import create_function, create_queue, invoke, wait_for
from local.hosting import Hosting
from local.jobs import Jobs
from local.pipelines import PASSING, Pipelines, callback
from sluice_local import host
from sluice_local.cloud import LocalCloud
from sluice_local.interrupted import CAUSE, ERROR
from sluice_local.state.files import StateFiles

BUCKET = "kept-objects"
LARGE = os.urandom(100_000)
ROLE = "arn:aws:iam::000000000000:role/any"
MACHINE = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 600, "End": True}}}


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def start(state_dir: Path) -> Iterator[Callable[..., LocalCloud]]:
    """Start a cloud on the same state directory."""
    clouds: list[LocalCloud] = []

    def started(*options: str) -> LocalCloud:
        clouds.append(LocalCloud(state_dir, *options))
        return clouds[-1].start()

    yield started
    for cloud in clouds:
        cloud.stop()


def continued(state_dir: Path) -> Any:
    return json.loads((state_dir / "ready.json").read_text()).get("continued")


def saved_jobs(state_dir: Path) -> bytes:
    """The training jobs of the last save."""
    files = StateFiles(state_dir / "saved")
    parts = next(files.manifests(), {}).get("parts", {})
    return files.get(parts["sagemaker training-job"]["digest"]) if parts else b""


def kill(cloud: LocalCloud) -> None:
    """As a power cut: neither the cloud nor its guardian has time for anything."""
    children = Path(f"/proc/{cloud.pid}/task/{cloud.pid}/children").read_text().split()
    for pid in (*map(int, children), cloud.pid):
        os.kill(pid, signal.SIGKILL)
    cloud.stop()


def fill(cloud: LocalCloud) -> str:
    """Something of every service; the queue's URL."""
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=BUCKET, Key="a/large", Body=LARGE, Metadata={"m": "1"}, Tagging="t=1")
    s3.put_object(Bucket=BUCKET, Key="a/large", Body=b"small")
    cloud.client("dynamodb").create_table(
        TableName="kept",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    cloud.client("dynamodb").put_item(TableName="kept", Item={"pk": {"S": "1"}, "b": {"B": b"\0"}})
    url: str = cloud.client("sqs").create_queue(QueueName="kept")["QueueUrl"]
    cloud.client("sqs").send_message(QueueUrl=url, MessageBody="received, but by nobody who is left")
    cloud.client("sqs").receive_message(QueueUrl=url, VisibilityTimeout=600)
    create_function(cloud, "kept", "def handler(event, context):\n    print('said')\n    return event")
    invoke(cloud, "kept", 1)
    cloud.client("iam").create_role(RoleName="kept", AssumeRolePolicyDocument="{}")
    cloud.client("events").put_rule(Name="kept", EventPattern='{"source": ["any"]}')
    cloud.client("cloudwatch").put_metric_alarm(
        **{"AlarmName": "kept", "Namespace": "N", "MetricName": "M", "Statistic": "Sum", "Threshold": 1},
        **{"Period": 60, "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold"},
    )
    cloud.client("stepfunctions").create_state_machine(
        name="kept", definition=json.dumps(MACHINE), roleArn=ROLE
    )
    return url


def check(cloud: LocalCloud, queue_url: str) -> None:
    s3 = cloud.client("s3")
    sizes = [item["Size"] for item in s3.list_object_versions(Bucket=BUCKET)["Versions"]]
    assert sizes == [5, len(LARGE)]
    old = s3.list_object_versions(Bucket=BUCKET)["Versions"][1]["VersionId"]
    found = s3.get_object(Bucket=BUCKET, Key="a/large", VersionId=old)
    assert (found["Body"].read(), found["Metadata"]) == (LARGE, {"m": "1"})
    item = cloud.client("dynamodb").get_item(TableName="kept", Key={"pk": {"S": "1"}})["Item"]
    assert item["b"]["B"] == b"\0"
    (message,) = cloud.client("sqs").receive_message(QueueUrl=queue_url)["Messages"]
    assert message["Body"].startswith("received")
    assert invoke(cloud, "kept", 2) == (2, None)
    events = cloud.client("logs").filter_log_events(logGroupName="/aws/lambda/kept")["events"]
    assert sum(event["message"].strip() == "said" for event in events) == 2
    assert cloud.client("iam").get_role(RoleName="kept")["Role"]["RoleName"] == "kept"
    assert cloud.client("events").describe_rule(Name="kept")["State"] == "ENABLED"
    (alarm,) = cloud.client("cloudwatch").describe_alarms(AlarmNames=["kept"])["MetricAlarms"]
    assert alarm["Threshold"] == 1


def test_after_a_clean_stop_everything_is_there_and_an_endpoint_serves(
    start: Callable[..., LocalCloud], state_dir: Path, unique: Callable[[str], str]
) -> None:
    cloud = start()
    assert continued(state_dir) is None
    url = fill(cloud)
    hosting = Hosting(cloud, unique)
    endpoint = hosting.endpoint(hosting.config(hosting.model("first")))
    machine = cloud.client("stepfunctions").list_state_machines()["stateMachines"][0]["stateMachineArn"]
    arn = cloud.client("stepfunctions").start_execution(stateMachineArn=machine)["executionArn"]
    cloud.stop()

    again = start()
    assert again.endpoint_url == cloud.endpoint_url
    check(again, url)
    taken_up = continued(state_dir)
    assert (taken_up["endpoints"], taken_up["left_out"]) == ([endpoint], [])
    resumed = Hosting(again, unique)
    resumed._endpoints.append(endpoint)
    wait_for(lambda: resumed.describe(endpoint)["EndpointStatus"] == "InService", 60)
    assert resumed.answers(endpoint) == "first"
    assert again.client("stepfunctions").describe_execution(executionArn=arn)["error"] == ERROR
    again.stop()
    assert start("--fresh").client("s3").list_buckets()["Buckets"] == []


def unused_port() -> int:
    with host.free_socket() as sock:
        port: int = sock.getsockname()[1]
        return port


def listen(cloud: LocalCloud) -> str:
    """A queue that is told of executions and training jobs that fail; its URL."""
    url, arn = create_queue(cloud, "told")
    failed = [{"status": ["FAILED"]}, {"TrainingJobStatus": ["Failed"]}]
    pattern = {"source": ["aws.states", "aws.sagemaker"], "detail": {"$or": failed}}
    cloud.client("events").put_rule(Name="told", EventPattern=json.dumps(pattern))
    cloud.client("events").put_targets(Rule="told", Targets=[{"Id": "1", "Arn": arn}])
    return url


def received(cloud: LocalCloud, url: str, number: int) -> set[str]:
    """The sources of so many events in a queue."""
    found: list[str] = []

    def enough() -> bool:
        messages = cloud.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        found.extend(json.loads(message["Body"])["source"] for message in messages.get("Messages", []))
        return len(found) >= number

    wait_for(enough, 20)
    return set(found)


def test_after_a_kill_what_was_under_way_has_failed_and_what_is_torn_is_left_out(
    start: Callable[..., LocalCloud], state_dir: Path, unique: Callable[[str], str]
) -> None:
    cloud = start()
    fill(cloud)
    told = listen(cloud)
    machine = cloud.client("stepfunctions").list_state_machines()["stateMachines"][0]["stateMachineArn"]
    execution = cloud.client("stepfunctions").start_execution(stateMachineArn=machine)["executionArn"]
    pipelines = Pipelines(cloud, unique)
    pipelines.create(PASSING, callback("Wait", pipelines.queue(), DependsOn=["Pass"]))
    run = pipelines.start()
    pipelines.step_in(run, "Wait", "Executing")
    job = Jobs(cloud, BUCKET, unique).start_training("import time; time.sleep(600)")
    wait_for(lambda: job.encode() in saved_jobs(state_dir), 30)
    kill(cloud)
    (torn,) = (path for path in (state_dir / "saved/objects").iterdir() if path.read_bytes() == LARGE)
    torn.write_bytes(LARGE[:-1])

    # On another port, as if another program had taken the old one.
    again = start("--port", str(unused_port()))
    told = told.replace(cloud.endpoint_url, again.endpoint_url)
    assert cloud.endpoint_url != again.endpoint_url
    taken_up = continued(state_dir)
    assert (taken_up["jobs"], len(taken_up["executions"])) == ([job], 1)
    (left_out,) = taken_up["left_out"]
    assert "a/large" in left_out
    ended = again.client("stepfunctions").describe_execution(executionArn=execution)
    assert (ended["status"], ended["error"], ended["cause"]) == ("FAILED", ERROR, CAUSE)
    described = again.client("sagemaker").describe_training_job(TrainingJobName=job)
    assert (described["TrainingJobStatus"], described["FailureReason"]) == ("Failed", CAUSE)
    assert taken_up["pipeline_executions"] == [run.partition("/")[2]]
    sagemaker = again.client("sagemaker")
    described = sagemaker.describe_pipeline_execution(PipelineExecutionArn=run)
    assert (described["PipelineExecutionStatus"], described["FailureReason"]) == ("Failed", CAUSE)
    listed = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=run)["PipelineExecutionSteps"]
    assert [(step["StepName"], step["StepStatus"]) for step in listed] == [
        ("Wait", "Failed"),
        ("Pass", "Succeeded"),
    ]
    sagemaker.retry_pipeline_execution(PipelineExecutionArn=run)
    described = sagemaker.describe_pipeline_execution(PipelineExecutionArn=run)
    assert described["PipelineExecutionStatus"] == "Executing"
    assert again.client("sqs").get_queue_url(QueueName="told")["QueueUrl"] == told
    assert received(again, told, 2) == {"aws.states", "aws.sagemaker"}
    listed = again.client("s3").list_object_versions(Bucket=BUCKET, Prefix="a/")["Versions"]
    assert [item["Size"] for item in listed] == [5]
