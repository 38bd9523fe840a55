"""Make Lambda functions in the local cloud, and wait for what they do."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from botocore.config import Config

from sluice_local.cloud import LocalCloud

T = TypeVar("T")

NO_RETRIES = Config(retries={"total_max_attempts": 1})


def package(source: str, **others: str) -> bytes:
    """A deployment package whose app.py is `source`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", source)
        for name, text in others.items():
            archive.writestr(name.replace("__", "/") + ".py", text)
    return buffer.getvalue()


def create_function(cloud: LocalCloud, name: str, source: str, **options: Any) -> str:
    """A function whose handler is `handler` in `source`; its ARN."""
    options = {"Role": f"arn:aws:iam::{cloud.account}:role/any", "Timeout": 10, **options}
    function = cloud.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.11",
        Handler="app.handler",
        Code={"ZipFile": package(source)},
        **options,
    )
    cloud.client("lambda").get_waiter("function_active_v2").wait(
        FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 1000}
    )
    return str(function["FunctionArn"])


def invoke(cloud: LocalCloud, name: str, event: Any = None, **options: Any) -> tuple[Any, str | None]:
    """The function's answer and, if it failed, what kind of failure."""
    response = cloud.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event), **options)
    return json.loads(response["Payload"].read()), response.get("FunctionError")


def create_queue(cloud: LocalCloud, name: str, **attributes: str) -> tuple[str, str]:
    """A queue's URL and ARN."""
    sqs = cloud.client("sqs")
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    return url, attributes["QueueArn"]


def receive(cloud: LocalCloud, url: str, wait_s: int = 20) -> list[dict[str, Any]]:
    """Messages of a queue with all their attributes, deleted from it."""
    sqs = cloud.client("sqs")
    response = sqs.receive_message(
        QueueUrl=url,
        WaitTimeSeconds=wait_s,
        MaxNumberOfMessages=10,
        MessageAttributeNames=["All"],
        MessageSystemAttributeNames=["All"],
    )
    messages: list[dict[str, Any]] = response.get("Messages", [])
    for message in messages:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return messages


def wait_for(read: Callable[[], T], timeout_s: float = 90.0) -> T:
    """The first truthy answer of `read`; what would hang is told by the timeout, and nothing else is."""
    deadline = time.monotonic() + timeout_s
    while True:
        if answer := read():
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"nothing within {timeout_s} s")
        time.sleep(0.02)


def log_lines(cloud: LocalCloud, name: str) -> list[str]:
    """Every line the function logged so far."""
    events = cloud.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    return [event["message"] for event in events]


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
