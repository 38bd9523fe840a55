"""What an execution does in AWS: with the rights of the pipeline's role, in this process or over loopback."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ministack.core.responses import request_scope

from sluice_local.patches.iam import decisions
from sluice_local.sagemaker.api import iam
from sluice_local.sagemaker.api.core import OPERATIONS, ApiError, Item, Scope
from sluice_local.sagemaker.api.validation import operation_model, projected, validated
from sluice_local.sagemaker.containers.channels import JobStorage
from sluice_local.settings import Settings

_endpoint_url = ""
_SESSION = "SageMaker"


def install(settings: Settings) -> None:
    """Learn where this cloud is."""
    global _endpoint_url
    _endpoint_url = settings.endpoint_url


def endpoint_url() -> str:
    return _endpoint_url


def storage(scope: Scope, role: str) -> JobStorage:
    """Return S3 with the rights of a role."""
    return JobStorage(scope, role, _endpoint_url)


def own_storage(scope: Scope) -> JobStorage:
    """Return S3 as SageMaker itself reads it, whatever policies say."""
    return JobStorage(scope, "", _endpoint_url, asks_policies=False)


def call(scope: Scope, role: str, operation: str, params: Mapping[str, Any]) -> Item:
    """Do an operation of SageMaker as a role; raises ApiError as the API does."""
    model = operation_model(operation)
    clean = validated(model.input_shape, dict(params))
    with acting(scope, role):
        for check in iam.checks(operation, scope, clean):
            require(role, check.action, check.resource, check.conditions)
        iam.require_trust(clean)
        answer: Item = projected(model.output_shape, OPERATIONS[operation](scope, clean) or {})
    return answer


def require(role: str, action: str, resource: str, conditions: Mapping[str, Any] | None = None) -> None:
    """Raise ApiError if the role may not do this; needs a request's scope."""
    if denial := decisions.denial(role, action, resource, conditions, _SESSION):
        raise ApiError("AccessDeniedException", denial)


@contextmanager
def acting(scope: Scope, role: str) -> Iterator[None]:
    """Be a role of this account, for what is done in this thread."""
    name = role.rpartition("/")[2]
    arn = f"arn:aws:sts::{scope.account}:assumed-role/{name}/{_SESSION}"
    token = iam.CALLER.set(iam.Caller(arn, f"{name}:{_SESSION}"))
    try:
        with request_scope(scope.account, scope.region):
            yield
    finally:
        iam.CALLER.reset(token)
