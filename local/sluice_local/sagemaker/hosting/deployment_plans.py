"""Plan a deployment from an endpoint config and a DeploymentConfig, and check it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sluice.containers import instances
from sluice_local.sagemaker.api.core import ApiError, Item, now
from sluice_local.sagemaker.hosting.capture import CaptureConfig
from sluice_local.sagemaker.hosting.fleets import Fleet, Variant
from sluice_local.sagemaker.hosting.on_demand import Serverless

_SIZES = {"CANARY": ("CanarySize", 1), "LINEAR": ("LinearStepSize", 10)}
_MAX_STEP_PERCENT = 50


@dataclass(frozen=True, slots=True)
class Plan:
    """What a deployment brings into service, and how."""

    config_name: str
    variants: Sequence[Variant]
    shadow: Variant | None = None
    capture: CaptureConfig | None = None
    policy: Mapping[str, Any] | None = None
    alarms: Sequence[str] = ()
    started_at: float = field(default_factory=now)

    @property
    def instances(self) -> int:
        """The instances of the largest variant, whose capacity the traffic policy is about."""
        return max(variant.instances for variant in self.variants)

    def pending(self, status: str, message: str = "", active: float = 0.0) -> Item:
        """Return the `PendingDeploymentSummary` with this share of the new fleet in service."""
        phase = {"Status": status, "StatusMessage": message, "StartTime": now()}
        phase = {member: value for member, value in phase.items() if value != ""}
        return {
            "EndpointConfigName": self.config_name,
            "StartTime": self.started_at,
            "ProductionVariants": [
                {**variant.describe(active), "VariantStatus": [phase]} for variant in self.variants
            ],
        }


def plan(
    config: Item,
    deployment: Mapping[str, Any] | None = None,
    current: Fleet | None = None,
    retained: frozenset[str] = frozenset(),
) -> Plan:
    """Plan the deployment of a config; variants keep the current fleet's properties in `retained`."""
    deployment = deployment or {}
    kept = {variant.name: variant for variant in current.variants} if current else {}
    capture = CaptureConfig.parse(config.get("DataCaptureConfig"))
    if current and "DataCaptureConfig" in retained:
        capture = current.capture.config if current.capture else None
    return Plan(
        config_name=config["EndpointConfigName"],
        variants=[
            _retaining(variant, kept.get(variant.name, variant), retained) for variant in variants_of(config)
        ],
        shadow=next(iter(variants_of(config, "ShadowProductionVariants")), None),
        capture=capture,
        policy=deployment.get("BlueGreenUpdatePolicy"),
        alarms=alarm_names(deployment),
    )


def variants_of(config: Item, member: str = "ProductionVariants") -> list[Variant]:
    """Return the variants that an endpoint config defines, by default those of production."""
    return [
        Variant(
            name=variant["VariantName"],
            model_name=variant["ModelName"],
            weight=variant["InitialVariantWeight"],
            instances=variant.get("InitialInstanceCount", 1),
            memory_mb=_memory_mb(variant),
            serverless=Serverless.parse(variant.get("ServerlessConfig")),
            startup_timeout_s=variant.get("ContainerStartupHealthCheckTimeoutInSeconds", 240),
        )
        for variant in config.get(member, ())
    ]


def _memory_mb(variant: Item) -> int | None:
    limits = Serverless.parse(variant.get("ServerlessConfig"))
    return limits.memory_mb if limits else instances.memory_mb(variant["InstanceType"])


def alarm_names(deployment: Mapping[str, Any]) -> list[str]:
    """Return the alarms that roll the deployment back."""
    return [alarm["AlarmName"] for alarm in deployment.get("AutoRollbackConfiguration", {}).get("Alarms", [])]


def retained_properties(params: Mapping[str, Any]) -> frozenset[str]:
    """Return the variant properties that an UpdateEndpoint request does not take from the new config."""
    if not params.get("RetainAllVariantProperties"):
        return frozenset()
    excluded = {each["VariantPropertyType"] for each in params.get("ExcludeRetainedVariantProperties", [])}
    return frozenset({"DesiredInstanceCount", "DesiredWeight", "DataCaptureConfig"} - excluded)


def check_deployment(deployment: Mapping[str, Any]) -> None:
    """Raise ApiError for a DeploymentConfig that cannot be carried out."""
    if "RollingUpdatePolicy" in deployment:
        raise ApiError("ValidationException", "The local SageMaker does not do rolling deployments.")
    routing = deployment.get("BlueGreenUpdatePolicy", {}).get("TrafficRoutingConfiguration", {})
    member, smallest = _SIZES.get(routing.get("Type"), (None, 0))
    if member is None:
        return
    size = routing.get(member)
    if size is None:
        raise ApiError(
            "ValidationException", f"{member} is required for traffic routing type {routing['Type']}."
        )
    if size["Type"] == "CAPACITY_PERCENT" and not smallest <= size["Value"] <= _MAX_STEP_PERCENT:
        raise ApiError(
            "ValidationException",
            f"{member} must be from {smallest} to {_MAX_STEP_PERCENT} percent of capacity.",
        )


def check_same_variants(wanted: Plan, current: Fleet) -> None:
    """Raise ApiError if names of variants differ, so that traffic cannot move between them."""
    if wanted.policy and {v.name for v in wanted.variants} != {v.name for v in current.variants}:
        raise ApiError(
            "ValidationException",
            "A blue/green deployment needs an endpoint configuration with the endpoint's variant names.",
        )


def check_serverless(wanted: Plan, current: Fleet, deployment: Mapping[str, Any] | None) -> None:
    """Raise ApiError for an update that a serverless endpoint does not take."""
    is_serverless = any(variant.serverless for variant in wanted.variants)
    if current.is_serverless and not is_serverless:
        raise ApiError(
            "ValidationException", "A serverless endpoint cannot be updated to an instance-based endpoint."
        )
    if is_serverless and deployment:
        raise ApiError("ValidationException", "Serverless endpoints do not support a DeploymentConfig.")


def check_scaled(current: Item | None, wanted: Item) -> None:
    """Raise ApiError for an update that takes a scaled variant away, or gives it other instances."""
    kept = {variant["VariantName"]: variant.get("InstanceType") for variant in wanted["ProductionVariants"]}
    scaled = (current or wanted)["ProductionVariants"]
    changed = [
        each["VariantName"] for each in scaled if kept.get(each["VariantName"]) != each.get("InstanceType")
    ]
    if changed:
        raise ApiError(
            "ValidationException",
            f"The variant(s) {json.dumps(changed)} must be deregistered as scalable targets with AWS Auto "
            "Scaling before they can be removed or have their instance type updated.",
        )


def check_capacities(fleet: Fleet, desired: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise ApiError for instances of a serverless variant, or a concurrency of one that has instances."""
    for variant in fleet.variants:
        given = desired.get(variant.name, {})
        if variant.serverless and "DesiredInstanceCount" in given:
            raise ApiError(
                "ValidationException",
                "The instances of a serverless endpoint cannot be changed: it has no instances.",
            )
        if not variant.serverless and "ServerlessUpdateConfig" in given:
            raise ApiError(
                "ValidationException", f"Variant {variant.name} is not serverless: it has no concurrency."
            )


def _retaining(variant: Variant, current: Variant, retained: frozenset[str]) -> Variant:
    return replace(
        variant,
        weight=current.weight if "DesiredWeight" in retained else variant.weight,
        instances=current.instances if "DesiredInstanceCount" in retained else variant.instances,
    )
