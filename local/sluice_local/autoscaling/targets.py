"""Keep scalable targets with their policies and activities, and change endpoints as they want."""

from __future__ import annotations

import logging
import re
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from ministack.core.responses import request_scope

from sluice_local.autoscaling.tracking import PERIOD_S, SCALES_IN_AFTER, Limits, Policy, wanted
from sluice_local.patches.alarms import metric_store
from sluice_local.sagemaker.api.core import ApiError, Item, Scope
from sluice_local.sagemaker.hosting import endpoints
from sluice_local.sagemaker.hosting.live_endpoints import ENDPOINTS
from sluice_local.sagemaker.hosting.serving_metrics import NAMESPACE
from sluice_local.state import stores

TICK_S = 1.0
_RESOURCE = re.compile(r"endpoint/([^/]+)/variant/([^/]+)")
_SUSPENSIONS = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
_KEPT_ACTIVITIES = 50
_logger = logging.getLogger(__name__)


@dataclass
class Target:
    """A variant whose instances are scaled."""

    resource_id: str
    endpoint: str
    variant: str
    minimum: int
    maximum: int
    arn: str
    created: float = field(default_factory=time.time)
    suspended: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(_SUSPENSIONS, False))
    policies: dict[str, Item] = field(default_factory=dict)
    activities: list[Item] = field(default_factory=list)
    changed: float = 0.0

    def limits(self) -> Limits:
        return Limits(
            self.minimum,
            self.maximum,
            may_grow=not self.suspended["DynamicScalingOutSuspended"],
            may_shrink=not self.suspended["DynamicScalingInSuspended"],
        )


_targets: dict[tuple[Scope, str], Target] = {}
_lock = threading.RLock()


def install() -> None:
    """Keep the targets, and look after them once a second."""
    stores.register("scalable targets", _saved, _restore)
    endpoints.scaled_by(is_scaled)
    threading.Thread(target=_tick_forever, name="autoscaling", daemon=True).start()


def _saved() -> list[tuple[str, str, dict[str, Any]]]:
    with _lock:
        return [(scope.account, scope.region, dict(vars(target))) for (scope, _), target in _targets.items()]


def _restore(saved: list[tuple[str, str, dict[str, Any]]]) -> None:
    with _lock:
        _targets.clear()
        for account, region, members in saved:
            _targets[Scope(account, region), members["resource_id"]] = Target(**members)


def is_scaled(scope: Scope, endpoint: str) -> bool:
    """Tell whether a variant of the endpoint is a scalable target."""
    with _lock:
        return any(owner == scope and target.endpoint == endpoint for (owner, _), target in _targets.items())


def register(scope: Scope, params: Item) -> Target:
    """Register a target, or change the given members of one; raises ApiError."""
    resource_id = params["ResourceId"]
    with _lock:
        target = _targets.get((scope, resource_id))
        low = params.get("MinCapacity", target.minimum if target else None)
        high = params.get("MaxCapacity", target.maximum if target else None)
        if low is None or high is None:
            raise ApiError(
                "ValidationException", "Min capacity and max capacity are required for a new target."
            )
        if low > high:
            raise ApiError(
                "ValidationException",
                f"Maximum capacity cannot be less than minimum capacity: {high} < {low}",
            )
        if target is None:
            endpoint, variant = _existing_variant(scope, resource_id)
            owner = f"arn:aws:application-autoscaling:{scope.region}:{scope.account}"
            arn = f"{owner}:scalable-target/0{uuid.uuid4().hex[:30]}"
            target = _targets[scope, resource_id] = Target(resource_id, endpoint, variant, low, high, arn)
        target.minimum, target.maximum = low, high
        target.suspended |= params.get("SuspendedState", {})
    _look_after(scope, target)
    return target


def _existing_variant(scope: Scope, resource_id: str) -> tuple[str, str]:
    if not (match := _RESOURCE.fullmatch(resource_id)):
        raise ApiError("ValidationException", f"Unsupported resource: {resource_id}")
    endpoint, variant = match.groups()
    described = ENDPOINTS.get(scope, endpoint)
    found = {each["VariantName"]: each for each in described.get("ProductionVariants", [])}
    if variant not in found:
        raise ApiError("ValidationException", f"Variant {variant} of endpoint {endpoint} does not exist.")
    if "CurrentInstanceCount" not in found[variant]:
        raise ApiError("ValidationException", f"Variant {variant} of endpoint {endpoint} has no instances.")
    return endpoint, variant


def existing(scope: Scope, params: Item) -> Target:
    """Return the target that a request names; raises ApiError (ObjectNotFoundException)."""
    with _lock:
        target = _targets.get((scope, params["ResourceId"]))
    if target is None:
        raise ApiError("ObjectNotFoundException", _missing("scalable target", params))
    return target


