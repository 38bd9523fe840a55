"""Publish events of endpoints, with SageMaker's casing and units."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sluice_local.sagemaker.api.core import Item, Scope
from sluice_local.sagemaker.api.events import publish

_NUMBERS = ("CurrentWeight", "DesiredWeight", "CurrentInstanceCount", "DesiredInstanceCount")


def publish_state(scope: Scope, endpoint: Item) -> None:
    """Announce the endpoint's status."""
    publish(scope, "SageMaker Endpoint State Change", _detail(endpoint), [endpoint["EndpointArn"]])


def publish_deployment(scope: Scope, endpoint: Item) -> None:
    """Announce the progress of the endpoint's pending deployment."""
    summary = endpoint["PendingDeploymentSummary"]
    detail = _detail(endpoint) | {
        "PendingDeploymentSummary": {
            "EndpointConfigName": summary["EndpointConfigName"],
            "StartTime": _milliseconds(summary["StartTime"]),
            "ProductionVariants": [_pending(variant) for variant in summary["ProductionVariants"]],
        }
    }
    publish(scope, "SageMaker Endpoint Deployment State Change", detail, [endpoint["EndpointArn"]])


def event_status(status: str) -> str:
    """Write a status as events do: `InService` as `IN_SERVICE`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", status).upper()


def _detail(endpoint: Item) -> Item:
    optional = {"FailureReason": endpoint.get("FailureReason")}
    return {
        "EndpointName": endpoint["EndpointName"],
        "EndpointArn": endpoint["EndpointArn"],
        "EndpointConfigName": endpoint["EndpointConfigName"],
        "ProductionVariants": _variants(endpoint.get("ProductionVariants") or ()),
        "EndpointStatus": event_status(endpoint["EndpointStatus"]),
        "CreationTime": float(_milliseconds(endpoint["CreationTime"])),
        "LastModifiedTime": float(_milliseconds(endpoint["LastModifiedTime"])),
        "Tags": {tag["Key"]: tag["Value"] for tag in endpoint.get("Tags", ())},
        **{name: value for name, value in optional.items() if value},
    }


def _variants(variants: Sequence[Item]) -> list[Item]:
    return [
        {
            "VariantName": variant["VariantName"],
            **{name: float(variant[name]) for name in _NUMBERS if name in variant},
        }
        for variant in variants
    ]


def _pending(variant: Item) -> dict[str, Any]:
    statuses = [
        {**status, "StartTime": _milliseconds(status["StartTime"])} for status in variant["VariantStatus"]
    ]
    return {**variant, "VariantStatus": statuses}


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
