"""Adapter for log groups in CloudWatch Logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from sluice.adapters.clients import client, error_code
from sluice.domain.safeguards import Safeguards

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

JOB_GROUPS = {
    "training_job": "/aws/sagemaker/TrainingJobs",
    "processing_job": "/aws/sagemaker/ProcessingJobs",
}
ENDPOINT_GROUP = "/aws/sagemaker/Endpoints/{name}"


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