def deregister(scope: Scope, params: Item) -> None:
    """Deregister a target with its policies; raises ApiError."""
    existing(scope, params)
    with _lock:
        _targets.pop((scope, params["ResourceId"]), None)


def put_policy(scope: Scope, params: Item) -> Item:
    """Put a policy on a target; raises ApiError."""
    target = existing(scope, params)
    with _lock:
        number = target.policies.get(params["PolicyName"], {}).get("PolicyARN", "").partition("y:")[2]
        number = number.partition(":")[0] or str(uuid.uuid4())
        arn = (
            f"arn:aws:autoscaling:{scope.region}:{scope.account}:scalingPolicy:{number}:"
            f"resource/sagemaker/{target.resource_id}:policyName/{params['PolicyName']}"
        )
        policy = {**params, "PolicyARN": arn, "CreationTime": time.time()}
        target.policies[params["PolicyName"]] = policy
    return policy


def delete_policy(scope: Scope, params: Item) -> None:
    """Delete a policy; raises ApiError."""
    target = existing(scope, params)
    with _lock:
        if target.policies.pop(params["PolicyName"], None) is None:
            raise ApiError("ObjectNotFoundException", _missing("scaling policy", params))


def _missing(what: str, params: Item) -> str:
    return (
        f"No {what} found for service namespace: {params['ServiceNamespace']}, resource ID: "
        f"{params['ResourceId']}, scalable dimension: {params['ScalableDimension']}"
    )


def found(scope: Scope, resource_ids: list[str] | None) -> list[Target]:
    """Return the targets of a scope, perhaps only some."""
    with _lock:
        return [
            target
            for (owner, name), target in _targets.items()
            if owner == scope and (not resource_ids or name in resource_ids)
        ]


def _tick_forever() -> None:
    while True:
        time.sleep(TICK_S)
        with _lock:
            looked_at = list(_targets.items())
        for (scope, _), target in looked_at:
            try:
                _look_after(scope, target)
            except Exception:
                _logger.exception("%s could not be scaled", target.resource_id)


def _look_after(scope: Scope, target: Target) -> None:
    """Change the variant's instances if they are outside of the limits, or if the policies want others."""
    try:
        described = ENDPOINTS.get(scope, target.endpoint)
    except ApiError:
        with _lock:
            _targets.pop((scope, target.resource_id), None)
        return
    if described["EndpointStatus"] != "InService":
        return
    variants = {each["VariantName"]: each for each in described["ProductionVariants"]}
    current = variants.get(target.variant, {}).get("DesiredInstanceCount")
    if current is None:
        return
    count = target.limits().clamped(current)
    cause = f"{'minimum' if count > current else 'maximum'} capacity was set to {count}"
    if count == current:
        count, cause = _tracked(scope, target, current, described["CreationTime"]), "its scaling policies"
    if count != current:
        _change(scope, target, count, cause)


def _tracked(scope: Scope, target: Target, current: int, created: float) -> int:
    policies = [
        Policy.parse(policy["TargetTrackingScalingPolicyConfiguration"])
        for policy in target.policies.values()
    ]
    if not policies:
        return current
    minutes = _minutes(scope, target, created)
    since_change_s = time.time() - target.changed
    return wanted(current, minutes, policies, target.limits(), since_change_s=since_change_s)


def _minutes(scope: Scope, target: Target, created: float) -> list[float]:
    """Return the requests of an instance in the last whole minutes; SageMaker counts 0 if nobody asks."""
    newest = int(time.time() // PERIOD_S) * PERIOD_S
    moments = [newest - age * PERIOD_S for age in range(SCALES_IN_AFTER, 0, -1)]
    dimensions = {"EndpointName": target.endpoint, "VariantName": target.variant}
    metric = {
        "Namespace": NAMESPACE,
        "MetricName": "InvocationsPerInstance",
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
    }
    stat = {"Metric": metric, "Period": PERIOD_S, "Stat": "Sum"}
    with request_scope(scope.account, scope.region):
        counted = metric_store.series(stat, moments, {})
    return [counted.get(at, 0.0) for at in moments if at in counted or at >= created]


def _change(scope: Scope, target: Target, count: int, cause: str) -> None:
    desired = {"VariantName": target.variant, "DesiredInstanceCount": count}
    endpoints.update_endpoint_weights_and_capacities(
        scope, {"EndpointName": target.endpoint, "DesiredWeightsAndCapacities": [desired]}
    )
    now = time.time()
    activity = {
        "ActivityId": str(uuid.uuid4()),
        "ServiceNamespace": "sagemaker",
        "ResourceId": target.resource_id,
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        "Description": f"Setting desired instance count to {count}.",
        "Cause": cause,
        "StartTime": now,
        "EndTime": now,
        "StatusCode": "Successful",
        "StatusMessage": f"Successfully set desired instance count to {count}.",
    }
    with _lock:
        target.changed = now
        target.activities = [activity, *target.activities][:_KEPT_ACTIVITIES]
