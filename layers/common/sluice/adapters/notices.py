"""Adapter for how notices leave: a topic of SNS, and the queue of what goes to webhooks."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from sluice.domain.notices import bodies

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

    from sluice.catalog.records.notices import Channel, Notice


class SnsNotices:
    """Messages for a topic carry their kind and pipeline, by which subscribers may filter."""

    def __init__(
        self,
        stack: str,
        topic_arn: str,
        queue_url: str,
        webhooks: Collection[Channel],
        sns: Any,
        sqs: SQSClient,
    ) -> None:
        self._stack = stack
        self._topic_arn = topic_arn
        self._queue_url = queue_url
        self._webhooks = webhooks
        self._sns = sns
        self._sqs = sqs

    def publish(self, notice: Notice) -> None:
        said = {
            name: {"DataType": "String", "StringValue": value}
            for name, value in bodies.attributes(notice).items()
        }
        self._sns.publish(
            TopicArn=self._topic_arn,
            Subject=bodies.subject(notice, self._stack),
            Message=bodies.message(notice),
            MessageStructure="json",
            MessageAttributes=said,
        )

    def has(self, channel: Channel) -> bool:
        return channel in self._webhooks

    def queue(self, key: str, channel: Channel) -> None:
        body = json.dumps({"key": key, "channel": channel})
        self._sqs.send_message(QueueUrl=self._queue_url, MessageBody=body)
