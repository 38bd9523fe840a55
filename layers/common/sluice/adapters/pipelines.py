"""Adapter for pipelines of SageMaker and their executions, which are found by their display names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from sluice.adapters.clients import client, error_code, error_message, refusal
from sluice.domain import names
from sluice.domain.quotas import QuotaError
from sluice.ports import PUSHED, JobKind

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

_ABSENT = {"ResourceNotFound", "ValidationException"}
_DENIED = {"AccessDenied", "AccessDeniedException"}
_RUNNING = {"Executing"}
_CHANGED = {
    *("PipelineName", "PipelineDescription", "PipelineDefinitionS3Location", "PipelineDefinition", "RoleArn"),
}
# The newest executions of a pipeline: a run's is among them, as a pipeline has one build in flight.
_LISTED = 100


class SageMakerPipelines:
    """Pipelines by name; an execution's name begins with its pipeline's."""

    def __init__(self, role_arn: str, sagemaker: SageMakerClient | None = None) -> None:
        self._role_arn = role_arn
        self._sagemaker: SageMakerClient = sagemaker or client("sagemaker")

    def put(self, request: Mapping[str, Any]) -> None:
        known = self._describe_pipeline(request["PipelineName"])
        if known is not None and _is_same(known, request):
            return
        wanted = {name: value for name, value in request.items() if name != PUSHED}
        wanted["RoleArn"] = self._role_arn
        try:
            if known is None:
                self._sagemaker.create_pipeline(**wanted)
            else:
                self._sagemaker.update_pipeline(**{name: wanted[name] for name in _CHANGED & wanted.keys()})
        except ClientError as error:
            raise _refusal(error) from error

    def start(self, kind: JobKind, request: Mapping[str, Any]) -> bool:
        self.put(request["Pipeline"])
        if self._find(request["PipelineExecutionDisplayName"]) is not None:
            return False
        asked = {name: value for name, value in request.items() if name != "Pipeline"}
        try:
            # The token makes it one execution, even if the list does not show it yet.
            self._sagemaker.start_pipeline_execution(**asked)
        except ClientError as error:
            raise _refusal(error) from error
        return True

    def describe(self, kind: JobKind, name: str) -> dict[str, Any] | None:
        arn = self._find(name)
        if arn is None:
            return None
        described = dict(self._sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn))
        return {**described, "Steps": self._steps(arn)}

    def look(self, name: str) -> list[dict[str, Any]]:
        try:
            arn = self._find(name)
            return self._steps(arn) if arn else []
        except ClientError as error:
            if error_code(error) in _DENIED:
                return []
            raise

    def _steps(self, arn: str) -> list[dict[str, Any]]:
        pages = self._sagemaker.get_paginator("list_pipeline_execution_steps").paginate(
            PipelineExecutionArn=arn, SortOrder="Ascending"
        )
        return [dict(step) for page in pages for step in page["PipelineExecutionSteps"]]

    def stop(self, kind: JobKind, name: str) -> None:
        described = self.describe(kind, name)
        if described is None or described["PipelineExecutionStatus"] not in _RUNNING:
            return
        arn, token = described["PipelineExecutionArn"], f"stop-{name}"[:128].ljust(32, "-")
        try:
            self._sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=token)
        except ClientError as error:
            if error_code(error) not in _ABSENT:
                raise

    def _find(self, name: str) -> str | None:
        """Return the ARN of the execution of a display name."""
        try:
            page = self._sagemaker.list_pipeline_executions(
                PipelineName=names.pipeline_of_execution(name),
                SortBy="CreationTime",
                SortOrder="Descending",
                MaxResults=_LISTED,
            )
        except ClientError as error:
            if error_code(error) in _ABSENT:
                return None
            raise
        found = (
            each["PipelineExecutionArn"]
            for each in page["PipelineExecutionSummaries"]
            if each.get("PipelineExecutionDisplayName") == name
        )
        return next(found, None)

    def _describe_pipeline(self, name: str) -> Mapping[str, Any] | None:
        try:
            return self._sagemaker.describe_pipeline(PipelineName=name)
        except ClientError as error:
            if error_code(error) in _ABSENT:
                return None
            raise


def _is_same(known: Mapping[str, Any], request: Mapping[str, Any]) -> bool:
    """Tell whether SageMaker has the version that is wanted, and nobody changed its definition there."""
    if known.get("PipelineDescription") != request["PipelineDescription"]:
        return False
    return bool(json.loads(known["PipelineDefinition"]) == json.loads(request[PUSHED]))


def _refusal(error: ClientError) -> Exception:
    """Return the error for what SageMaker answered, where callers tell refusals from what waiting cures."""
    if error_code(error) == "ResourceLimitExceeded":
        return QuotaError(error_message(error))
    return refusal(error) if error_code(error) == "ValidationException" else error
