"""Listen to the default event bus of a cloud, for tests."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from sluice_local.cloud import LocalCloud

Event = dict[str, Any]


def queue_policy(queue_arn: str, service: str, source_arn: str) -> str:
    """The policy by which a service may send a queue what comes from a rule or a topic."""
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": source_arn}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [allow]})


class Listener:
    """Every event that matches a pattern, from now on, in the order of arrival."""

    def __init__(self, cloud: LocalCloud, name: str, pattern: dict[str, Any]) -> None:
        sqs, events = cloud.client("sqs"), cloud.client("events")
        self._sqs = sqs
        self._url = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = f"arn:aws:sqs:{cloud.region}:{cloud.account}:{name}"
        rule = events.put_rule(Name=name, EventPattern=json.dumps(pattern))["RuleArn"]
        policy = queue_policy(arn, "events.amazonaws.com", rule)
        sqs.set_queue_attributes(QueueUrl=self._url, Attributes={"Policy": policy})
        events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
        self.received: list[Event] = []

    def poll(self) -> list[Event]:
        """Take what has arrived, and answer with everything so far."""
        while messages := self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                self.received.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return self.received

    def wait_for(self, wanted: Callable[[Event], bool], timeout_s: float = 90) -> Event:
        """The first event that is wanted; fails with what came instead."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for event in self.poll():
                if wanted(event):
                    return event
            time.sleep(0.05)
        raise AssertionError(f"no such event among {json.dumps(self.received, indent=1)}")
