"""Adapter for log groups in CloudWatch Logs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from sluice.adapters.clients import client, error_code
from sluice.domain.build import log_tails
from sluice.domain.safeguards import Safeguards
from sluice.domain.times import to_iso

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

JOB_GROUPS = log_tails.SAGEMAKER_GROUPS
ENDPOINT_GROUP = log_tails.ENDPOINT_GROUP
# A job has a stream for each of its instances.
_STREAMS_READ = 5
_MISSING = "ResourceNotFoundException"
_UNREADABLE = {_MISSING, "AccessDeniedException"}


class SageMakerLogs:
    """The log groups of SageMaker. It makes missing ones itself, and those keep logs for ever."""

    def __init__(
        self, safeguards: Safeguards | None = None, logs: CloudWatchLogsClient | None = None
    ) -> None:
        self._safeguards = safeguards or Safeguards()
        self._client = logs
        self._limited: set[str] = set()

    def limit(self, group: str) -> None:
        """Set a group's retention to the account's days, if any; make the group if it does not exist."""
        days = self._safeguards.log_retention_days
        if not days or group in self._limited:
            return
        self._client = self._client or client("logs")
        key: dict[str, Any] = (
            {"kmsKeyId": self._safeguards.kms_key_arn} if self._safeguards.kms_key_arn else {}
        )
        try:
            self._client.create_log_group(logGroupName=group, **key)
        except ClientError as error:
            if error_code(error) != "ResourceAlreadyExistsException":
                raise
        self._client.put_retention_policy(logGroupName=group, retentionInDays=days)
        self._limited.add(group)


class CloudWatchJobLogs:
    """The logs of jobs: in a group a stream for each instance of a job, named `<job>/...`."""

    def __init__(self, logs: CloudWatchLogsClient) -> None:
        self._client = logs

    def tail(self, group: str, name: str, lines: int) -> list[str]:
        try:
            return self._tail(group, name, lines)
        except ClientError as error:
            if error_code(error) in _UNREADABLE:
                return []
            raise

    def _tail(self, group: str, name: str, lines: int) -> list[str]:
        found = self._client.describe_log_streams(
            logGroupName=group, logStreamNamePrefix=f"{name}/", limit=_STREAMS_READ
        )
        events = [
            event
            for stream in found["logStreams"]
            for event in self._client.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], limit=lines, startFromHead=False
            )["events"]
        ]
        # In a stream events of one moment are in order, and sorting keeps that.
        events.sort(key=lambda event: event["timestamp"])
        return [event["message"].rstrip("\n") for event in events[-lines:]]


class CloudWatchLogStreams:
    """The streams of log groups that SageMaker made: what is not there is removed already."""

    def __init__(self, logs: CloudWatchLogsClient) -> None:
        self._client = logs

    def streams(self, group: str, prefix: str = "") -> Iterator[tuple[str, str]]:
        named: Any = {"logStreamNamePrefix": prefix} if prefix else {}
        pages = self._client.get_paginator("describe_log_streams").paginate(logGroupName=group, **named)
        try:
            for page in pages:
                for stream in page["logStreams"]:
                    at = datetime.fromtimestamp(stream["creationTime"] / 1000, UTC)
                    yield stream["logStreamName"], to_iso(at)
        except ClientError as error:
            if error_code(error) != _MISSING:
                raise

    def delete(self, group: str, stream: str) -> bool:
        return self._delete(lambda: self._client.delete_log_stream(logGroupName=group, logStreamName=stream))

    def delete_group(self, group: str) -> bool:
        return self._delete(lambda: self._client.delete_log_group(logGroupName=group))

    def _delete(self, delete: Callable[[], object]) -> bool:
        try:
            delete()
        except ClientError as error:
            if error_code(error) != _MISSING:
                raise
            return False
        return True
