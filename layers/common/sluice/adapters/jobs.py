"""Adapter for training, processing and transform jobs in SageMaker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from sluice.adapters.clients import client, error_code, error_message, refusal
from sluice.adapters.logs import JOB_GROUPS, SageMakerLogs
from sluice.domain.quotas import QuotaError
from sluice.domain.safeguards import Safeguards
from sluice.ports import JobKind, SageMakerJobKind

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

# Describe takes only a name, and answers ValidationException if no job has it.
_ABSENT = {"ResourceNotFound", "ValidationException"}
# So does Stop, which answers ValidationException also for a job that has ended.
_NOT_RUNNING = _ABSENT


class SageMakerJobs:
    """Jobs by their names, which are unique in an account and region."""

    def __init__(
        self, sagemaker: SageMakerClient | None = None, safeguards: Safeguards | None = None
    ) -> None:
        self._sagemaker: SageMakerClient = sagemaker or client("sagemaker")
        self._safeguards = safeguards or Safeguards()
        self._logs = SageMakerLogs(self._safeguards)

    def start(self, kind: SageMakerJobKind, request: Mapping[str, Any]) -> bool:
        if kind == "pipeline_execution":
            raise ValueError("an execution of a pipeline is no job")
        secured = self._safeguards.job(kind, dict(request))
        self._logs.limit(JOB_GROUPS[kind])
        try:
            if kind == "training_job":
                self._sagemaker.create_training_job(**secured)
            elif kind == "transform_job":
                self._sagemaker.create_transform_job(**secured)
            else:
                self._sagemaker.create_processing_job(**secured)
        except ClientError as error:
            if error_code(error) == "ResourceInUse":
                return False
            if error_code(error) == "ResourceLimitExceeded":
                raise QuotaError(error_message(error)) from error
            if error_code(error) == "ValidationException":
                raise refusal(error) from error
            raise
        return True

    def describe(self, kind: SageMakerJobKind, name: str) -> dict[str, Any] | None:
        try:
            if kind == "training_job":
                return dict(self._sagemaker.describe_training_job(TrainingJobName=name))
            if kind == "transform_job":
                return dict(self._sagemaker.describe_transform_job(TransformJobName=name))
            return dict(self._sagemaker.describe_processing_job(ProcessingJobName=name))
        except ClientError as error:
            if error_code(error) in _ABSENT:
                return None
            raise

    def stop(self, kind: JobKind, name: str) -> None:
        try:
            if kind == "training_job":
                self._sagemaker.stop_training_job(TrainingJobName=name)
            else:
                self._sagemaker.stop_processing_job(ProcessingJobName=name)
        except ClientError as error:
            if error_code(error) not in _NOT_RUNNING:
                raise
