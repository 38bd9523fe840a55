"""The BuildRequests queue in SQS."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sluice.adapters.clients import client

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

DELAY_MAX_S = 900


class SqsBuildRequests:
    """A delay beyond what SQS allows is cut: whoever asks too early is told to ask again."""

    def __init__(self, queue_url: str, sqs: SQSClient | None = None) -> None:
        self._queue_url = queue_url
        self._sqs: SQSClient = sqs or client("sqs")

    def send(self, pipeline: str, delay_s: int = 0) -> None:
        self._sqs.send_message(
            QueueUrl=self._queue_url,
            MessageBody=json.dumps({"pipeline": pipeline}),
            DelaySeconds=min(delay_s, DELAY_MAX_S),
        )
