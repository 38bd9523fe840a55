"""A cloud that is started again has what was in it, after a clean stop and after SIGKILL."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from local.functions import alive, create_function, create_queue, invoke, receive, wait_for
from local.hosting import Hosting
from local.jobs import Jobs
from local.pipelines import PASSING, Pipelines, callback
from sluice.containers.processes import seen_below
from sluice_local.cloud import LocalCloud
from sluice_local.interrupted import CAUSE, ERROR
from sluice_local.state.files import StateFiles, TornError
from sluice_local.state.pickles import loads

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


def saved(state_dir: Path, part: str) -> bytes:
    """One part of the last save, such as its training jobs."""
    files = StateFiles(state_dir / "saved")
    parts = next(files.manifests(), {}).get("parts", {})
    try:
        return files.get(parts[part]["digest"]) if parts else b""
    except TornError:  # there are newer ones
        return b""


def kill(cloud: LocalCloud) -> None:
    """As a power cut: neither the cloud nor its guardian, nor what they run, has time for anything."""
    for pid in (*seen_below(cloud.pid), cloud.pid):
        with suppress(ProcessLookupError):
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
    wait_for(lambda: resumed.describe(endpoint)["EndpointStatus"] == "InService")
    assert resumed.answers(endpoint) == "first"
    assert again.client("stepfunctions").describe_execution(executionArn=arn)["error"] == ERROR
    again.stop()
    assert start("--fresh").client("s3").list_buckets()["Buckets"] == []


def take(port: int) -> socket.socket:
    """A socket that listens there, once the end of who did so has come."""
    found: list[socket.socket] = []

    def try_it() -> bool:
        with suppress(OSError):
            found.append(socket.create_server(("127.0.0.1", port)))
        return bool(found)

    wait_for(try_it)
    return found[0]


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

    wait_for(enough)
    return set(found)


SLEEPER = f"""
import time, boto3
from botocore.exceptions import ClientError
def handler(event, context):
    s3 = boto3.client("s3")
    try:
        s3.put_object(Bucket="{BUCKET}", Key=event, IfNoneMatch="*")
    except ClientError:
        return "slept before"
    time.sleep(600)
"""


def invoke_sleepers(cloud: LocalCloud) -> str:
    """Begin an invocation that may not be tried again, and one that may once; the queue of their outcomes."""
    url, arn = create_queue(cloud, "outcomes")
    for retries in range(2):
        name = f"sleeper-{retries}"
        create_function(cloud, name, SLEEPER, Timeout=900)
        cloud.client("lambda").put_function_event_invoke_config(
            FunctionName=name,
            MaximumRetryAttempts=retries,
            DestinationConfig={"OnFailure": {"Destination": arn}, "OnSuccess": {"Destination": arn}},
        )
        cloud.client("lambda").invoke(FunctionName=name, Payload=json.dumps(name), InvocationType="Event")
        cloud.client("s3").get_waiter("object_exists").wait(
            Bucket=BUCKET, Key=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 1000}
        )
    return url


def all_tried(events: bytes, number: int) -> bool:
    """Tell whether so many events are saved, and an attempt at each is under way."""
    tried = [is_tried for *_, is_tried in loads(events)] if events else []
    return tried == [True] * number


def ends_of_invocations(cloud: LocalCloud, url: str, number: int) -> list[tuple[str, str, int, str]]:
    """Of so many invocations: function, condition, attempts, and the answer or the error's type."""
    found = []

    def enough() -> bool:
        for message in receive(cloud, url, 1):
            record = json.loads(message["Body"])
            context, answer = record["requestContext"], record["responsePayload"]
            answer = answer["errorType"] if isinstance(answer, dict) else answer
            attempts = context["approximateInvokeCount"]
            found.append((record["requestPayload"], context["condition"], attempts, answer))
        return len(found) >= number

    wait_for(enough)
    return found


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
    outcomes = invoke_sleepers(cloud)
    wait_for(lambda: job.encode() in saved(state_dir, "sagemaker training-job"))
    wait_for(lambda: all_tried(saved(state_dir, "events"), 2))
    # An attempt is under way before its function says so.
    wait_for(lambda: all(name in saved(state_dir, "s3") for name in (b"sleeper-0", b"sleeper-1")))
    below = [*seen_below(cloud.pid)]
    kill(cloud)
    wait_for(lambda: not any(map(alive, below)))
    (torn,) = (path for path in (state_dir / "saved/objects").iterdir() if path.read_bytes() == LARGE)
    torn.write_bytes(LARGE[:-1])

    # On another port, as another program has taken the old one.
    with take(int(cloud.endpoint_url.rpartition(":")[2])):
        again = start()
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
    # An attempt that was lost counts: the one that may try again does so.
    assert taken_up["events"] == 2
    outcomes = outcomes.replace(cloud.endpoint_url, again.endpoint_url)
    assert sorted(ends_of_invocations(again, outcomes, 2)) == [
        ("sleeper-0", "RetriesExhausted", 1, "Runtime.ExitError"),
        ("sleeper-1", "Success", 2, "slept before"),
    ]
    sagemaker.retry_pipeline_execution(PipelineExecutionArn=run)
    described = sagemaker.describe_pipeline_execution(PipelineExecutionArn=run)
    assert described["PipelineExecutionStatus"] == "Executing"
    assert again.client("sqs").get_queue_url(QueueName="told")["QueueUrl"] == told
    assert received(again, told, 2) == {"aws.states", "aws.sagemaker"}
    listed = again.client("s3").list_object_versions(Bucket=BUCKET, Prefix="a/")["Versions"]
    assert [item["Size"] for item in listed] == [5]
