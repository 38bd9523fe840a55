"""Adapter for the BuildRequests queue in SQS."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sluice.adapters.clients import client
from sluice.ports import BUILD_REQUEST_DELAY_MAX_S

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class SqsBuildRequests:
    """Cuts delays to SQS's limit: a request that comes too early is sent again."""

    def __init__(self, queue_url: str, sqs: SQSClient | None = None) -> None:
        self._queue_url = queue_url
        self._sqs: SQSClient = sqs or client("sqs")

    def send(self, pipeline: str, delay_s: int = 0, at: str | None = None) -> None:
        self._sqs.send_message(
            QueueUrl=self._queue_url,
            MessageBody=json.dumps({"pipeline": pipeline} | ({"at": at} if at else {})),
            DelaySeconds=min(delay_s, BUILD_REQUEST_DELAY_MAX_S),
        )
