"""Implement the operations on endpoints, and requests to them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sluice_local.sagemaker.api.core import ApiError, Item, Scope, operation
from sluice_local.sagemaker.api.listing import list_page
from sluice_local.sagemaker.containers.images import ImageCache
from sluice_local.sagemaker.hosting import runtime
from sluice_local.sagemaker.hosting.deployment_plans import (
    alarm_names,
    check_capacities,
    check_deployment,
    check_same_variants,
    check_scaled,
    check_serverless,
    plan,
    retained_properties,
)
from sluice_local.sagemaker.hosting.deployments import Deployer, alarm_state
from sluice_local.sagemaker.hosting.endpoint_configs import ENDPOINT_CONFIGS
from sluice_local.sagemaker.hosting.fleets import Variant
from sluice_local.sagemaker.hosting.launcher import Launcher
from sluice_local.sagemaker.hosting.live_endpoints import ENDPOINTS, LiveEndpoint
from sluice_local.sagemaker.hosting.serving_metrics import ServingMetrics
from sluice_local.settings import Settings

_deployer: Deployer
_metrics = ServingMetrics()
_live: dict[tuple[Scope, str], LiveEndpoint] = {}
_is_scaled: Callable[[Scope, str], bool] | None = None


def install(settings: Settings) -> None:
    """Prepare endpoints to start servers in this cloud."""
    global _deployer
    images = ImageCache(settings.image_cache)
    _deployer = Deployer(Launcher(settings.directory("endpoints"), images, settings.endpoint_url))
    _metrics.start()


def scaled_by(is_scaled: Callable[[Scope, str], bool]) -> None:
    """Ask this from now on whether a variant of an endpoint is a scalable target."""
    global _is_scaled
    _is_scaled = is_scaled


async def invoke(scope: Scope, name: str, headers: Mapping[str, str], body: bytes) -> runtime.Response:
    """Invoke an endpoint; returns status, headers and body. Raises ApiError if it does not serve."""
    if (live := _live.get((scope, name))) is None:
        raise ApiError("ValidationError", runtime.missing(scope, name))
    return await runtime.invoke(live, _metrics, headers, body)


@operation("CreateEndpoint")
def create_endpoint(scope: Scope, params: dict[str, Any]) -> Item:
    name = params["EndpointName"]
    config = ENDPOINT_CONFIGS.get(scope, params["EndpointConfigName"])
    deployment = params.get("DeploymentConfig")
    _check(scope, deployment)
    described = {"EndpointConfigName": config["EndpointConfigName"], "Tags": params.get("Tags", [])}
    created = ENDPOINTS.create(scope, name, {**described, "EndpointStatus": "Creating"})
    _live[scope, name] = live = LiveEndpoint(scope, name)
    live.enter("Creating", LastDeploymentConfig=deployment)
    _deployer.create(live, plan(config))
    return created


@operation("DescribeEndpoint")
def describe_endpoint(scope: Scope, params: dict[str, Any]) -> Item:
    return ENDPOINTS.get(scope, params["EndpointName"])


@operation("ListEndpoints")
def list_endpoints(scope: Scope, params: dict[str, Any]) -> Item:
    return list_page(
        ENDPOINTS.values(scope),
        params,
        result_key="Endpoints",
        name_key="EndpointName",
        status_key="EndpointStatus",
        descending=True,
    )


@operation("UpdateEndpoint")
def update_endpoint(scope: Scope, params: dict[str, Any]) -> Item:
    live = _existing(scope, params["EndpointName"])
    config = ENDPOINT_CONFIGS.get(scope, params["EndpointConfigName"])
    deployment = params.get("DeploymentConfig")
    if params.get("RetainDeploymentConfig") and deployment is None:
        deployment = ENDPOINTS.get(scope, live.name).get("LastDeploymentConfig")
    _check(scope, deployment)
    with live.updating(LastDeploymentConfig=deployment, FailureReason=None) as fleet:
        if _is_scaled and _is_scaled(scope, live.name):
            check_scaled(ENDPOINT_CONFIGS.find(scope, fleet.config_name), config)
        planned = plan(config, deployment, fleet, retained_properties(params))
        check_serverless(planned, fleet, deployment)
        check_same_variants(planned, fleet)
    _deployer.update(live, fleet, planned)
    return {"EndpointArn": scope.arn("endpoint", live.name)}


@operation("UpdateEndpointWeightsAndCapacities")
def update_endpoint_weights_and_capacities(scope: Scope, params: dict[str, Any]) -> Item:
    live = _existing(scope, params["EndpointName"])
    desired = {wanted["VariantName"]: wanted for wanted in params["DesiredWeightsAndCapacities"]}
    with live.updating() as fleet:
        if unknown := sorted(desired.keys() - {variant.name for variant in fleet.variants}):
            raise ApiError(
                "ValidationException", f"Endpoint {live.name} has no production variant {', '.join(unknown)}."
            )
        check_capacities(fleet, desired)
        variants = [_reweighed(variant, desired.get(variant.name, {})) for variant in fleet.variants]
    _deployer.reweigh(live, fleet, variants)
    return {"EndpointArn": scope.arn("endpoint", live.name)}


@operation("DeleteEndpoint")
def delete_endpoint(scope: Scope, params: dict[str, Any]) -> None:
    """Delete an endpoint, even during a creation or update; its processes end in the background."""
    live = _existing(scope, params["EndpointName"])
    fleets = live.delete()
    if _live.get((scope, live.name)) is live:  # and no other one that was created since
        del _live[scope, live.name]
    for fleet in fleets:
        threading.Thread(target=fleet.stop, name=f"stop-{live.name}", daemon=True).start()


def resume(reason: str) -> list[str]:
    """Let saved endpoints serve again, in the background; returns their names.

    One that was being created is Failed for this reason; one that was being updated serves as before.
    """
    found = [_of(scope, name) for scope, name in ENDPOINTS.unfinished(lambda item: True)]
    return [live.name for live in found if _resume(live, reason)]


def _resume(live: LiveEndpoint, reason: str) -> bool:
    """Let an endpoint serve again; False if it has failed, or somebody deletes it meanwhile."""
    try:
        item = live.change()
        status = item["EndpointStatus"]
        if status == "Creating":
            live.enter("Failed", FailureReason=reason)
        if status in ("Creating", "Failed"):
            return False
        said = {} if status in ("InService", "SystemUpdating") else {"FailureReason": reason}
        live.change(None, EndpointStatus="SystemUpdating", PendingDeploymentSummary=None, **said)
        _serve_again(live, item)
    except ApiError:  # it is gone
        return False
    return True


def _serve_again(live: LiveEndpoint, item: Item) -> None:
    try:
        planned = plan(ENDPOINT_CONFIGS.get(live.scope, item["EndpointConfigName"]))
    except ApiError as fault:
        live.enter("Failed", FailureReason=f"It cannot be started again: {fault.message}")
        return
    serving = {variant["VariantName"]: variant for variant in item["ProductionVariants"]}
    variants = [_reweighed(variant, serving.get(variant.name, {})) for variant in planned.variants]
    _deployer.create(live, replace(planned, variants=variants))


def _existing(scope: Scope, name: str) -> LiveEndpoint:
    # A request may come before a saved endpoint is served again.
    return _of(scope, ENDPOINTS.get(scope, name)["EndpointName"])


def _of(scope: Scope, name: str) -> LiveEndpoint:
    return _live.setdefault((scope, name), LiveEndpoint(scope, name))


def _check(scope: Scope, deployment: Mapping[str, Any] | None) -> None:
    """Raise ApiError for a DeploymentConfig that cannot be carried out, or whose alarms do not exist."""
    check_deployment(deployment or {})
    for name in alarm_names(deployment or {}):
        if alarm_state(scope, name) is None:
            raise ApiError(
                "ValidationException", f"Could not find alarm {name} of AutoRollbackConfiguration."
            )


def _reweighed(variant: Variant, desired: Mapping[str, Any]) -> Variant:
    update = desired.get("ServerlessUpdateConfig") or desired.get("CurrentServerlessConfig") or {}
    limits = variant.serverless
    return replace(
        variant,
        weight=desired.get("DesiredWeight", variant.weight),
        instances=desired.get("DesiredInstanceCount", variant.instances),
        serverless=limits
        and replace(limits, max_concurrency=update.get("MaxConcurrency", limits.max_concurrency)),
    )
