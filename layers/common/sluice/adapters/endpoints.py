"""Adapter for SageMaker models, endpoint configs and endpoints, and their invocation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError

from sluice.adapters.clients import client, error_code, error_message, refusal
from sluice.adapters.logs import ENDPOINT_GROUP, SageMakerLogs
from sluice.domain.failures import TransientError
from sluice.domain.quotas import QuotaError
from sluice.domain.safeguards import Safeguards
from sluice.ports import EndpointBusyError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

# Describe takes only a name, and answers ValidationException if nothing has it.
_ABSENT = {"ResourceNotFound", "ValidationException"}
# SageMaker's answer to a bad request and also to a good one at the wrong time.
_WRONG = "ValidationException"
_AT_THE_WRONG_TIME = {_WRONG, "ResourceInUse", "ConflictException"}
# SageMaker may not yet find a new resource that a request names.
_SETTLES = timedelta(seconds=90)
_OK, _UNANSWERED = 200, 504
# A model may take a minute to answer. The caller decides whether to retry.
_PATIENT = Config(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=3, read_timeout=65)


class SageMakerEndpoints:
    """What exists already is not made again, which is no error: the answer says so."""

    def __init__(
        self,
        sagemaker: SageMakerClient | None = None,
        runtime: SageMakerRuntimeClient | None = None,
        safeguards: Safeguards | None = None,
    ) -> None:
        self._sagemaker: SageMakerClient = sagemaker or client("sagemaker")
        self._runtime = runtime
        self._safeguards = safeguards or Safeguards()
        self._logs = SageMakerLogs(self._safeguards)

    def create_model(self, request: Mapping[str, Any]) -> bool:
        if self.describe_model(request["ModelName"]) is not None:
            return False
        try:
            self._sagemaker.create_model(**self._safeguards.model(dict(request)))
        except ClientError as error:
            if error_code(error) == _WRONG:
                raise refusal(error) from error
            raise
        return True

    def create_config(self, request: Mapping[str, Any]) -> bool:
        if self.describe_config(request["EndpointConfigName"]) is not None:
            return False
        try:
            self._sagemaker.create_endpoint_config(**self._safeguards.endpoint_config(dict(request)))
        except ClientError as error:
            models = (variant["ModelName"] for variant in request["ProductionVariants"])
            if error_code(error) != _WRONG:
                raise
            if any(_is_young(self.describe_model(name)) for name in models):
                raise TransientError.of(error) from error
            raise refusal(error) from error
        return True

    def create_endpoint(self, request: Mapping[str, Any]) -> None:
        self._logs.limit(ENDPOINT_GROUP.format(name=request["EndpointName"]))
        self._change(self._sagemaker.create_endpoint, self._safeguards.tagged(dict(request)))

    def update_endpoint(self, request: Mapping[str, Any]) -> None:
        self._change(self._sagemaker.update_endpoint, request)

    def _change(self, change: Callable[..., Any], request: Mapping[str, Any]) -> None:
        """Change an endpoint; tell a bad request from one at the wrong time: both are ValidationException."""
        name = request["EndpointName"]
        was = self._state(name)
        try:
            change(**request)
        except ClientError as error:
            if error_code(error) == "ResourceLimitExceeded":
                raise QuotaError(error_message(error)) from error
            if error_code(error) not in _AT_THE_WRONG_TIME:
                raise
            if error_code(error) == "ResourceInUse" or self._state(name) != was or _is_changing(was):
                raise EndpointBusyError(f"{name} is being changed: {error}") from error
            if _is_young(self.describe_config(request["EndpointConfigName"])):
                raise TransientError.of(error) from error
            if error_code(error) == _WRONG:
                raise refusal(error) from error
            raise

    def _state(self, name: str) -> str | None:
        endpoint = self.describe_endpoint(name)
        return endpoint["EndpointStatus"] if endpoint else None

    def set_capacity(self, name: str, capacity: Mapping[str, Any]) -> None:
        wanted: Any = [capacity]
        try:
            self._sagemaker.update_endpoint_weights_and_capacities(
                EndpointName=name, DesiredWeightsAndCapacities=wanted
            )
        except ClientError as error:
            if error_code(error) == "ResourceLimitExceeded":
                raise QuotaError(error_message(error)) from error
            if error_code(error) in _AT_THE_WRONG_TIME and _is_changing(self._state(name)):
                raise EndpointBusyError(f"{name} is being changed: {error}") from error
            raise

    def delete_endpoint(self, name: str) -> None:
        if self.describe_endpoint(name) is not None:
            self._sagemaker.delete_endpoint(EndpointName=name)

    def describe_endpoint(self, name: str) -> dict[str, Any] | None:
        return _described(self._sagemaker.describe_endpoint, EndpointName=name)

    def describe_config(self, name: str) -> dict[str, Any] | None:
        return _described(self._sagemaker.describe_endpoint_config, EndpointConfigName=name)

    def describe_model(self, name: str) -> dict[str, Any] | None:
        return _described(self._sagemaker.describe_model, ModelName=name)

    def list_configs(self, prefix: str) -> Iterator[dict[str, Any]]:
        pages = self._sagemaker.get_paginator("list_endpoint_configs").paginate(NameContains=prefix)
        for page in pages:
            yield from _summaries(page["EndpointConfigs"], "EndpointConfig", prefix)

    def list_models(self, prefix: str) -> Iterator[dict[str, Any]]:
        pages = self._sagemaker.get_paginator("list_models").paginate(NameContains=prefix)
        for page in pages:
            yield from _summaries(page["Models"], "Model", prefix)

    def delete_config(self, name: str) -> None:
        _delete(self._sagemaker.delete_endpoint_config, EndpointConfigName=name)

    def delete_model(self, name: str) -> None:
        _delete(self._sagemaker.delete_model, ModelName=name)

    def tags(self, arn: str) -> dict[str, str]:
        pages = self._sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
        return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}

    def invoke(
        self, name: str, body: bytes, content_type: str, accept: str, inference_id: str = ""
    ) -> Mapping[str, Any]:
        if self._runtime is None:
            self._runtime = client("sagemaker-runtime", _PATIENT)
        known: dict[str, Any] = {"InferenceId": inference_id} if inference_id else {}
        try:
            answer = self._runtime.invoke_endpoint(
                EndpointName=name, Body=body, ContentType=content_type, Accept=accept, **known
            )
        except ClientError as error:
            return _refusal(error)
        except HTTPClientError as error:
            return _answer(_UNANSWERED, str(error))
        return {
            "status_code": _OK,
            "body": answer["Body"].read(),
            "content_type": answer["ContentType"],
            "variant": answer["InvokedProductionVariant"],
        }


def _summaries(found: Iterable[Any], kind: str, prefix: str) -> Iterator[dict[str, Any]]:
    """Yield summaries in one form; SageMaker looks for the prefix anywhere in a name."""
    for each in found:
        if each[f"{kind}Name"].startswith(prefix):
            about = {"Name": each[f"{kind}Name"], "Arn": each[f"{kind}Arn"]}
            yield {**about, "CreationTime": each["CreationTime"]}


def _delete(delete: Callable[..., Any], **name: str) -> None:
    try:
        delete(**name)
    except ClientError as error:
        if error_code(error) not in _ABSENT:
            raise


def _is_young(described: Mapping[str, Any] | None) -> bool:
    """Tell whether what is there was made so short a time ago that a request may not find it."""
    return described is not None and datetime.now(UTC) - described["CreationTime"] < _SETTLES


def _is_changing(state: str | None) -> bool:
    return state in {"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"}


def _described(describe: Callable[..., Any], **name: str) -> dict[str, Any] | None:
    try:
        return dict(describe(**name))
    except ClientError as error:
        if error_code(error) in _ABSENT:
            return None
        raise


def _refusal(error: ClientError) -> dict[str, Any]:
    """Return what the model answered (ModelError carries its status), or SageMaker in its place."""
    response: Mapping[str, Any] = error.response
    status_code = response.get("OriginalStatusCode") or response["ResponseMetadata"]["HTTPStatusCode"]
    return _answer(status_code, str(response.get("OriginalMessage") or error))


def _answer(status_code: int, text: str) -> dict[str, Any]:
    return {"status_code": status_code, "body": text.encode(), "content_type": "text/plain", "variant": None}
