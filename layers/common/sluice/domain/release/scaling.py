"""Say how many instances an endpoint should have: by the project, by its requests, or by a person's wish."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sluice.domain.release.serving import VARIANT

if TYPE_CHECKING:
    from sluice.catalog.records.releases import Scaled
    from sluice.domain.config import models

_NAMESPACE = "sagemaker"
_DIMENSION = "sagemaker:variant:DesiredInstanceCount"
_METRIC = "SageMakerVariantInvocationsPerInstance"
POLICY = "invocations-per-instance"
_ALL = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")


def target(endpoint_name: str) -> dict[str, str]:
    """Name an endpoint's variant to Application Auto Scaling."""
    return {
        "ServiceNamespace": _NAMESPACE,
        "ResourceId": f"endpoint/{endpoint_name}/variant/{VARIANT}",
        "ScalableDimension": _DIMENSION,
    }


def register_request(endpoint_name: str, wanted: models.Autoscaling) -> dict[str, Any]:
    """Make a RegisterScalableTarget request, which also ends a suspension."""
    limits = {"MinCapacity": wanted.min, "MaxCapacity": wanted.max}
    return {**target(endpoint_name), **limits, "SuspendedState": dict.fromkeys(_ALL, False)}


def suspend_request(endpoint_name: str) -> dict[str, Any]:
    """Make a RegisterScalableTarget request that keeps the instances as they are."""
    return {**target(endpoint_name), "SuspendedState": dict.fromkeys(_ALL, True)}


def policy_request(endpoint_name: str, wanted: models.Autoscaling) -> dict[str, Any]:
    """Make a PutScalingPolicy request: track the requests that an instance has in a minute."""
    return {
        **target(endpoint_name),
        "PolicyName": POLICY,
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": float(wanted.invocations_per_instance),
            "PredefinedMetricSpecification": {"PredefinedMetricType": _METRIC},
            "ScaleInCooldown": wanted.scale_in_cooldown_s,
            "ScaleOutCooldown": wanted.scale_out_cooldown_s,
        },
    }


def faults(endpoint_name: str, wanted: models.Autoscaling, found: Mapping[str, Any] | None) -> list[str]:
    """Say what differs between a scalable target, with its `Policies`, and what is wanted."""
    if found is None:
        return ["its instances do not follow its requests: no scalable target is registered"]
    differences = [
        f"{name} is {found.get(name)}, not {value}"
        for name, value in (("MinCapacity", wanted.min), ("MaxCapacity", wanted.max))
        if found.get(name) != value
    ]
    if any((found.get("SuspendedState") or {}).values()):
        differences.append("its scaling is suspended")
    policies = {policy["PolicyName"]: policy for policy in found.get("Policies", ())}
    expected = policy_request(endpoint_name, wanted)["TargetTrackingScalingPolicyConfiguration"]
    tracked = policies.get(POLICY, {}).get("TargetTrackingScalingPolicyConfiguration")
    if tracked is None or any(tracked.get(name) != value for name, value in expected.items()):
        differences.append(f"its policy {POLICY} {'differs' if tracked else 'is missing'}")
    return differences


def fault(compute: models.ServeCompute, wish: Scaled, traffic: str = "all_at_once") -> str | None:
    """Say why a wish does not suit what serves; None if it does."""
    if compute.batch is not None:
        return "is not there to scale: transform jobs have the instances of serve.compute"
    is_serverless = compute.serverless is not None
    if is_serverless != (wish.concurrency is not None):
        return (
            "is serverless: it has no instances, only a concurrency"
            if is_serverless
            else "has instances, and no concurrency"
        )
    if (wish.min is not None or wish.max is not None) and compute.autoscaling is None:
        return "does not scale by its requests: its project has no serve.compute.autoscaling; name a count"
    limits = _limits(compute, wish)
    if limits and limits.min > limits.max:
        return f"would have at least {limits.min} and at most {limits.max} instances"
    least = wish.count or (limits.min if limits else 0)
    if traffic != "all_at_once" and 0 < least < 2:
        return f"takes releases by {traffic}, which needs 2 instances: a share of one is the whole"
    return None


