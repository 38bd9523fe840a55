"""Endpoint configs: which models an endpoint serves, on which instances, with which share of traffic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sluice_local.sagemaker.api.core import ApiError, Item, Scope, Table, operation
from sluice_local.sagemaker.api.listing import list_page
from sluice_local.sagemaker.hosting.models import MODELS
from sluice_local.sagemaker.hosting.on_demand import MAX_CONCURRENCY, MEMORY_MB

ENDPOINT_CONFIGS = Table("endpoint configuration", "endpoint-config", "EndpointConfigName")

_NOT_SERVED = {
    "AsyncInferenceConfig": "asynchronous inference",
    "ExplainerConfig": "explanations",
}


@operation("CreateEndpointConfig")
def create_endpoint_config(scope: Scope, params: dict[str, Any]) -> Item:
    for member, feature in _NOT_SERVED.items():
        if member in params:
            raise _not_served(feature)
    shadows = params.get("ShadowProductionVariants") or []
    names = [variant["VariantName"] for variant in (*params["ProductionVariants"], *shadows)]
    if len(set(names)) < len(names):
        raise ApiError(
            "ValidationException", "The variant names of an endpoint configuration must be unique."
        )
    variants = [_checked(scope, variant) for variant in params["ProductionVariants"]]
    _check_serverless(params)
    _check_shadows(params["ProductionVariants"], shadows)
    checked = {"ProductionVariants": variants}
    if shadows:
        checked["ShadowProductionVariants"] = [_checked(scope, variant) for variant in shadows]
    return ENDPOINT_CONFIGS.create(scope, params["EndpointConfigName"], {**params, **checked})


@operation("DescribeEndpointConfig")
def describe_endpoint_config(scope: Scope, params: dict[str, Any]) -> Item:
    return ENDPOINT_CONFIGS.get(scope, params["EndpointConfigName"])


@operation("ListEndpointConfigs")
def list_endpoint_configs(scope: Scope, params: dict[str, Any]) -> Item:
    return list_page(
        ENDPOINT_CONFIGS.values(scope),
        params,
        result_key="EndpointConfigs",
        name_key="EndpointConfigName",
        descending=True,
    )


@operation("DeleteEndpointConfig")
def delete_endpoint_config(scope: Scope, params: dict[str, Any]) -> None:
    """Delete a config, even one that is served; as on AWS, that endpoint can then no longer be updated."""
    ENDPOINT_CONFIGS.delete(scope, params["EndpointConfigName"])


def _checked(scope: Scope, variant: Item) -> Item:
    """Return the variant with defaults; require that its model exists and that it has instances."""
    instances = () if "ServerlessConfig" in variant else ("InstanceType", "InitialInstanceCount")
    for member in ("ModelName", *instances):
        if member not in variant:
            raise ApiError(
                "ValidationException",
                f"{member} is required for production variant {variant['VariantName']}.",
            )
    MODELS.get(scope, variant["ModelName"])
    return {"InitialVariantWeight": 1.0, **variant}


def _check_serverless(params: Item) -> None:
    """Raise ApiError for what AWS does not offer beside a serverless variant."""
    variants = [each for each in params["ProductionVariants"] if "ServerlessConfig" in each]
    if not variants:
        return
    given = {
        member
        for variant in variants
        for member in ("InstanceType", "InitialInstanceCount")
        if member in variant
    }
    refused = [
        (len(params["ProductionVariants"]) > 1, "several production variants"),
        (bool(given), f"{' and '.join(sorted(given))}"),
        (bool(params.get("DataCaptureConfig")), "data capture"),
        (bool(params.get("VpcConfig")), "a VPC"),
    ]
    for is_given, what in refused:
        if is_given:
            raise ApiError("ValidationException", f"A serverless endpoint configuration cannot have {what}.")
    limits = variants[0]["ServerlessConfig"]
    if limits["MemorySizeInMB"] not in MEMORY_MB:
        sizes = ", ".join(map(str, MEMORY_MB))
        raise ApiError("ValidationException", f"MemorySizeInMB must be one of {sizes}.")
    if not 1 <= limits["MaxConcurrency"] <= MAX_CONCURRENCY:
        raise ApiError("ValidationException", f"MaxConcurrency must be from 1 to {MAX_CONCURRENCY}.")


def _check_shadows(variants: Sequence[Item], shadows: Sequence[Item]) -> None:
    """Raise ApiError for more than one shadow beside one variant, and for one that has no instances."""
    if not shadows:
        return
    if len(shadows) > 1 or len(variants) > 1:
        raise ApiError(
            "ValidationException",
            "Beside a shadow variant there is one production variant, and no other shadow variant.",
        )
    if any("ServerlessConfig" in each for each in (*variants, *shadows)):
        raise ApiError(
            "ValidationException", "A shadow variant cannot be serverless, nor beside one that is."
        )


def _not_served(feature: str) -> ApiError:
    return ApiError("ValidationException", f"The local SageMaker does not serve {feature}.")
