"""Serve the API of Application Auto Scaling, as far as it scales SageMaker's endpoints."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ministack.app
from ministack.core import router
from ministack.core.responses import get_account_id, get_region

from sluice_local.autoscaling import targets
from sluice_local.autoscaling.targets import Target
from sluice_local.sagemaker.api import iam
from sluice_local.sagemaker.api.core import ApiError, Item, Scope
from sluice_local.sagemaker.api.iam import Check
from sluice_local.sagemaker.api.validation import operation_model, projected, validated

SERVICE = "application-autoscaling"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
METRIC = "SageMakerVariantInvocationsPerInstance"
_ROLE = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
_PRINCIPAL = "sagemaker.application-autoscaling.amazonaws.com"
# What Application Auto Scaling does in the caller's name when it is asked for this.
_ON_ENDPOINTS = {
    "RegisterScalableTarget": ("DescribeEndpoint", "UpdateEndpointWeightsAndCapacities"),
}
_ON_ALARMS = {
    "PutScalingPolicy": "PutMetricAlarm",
    "DeleteScalingPolicy": "DeleteAlarms",
    "DeregisterScalableTarget": "DeleteAlarms",
}

Response = tuple[int, dict[str, str], bytes]


def install() -> None:
    """Have ministack route requests here, and scale in the background."""
    router.SERVICE_PATTERNS[SERVICE] = {"target_prefixes": ["AnyScaleFrontendService."], "host_patterns": []}
    ministack.app.SERVICE_HANDLERS[SERVICE] = handle
    targets.install()


async def handle(
    method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any]
) -> Response:
    """Answer one request; ministack has set its account and region, and checked its signature."""
    scope = Scope(get_account_id(), get_region())
    name = headers.get("x-amz-target", "").rpartition(".")[2]
    try:
        answer = await asyncio.to_thread(_operate, scope, name, headers, query_params, body)
    except ApiError as fault:
        return _json(400, {"__type": fault.code, "message": fault.message})
    return _json(200, answer)


def _json(status: int, content: Item) -> Response:
    return status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(content).encode()


def _operate(
    scope: Scope, name: str, headers: Mapping[str, str], query_params: Mapping[str, Any], body: bytes
) -> Item:
    model = operation_model(name, SERVICE)
    if (implementation := _OPERATIONS.get(name)) is None:
        raise ApiError(
            "ValidationException", f"The local Application Auto Scaling does not implement {name}."
        )
    params = validated(model.input_shape, json.loads(body or b"{}"))
    iam.authorize(headers, query_params, scope, _checks(name, scope, params))
    _require_endpoints(params)
    answer: Item = projected(model.output_shape, implementation(scope, params) or {})
    return answer


def _checks(name: str, scope: Scope, params: Item) -> Iterator[Check]:
    """Yield what the caller must be allowed: the operation, and what is done in its name."""
    action = f"{SERVICE}:{name}"
    if name.startswith("Describe"):
        yield Check(action)
        return
    conditions = {
        f"{SERVICE}:service-namespace": params["ServiceNamespace"],
        f"{SERVICE}:scalable-dimension": params["ScalableDimension"],
    }
    arn = f"arn:aws:{SERVICE}:{scope.region}:{scope.account}:scalable-target/*"
    yield Check(action, arn, conditions)
    endpoint = params["ResourceId"].split("/")[1:2]
    for verb in _ON_ENDPOINTS.get(name, ()):
        yield from iam.checks(verb, scope, {"EndpointName": endpoint[0] if endpoint else ""})
    if name in _ON_ALARMS:
        alarm = f"TargetTracking-{params['ResourceId']}-AlarmHigh"
        arn = f"arn:aws:cloudwatch:{scope.region}:{scope.account}:alarm:{alarm}"
        yield Check(f"cloudwatch:{_ON_ALARMS[name]}", arn)
    if name == "RegisterScalableTarget" and not targets.found(scope, None):
        role = f"arn:aws:iam::{scope.account}:role/aws-service-role/{_PRINCIPAL}/{_ROLE}"
        yield Check("iam:CreateServiceLinkedRole", role, {"iam:AWSServiceName": _PRINCIPAL})


def _require_endpoints(params: Item) -> None:
    asked = params["ServiceNamespace"], params.get("ScalableDimension", DIMENSION)
    if asked != ("sagemaker", DIMENSION):
        message = f"The local Application Auto Scaling scales only {DIMENSION}, not {asked[1]} of {asked[0]}."
        raise ApiError("ValidationException", message)


def _register(scope: Scope, params: Item) -> Item:
    return {"ScalableTargetARN": targets.register(scope, params).arn}


def _put_policy(scope: Scope, params: Item) -> Item:
    tracking = params.get("TargetTrackingScalingPolicyConfiguration", {})
    metric = tracking.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType")
    if params.get("PolicyType") != "TargetTrackingScaling" or metric != METRIC:
        message = f"The local Application Auto Scaling has only target tracking of {METRIC}."
        raise ApiError("ValidationException", message)
    return targets.put_policy(scope, params)


def _describe_targets(scope: Scope, params: Item) -> Item:
    return {"ScalableTargets": [_described(scope, target) for target in targets.found(scope, _ids(params))]}


def _described(scope: Scope, target: Target) -> Item:
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": target.resource_id,
        "ScalableDimension": DIMENSION,
        "MinCapacity": target.minimum,
        "MaxCapacity": target.maximum,
        "RoleARN": f"arn:aws:iam::{scope.account}:role/aws-service-role/{_PRINCIPAL}/{_ROLE}",
        "CreationTime": target.created,
        "SuspendedState": target.suspended,
        "ScalableTargetARN": target.arn,
    }


def _describe_policies(scope: Scope, params: Item) -> Item:
    named = params.get("PolicyNames")
    policies = [
        policy
        for target in targets.found(scope, _ids(params))
        for name, policy in target.policies.items()
        if not named or name in named
    ]
    return {"ScalingPolicies": policies}


def _describe_activities(scope: Scope, params: Item) -> Item:
    found = targets.found(scope, _ids(params))
    return {"ScalingActivities": [activity for target in found for activity in target.activities]}


def _ids(params: Item) -> list[str] | None:
    return [params["ResourceId"]] if "ResourceId" in params else params.get("ResourceIds")


_OPERATIONS: dict[str, Callable[[Scope, Item], Item | None]] = {
    "RegisterScalableTarget": _register,
    "DeregisterScalableTarget": targets.deregister,
    "DescribeScalableTargets": _describe_targets,
    "PutScalingPolicy": _put_policy,
    "DeleteScalingPolicy": targets.delete_policy,
    "DescribeScalingPolicies": _describe_policies,
    "DescribeScalingActivities": _describe_activities,
}
