"""Identify callers, and check their policies as the Service Authorization Reference describes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import ministack.app
from ministack.core import iam_actions, iam_evaluator
from ministack.core.router import extract_access_key_id

from sluice_local.patches.iam.decisions import trusts
from sluice_local.sagemaker.api.core import TABLES, ApiError, Item, Scope

_KINDS = {
    "TrainingJobName": "training-job",
    "ProcessingJobName": "processing-job",
    "TransformJobName": "transform-job",
    "HyperParameterTuningJobName": "hyper-parameter-tuning-job",
    "ModelName": "model",
    "EndpointConfigName": "endpoint-config",
    "EndpointName": "endpoint",
    "ModelPackageName": "model-package",
    "ModelPackageGroupName": "model-package-group",
    "PipelineName": "pipeline",
}
# These requests name a resource that they use, but are authorized on the one that they make.
_USED_ONLY = {"CreateTransformJob": {"ModelName"}}
# A version has no ARN before it exists: these are authorized on all versions of the group.
_ON_VERSIONS = {"CreateModelPackage", "ListModelPackages"}
# Where requests pass the roles that jobs and models have.
_ROLES = ("RoleArn", "ExecutionRoleArn")
# A tuning job passes those of its training jobs.
_DEFINITIONS = ("TrainingJobDefinition", "TrainingJobDefinitions")


@dataclass(frozen=True, slots=True)
class Caller:
    """The identity that signed a request."""

    arn: str
    principal_id: str

    def context(self) -> Item:
        """Return the caller for `CreatedBy` and `LastModifiedBy`."""
        return {"IamIdentity": {"Arn": self.arn, "PrincipalId": self.principal_id}}


SERVICE = "sagemaker.amazonaws.com"
CALLER: ContextVar[Caller] = ContextVar("sagemaker_caller")


def caller_of(scope: Scope, headers: Mapping[str, str], query_params: Mapping[str, Any]) -> Caller:
    """Return the caller of a request; without IAM an unknown key is the account's root user."""
    identity = iam_evaluator.resolve_caller_identity(extract_access_key_id(headers, query_params))
    if identity is None:
        return Caller(f"arn:aws:iam::{scope.account}:root", scope.account)
    return Caller(identity["userArn"], identity["userId"])


@dataclass(frozen=True, slots=True)
class Check:
    """One question for the caller's policies."""

    action: str
    resource: str = "*"
    conditions: dict[str, Any] = field(default_factory=dict)


def checks(operation: str, scope: Scope, params: Mapping[str, Any]) -> Iterator[Check]:
    """Yield all that must be allowed: the operation on each resource, its tags, and the roles it passes."""
    action = f"sagemaker:{operation}"
    resources = list(_resources(operation, scope, params))
    tags = {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in params.get("Tags", [])}
    tag_keys = [tag["Key"] for tag in params.get("Tags", [])] + list(params.get("TagKeys", []))
    conditions = {**_registry_conditions(params), **tags, **({"aws:TagKeys": tag_keys} if tag_keys else {})}
    for resource in resources or ["*"]:
        yield Check(action, resource, {**conditions, **_resource_tags(scope, resource)})
    if operation.startswith("Create") and tags:
        tagging = {**conditions, "sagemaker:TaggingAction": operation}
        yield Check("sagemaker:AddTags", resources[0], {**tagging, **_resource_tags(scope, resources[0])})
    for role in _passed_roles(params):
        yield Check("iam:PassRole", role, {"iam:PassedToService": SERVICE})


def _passed_roles(params: Mapping[str, Any]) -> Iterator[str]:
    yield from (params[member] for member in _ROLES if member in params)
    for member in _DEFINITIONS:
        given = params.get(member, [])
        yield from (each["RoleArn"] for each in (given if isinstance(given, list) else [given]))


def _resources(operation: str, scope: Scope, params: Mapping[str, Any]) -> Iterator[str]:
    if operation in _ON_VERSIONS and "ModelPackageGroupName" in params:
        group = params["ModelPackageGroupName"].rpartition("/")[2]
        yield scope.arn("model-package", f"{group}/*")
        return
    for member, kind in _KINDS.items():
        if member in params and member not in _USED_ONLY.get(operation, ()):
            reference = params[member]
            yield _own_case(scope, reference if reference.startswith("arn:") else scope.arn(kind, reference))
    for member in ("ModelPackageArn", "ResourceArn", "PipelineArn", "PipelineExecutionArn"):
        if member in params:
            yield _own_case(scope, params[member])
    yield from params.get("ModelPackageArnList", [])


def _own_case(scope: Scope, arn: str) -> str:
    """Return the ARN of what is there in its own case, so that no other case evades a policy."""
    kind, _, name = arn.rpartition(":")[2].partition("/")
    table = TABLES.get(kind)
    item = table.find(scope, name) if table and arn == scope.arn(kind, name) else None
    return item[table.arn_key] if table and item else arn


def _resource_tags(scope: Scope, arn: str) -> dict[str, str]:
    """Return an existing resource's tags. A version has no tags: its group's do not count."""
    kind, _, name = arn.rpartition(":")[2].partition("/")
    item = TABLES[kind].find(scope, name) if kind in TABLES else None
    tags = {tag["Key"]: tag["Value"] for tag in (item or {}).get("Tags", [])}
    return {
        f"{prefix}:ResourceTag/{key}": value for prefix in ("aws", "sagemaker") for key, value in tags.items()
    }


def _registry_conditions(params: Mapping[str, Any]) -> dict[str, Any]:
    life_cycle = params.get("ModelLifeCycle", {})
    conditions = {
        "sagemaker:ModelApprovalStatus": params.get("ModelApprovalStatus"),
        "sagemaker:ModelLifeCycle:Stage": life_cycle.get("Stage"),
        "sagemaker:ModelLifeCycle:StageStatus": life_cycle.get("StageStatus"),
        "sagemaker:CustomerMetadataPropertiesToRemove": params.get("CustomerMetadataPropertiesToRemove"),
    }
    for key, value in params.get("CustomerMetadataProperties", {}).items():
        conditions[f"sagemaker:CustomerMetadataProperties/{key}"] = value
    return {key: value for key, value in conditions.items() if value is not None}


def require_trust(params: Mapping[str, Any]) -> None:
    """Raise ApiError if IAM is enforced, and a role that the request passes is not SageMaker's to assume."""
    for role in _passed_roles(params):
        if not trusts(role, SERVICE):
            raise ApiError(
                "ValidationException",
                f"Could not assume role {role}. Please ensure that the role exists and allows "
                f"principal '{SERVICE}' to assume the role.",
            )


def authorize(
    headers: Mapping[str, str], query_params: Mapping[str, Any], scope: Scope, questions: Iterator[Check]
) -> None:
    """Raise ApiError if IAM is enforced and the caller's policies do not allow everything."""
    if not ministack.app.AUTH:
        return
    access_key = extract_access_key_id(headers, query_params)
    for check in questions:
        namespace = check.action.partition(":")[0]
        denial = iam_evaluator.enforce(
            access_key,
            check.action,
            namespace,
            scope.region,
            resource_arn=check.resource,
            service_context=check.conditions,
        )
        if isinstance(denial, iam_evaluator.AuthError):
            raise ApiError(denial.code, denial.message)
        if denial is not None:
            explicit = denial.decision == "Deny"
            message = iam_actions.identity_denial_message(
                check.action, denial.principal_arn, check.resource, explicit
            )
            raise ApiError("AccessDeniedException", message)
