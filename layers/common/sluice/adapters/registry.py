"""Adapter for the SageMaker Model Registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from sluice.adapters.clients import client, error_code
from sluice.domain.safeguards import Safeguards

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

# The registry answers ValidationException if there is no such group or package.
_ABSENT = {"ResourceNotFound", "ValidationException"}


class SageMakerRegistry:
    """Groups by name, versions by ARN."""

    def __init__(
        self, sagemaker: SageMakerClient | None = None, safeguards: Safeguards | None = None
    ) -> None:
        self._sagemaker: SageMakerClient = sagemaker or client("sagemaker")
        self._safeguards = safeguards or Safeguards()

    def ensure_group(self, name: str, description: str, tags: Sequence[Mapping[str, str]]) -> None:
        if not self._has_group(name):
            self._create_group(name, description, tags)

    def _create_group(self, name: str, description: str, tags: Sequence[Mapping[str, str]]) -> None:
        request = {
            "ModelPackageGroupName": name,
            "ModelPackageGroupDescription": description,
            "Tags": [*tags],
        }
        try:
            self._sagemaker.create_model_package_group(**self._safeguards.tagged(request))
        except ClientError:
            # Someone may have just created it: look for the group instead of at the error's text.
            if not self._has_group(name):
                raise

    def _has_group(self, name: str) -> bool:
        try:
            self._sagemaker.describe_model_package_group(ModelPackageGroupName=name)
        except ClientError as error:
            if error_code(error) in _ABSENT:
                return False
            raise
        return True

    def create_package(self, request: Mapping[str, Any]) -> str:
        return self._sagemaker.create_model_package(**request)["ModelPackageArn"]

    def describe_package(self, arn: str) -> dict[str, Any] | None:
        try:
            return dict(self._sagemaker.describe_model_package(ModelPackageName=arn))
        except ClientError as error:
            if error_code(error) in _ABSENT:
                return None
            raise

    def write_life_cycle(self, arn: str, life_cycle: Mapping[str, str]) -> None:
        wanted: Any = dict(life_cycle)
        self._sagemaker.update_model_package(ModelPackageArn=arn, ModelLifeCycle=wanted)

    def packages(
        self, group: str, before: datetime | None = None, status: str | None = None
    ) -> Iterator[dict[str, Any]]:
        asked = {"CreationTimeBefore": before, "ModelApprovalStatus": status}
        only: Any = {name: value for name, value in asked.items() if value is not None}
        pages = self._sagemaker.get_paginator("list_model_packages").paginate(
            ModelPackageGroupName=group, SortBy="CreationTime", SortOrder="Descending", **only
        )
        try:
            for page in pages:
                yield from map(dict, page["ModelPackageSummaryList"])
        except ClientError as error:
            if error_code(error) not in _ABSENT:
                raise