def _limits(compute: models.ServeCompute, wish: Scaled) -> models.Autoscaling | None:
    if compute.autoscaling is None or wish.count is not None:
        return None
    given = {"min": wish.min, "max": wish.max}
    return compute.autoscaling.model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )


def effective(compute: models.ServeCompute, wish: Scaled | None) -> models.ServeCompute:
    """Return a project's compute as a person wishes it; a wish that does not suit it changes nothing."""
    if wish is None or fault(compute, wish):
        return compute
    if compute.serverless is not None:
        limits = compute.serverless.model_copy(update={"max_concurrency": wish.concurrency})
        return compute.model_copy(update={"serverless": limits})
    if wish.count is not None:
        return compute.model_copy(update={"instance_count": wish.count, "autoscaling": None})
    scaled = _limits(compute, wish)
    if scaled is None:
        return compute
    count = min(max(compute.instance_count, scaled.min), scaled.max)
    return compute.model_copy(update={"instance_count": count, "autoscaling": scaled})


def suits(compute: models.ServeCompute, count: int) -> bool:
    """Tell whether an endpoint may keep so many instances."""
    if compute.autoscaling is None:
        return count == compute.instance_count
    return compute.autoscaling.min <= count <= compute.autoscaling.max


def capacity(endpoint: Mapping[str, Any], compute: models.ServeCompute) -> dict[str, Any] | None:
    """Return the capacity that a described endpoint lacks, for UpdateEndpointWeightsAndCapacities."""
    variant: dict[str, Any] = next(iter(endpoint.get("ProductionVariants") or ()), {})
    if compute.serverless is not None:
        concurrency = compute.serverless.max_concurrency
        if variant.get("CurrentServerlessConfig", {}).get("MaxConcurrency") == concurrency:
            return None
        return {"ServerlessUpdateConfig": {"MaxConcurrency": concurrency}}
    if compute.autoscaling is not None or variant.get("DesiredInstanceCount") == compute.instance_count:
        return None
    return {"DesiredInstanceCount": compute.instance_count}


def told(capacity: Mapping[str, Any]) -> str:
    """Say for people what is changed."""
    if "DesiredInstanceCount" in capacity:
        return f"{capacity['DesiredInstanceCount']} instances"
    return f"{capacity['ServerlessUpdateConfig']['MaxConcurrency']} requests at a time"


def wished(wish: Scaled) -> str:
    """Say for people what a person wishes."""
    if wish.is_empty:
        return "as its project says"
    if wish.concurrency is not None:
        return f"{wish.concurrency} requests at a time"
    if wish.count is not None:
        return f"{wish.count} instances"
    limits = (("at least", wish.min), ("at most", wish.max))
    return " and ".join(f"{word} {value}" for word, value in limits if value is not None) + " instances"


def described(found: Mapping[str, Any]) -> list[str]:
    """Say for people how much an endpoint can serve, what lets that change, and who said so."""
    from sluice.domain import wording  # functions that scale need no words, and it loads the config

    words = [
        f"serverless, {wording.count(found['concurrency'], 'request')} at a time"
        if found["concurrency"]
        else wording.count(found["instances"] or 0, "instance")
    ]
    if found["max"]:
        each = found["invocations_per_instance"]
        words.append(f"{found['min']} to {found['max']} by requests ({each} a minute each)")
    if found["by"]:
        words.append(f"scaled by {found['by']}")
    return words


def retained() -> dict[str, Any]:
    """Return the part of an UpdateEndpoint request that keeps as many instances as there are now."""
    excluded = ({"VariantPropertyType": name} for name in ("DesiredWeight", "DataCaptureConfig"))
    return {"RetainAllVariantProperties": True, "ExcludeRetainedVariantProperties": list(excluded)}
