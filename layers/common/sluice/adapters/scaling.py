"""Adapter for Application Auto Scaling: who scales an endpoint's instances, and by what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from sluice.adapters.clients import client, error_code


class ApplicationAutoScaling:
    """Scalable targets and their policies; registering and putting again replaces."""

    def __init__(self, autoscaling: Any = None) -> None:
        self._autoscaling = autoscaling or client("application-autoscaling")

    def describe(self, target: Mapping[str, str]) -> dict[str, Any] | None:
        dimension: Any = {name: target[name] for name in ("ServiceNamespace", "ScalableDimension")}
        resource = target["ResourceId"]
        targets = self._autoscaling.describe_scalable_targets(**dimension, ResourceIds=[resource])
        if not targets["ScalableTargets"]:
            return None
        policies = self._autoscaling.describe_scaling_policies(**dimension, ResourceId=resource)
        return {**targets["ScalableTargets"][0], "Policies": policies["ScalingPolicies"]}

    def register(self, request: Mapping[str, Any]) -> None:
        self._autoscaling.register_scalable_target(**request)

    def track(self, request: Mapping[str, Any]) -> None:
        self._autoscaling.put_scaling_policy(**request)

    def deregister(self, target: Mapping[str, str]) -> None:
        known: Any = dict(target)
        try:
            self._autoscaling.deregister_scalable_target(**known)
        except ClientError as error:
            if error_code(error) != "ObjectNotFoundException":
                raise
