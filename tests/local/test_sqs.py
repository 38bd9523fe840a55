"""SQS as an event source of Lambda: latency, partial failures, redrive."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from local.functions import create_function, create_queue, invoke, receive, wait_for
from sluice_local.cloud import LocalCloud

# Writes when it ran, by its own clock, and what it got.
RECORDER = """
import boto3, json, time
s3 = boto3.client("s3")
def handler(event, context):
    now = time.time()
    for record in event["Records"]:
        s3.put_object(Bucket="{bucket}", Key=record["body"], Body=json.dumps(now))
"""


def test_a_message_invokes_its_function_as_soon_as_it_is_visible(
    cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    seen = Recorder(cloud, unique)
    seen.send("warm up")
    wait_for(lambda: seen.time("warm up"))
    time.sleep(1.5)  # the poller is at rest
    late_s = []
    for number, delay_s in enumerate((0, 0, 0, 1, 2)):
        sent = time.time()
        seen.send(f"m{number}", DelaySeconds=delay_s)
        late_s.append(wait_for(lambda key=f"m{number}": seen.time(key)) - sent - delay_s)  # type: ignore[misc]
    assert min(late_s) >= 0
    # Whoever looks once a second is later for most.
    assert statistics.median(late_s) < 0.25


def test_messages_sent_at_once_from_many_threads_are_all_processed(
    cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    seen = Recorder(cloud, unique)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda order: seen.send(f"m{order}"), range(120)))
    wait_for(lambda: len(seen.keys()) == 120)
    assert seen.keys() == {f"m{order}" for order in range(120)}


@pytest.mark.parametrize("report_item_failures", [True, False])
def test_what_fails_is_retried_until_it_lands_in_the_dead_letter_queue(
    cloud: LocalCloud, unique: Callable[[str], str], report_item_failures: bool
) -> None:
    dead_url, dead_arn = create_queue(cloud, unique("dead"))
    redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 2})
    url, arn = create_queue(cloud, unique("work"), VisibilityTimeout="1", RedrivePolicy=redrive)
    name = unique("worker")
    if report_item_failures:
        source = """
def handler(event, context):
    bad = [record["messageId"] for record in event["Records"] if record["body"] == "bad"]
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in bad]}
"""
    else:
        source = """
def handler(event, context):
    if any(record["body"] == "bad" for record in event["Records"]):
        raise ValueError("bad record")
"""
    create_function(cloud, name, source, Timeout=1)
    invoke(cloud, name, {"Records": []})  # a cold start may outlast the time for which a message is hidden
    cloud.client("lambda").create_event_source_mapping(
        FunctionName=name,
        EventSourceArn=arn,
        BatchSize=10 if report_item_failures else 1,
        FunctionResponseTypes=["ReportBatchItemFailures"] if report_item_failures else [],
    )
    entries = [{"Id": body, "MessageBody": body} for body in ("good", "bad", "fine")]
    cloud.client("sqs").send_message_batch(QueueUrl=url, Entries=entries)
    (message,) = receive(cloud, dead_url)
    assert message["Body"] == "bad"
    assert message["Attributes"]["DeadLetterQueueSourceArn"] == arn

    def is_empty() -> bool:
        counts = cloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return all(counts[name] == "0" for name in names)

    wait_for(is_empty)
    assert receive(cloud, dead_url, wait_s=0) == []


class Recorder:
    """A queue whose messages a function records in a bucket."""

    def __init__(self, cloud: LocalCloud, unique: Callable[[str], str]) -> None:
        self.bucket, name = unique("recorder"), unique("recorder")
        self.s3, self.sqs = cloud.client("s3"), cloud.client("sqs")
        self.s3.create_bucket(Bucket=self.bucket)
        self.url, arn = create_queue(cloud, unique("recorder"))
        create_function(cloud, name, RECORDER.replace("{bucket}", self.bucket))
        cloud.client("lambda").create_event_source_mapping(
            FunctionName=name, EventSourceArn=arn, BatchSize=10
        )

    def send(self, body: str, **options: int) -> None:
        self.sqs.send_message(QueueUrl=self.url, MessageBody=body, **options)

    def keys(self) -> set[str]:
        return {item["Key"] for item in self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])}

    def time(self, key: str) -> float:
        if key not in self.keys():
            return 0.0
        return float(json.loads(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()))
