"""Application Auto Scaling: an endpoint's instances follow its requests, within the limits of its target."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.functions import wait_for
from local.hosting import Hosting
from sluice_local.cloud import LocalCloud

_PREDEFINED = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}


class Scaled(Hosting):
    """An endpoint whose one variant is a scalable target."""

    def start(self, instances: int = 1, **limits: Any) -> str:
        self.scaling = self.cloud.client("application-autoscaling")
        self.name = self.endpoint(self.config(self.model("scaled"), instances=instances))
        self.register(**limits)
        return self.name

    @property
    def target(self) -> dict[str, str]:
        return {
            "ServiceNamespace": "sagemaker",
            "ResourceId": f"endpoint/{self.name}/variant/AllTraffic",
            "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        }

    def register(self, **members: Any) -> None:
        self.scaling.register_scalable_target(**self.target, **members)

    def track(self, target: float, **cooldowns: int) -> None:
        config = {"TargetValue": target, "PredefinedMetricSpecification": _PREDEFINED, **cooldowns}
        self.scaling.put_scaling_policy(
            **self.target,
            PolicyName="requests",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=config,
        )

    def asked(self, *minutes: float) -> None:
        """Let an instance have so many requests in each of the last minutes, the newest of which is not over.

        It may be by the time that somebody looks at those that are.
        """
        newest = datetime.fromtimestamp(time.time() // 60 * 60, UTC)
        dimensions = [
            {"Name": "EndpointName", "Value": self.name},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ]
        data = [
            {
                "MetricName": "InvocationsPerInstance",
                "Dimensions": dimensions,
                "Timestamp": newest - timedelta(minutes=len(minutes) - 1 - age),
                "Value": requests,
            }
            for age, requests in enumerate(minutes)
        ]
        self.cloud.client("cloudwatch").put_metric_data(Namespace="AWS/SageMaker", MetricData=data)

    def instances(self) -> int:
        (variant,) = self.settled(self.name)["ProductionVariants"]
        return int(variant["CurrentInstanceCount"])

    def becomes(self, instances: int) -> None:
        wait_for(lambda: self.instances() == instances)


@pytest.fixture
def scaled(cloud: LocalCloud, unique: Callable[[str], str]) -> Iterator[Scaled]:
    with closing(Scaled(cloud, unique)) as made:
        yield made


def test_instances_follow_the_requests_and_a_suspended_target_does_not(scaled: Scaled) -> None:
    scaled.start(MinCapacity=1, MaxCapacity=4, SuspendedState={"DynamicScalingOutSuspended": True})
    scaled.track(100, ScaleInCooldown=0, ScaleOutCooldown=0)
    scaled.asked(250, 250, 250, 250)
    time.sleep(2.5)
    assert scaled.instances() == 1
    scaled.register(SuspendedState={"DynamicScalingOutSuspended": False})
    scaled.becomes(3)
    activities = scaled.scaling.describe_scaling_activities(ServiceNamespace="sagemaker")["ScalingActivities"]
    assert "Setting desired instance count to 3." in {each["Description"] for each in activities}


def test_fifteen_minutes_without_requests_scale_in_to_the_minimum(scaled: Scaled) -> None:
    scaled.start(instances=4, MinCapacity=2, MaxCapacity=4)
    scaled.asked(*[0] * 16)
    scaled.track(100, ScaleInCooldown=0)
    scaled.becomes(2)


def test_limits_hold_at_once_and_without_any_policy(scaled: Scaled) -> None:
    scaled.start(MinCapacity=2, MaxCapacity=3)
    scaled.becomes(2)
    scaled.register(MinCapacity=1, MaxCapacity=1)
    scaled.becomes(1)


def test_another_instance_type_needs_the_target_deregistered(scaled: Scaled) -> None:
    name = scaled.start(MinCapacity=1, MaxCapacity=2)
    config = scaled.config(scaled.model("next"))
    scaled.update(name, config, RetainAllVariantProperties=True)
    scaled.settled(name)
    larger = scaled.unique("config")
    variant = {"VariantName": "AllTraffic", "ModelName": scaled.model("larger"), "InitialVariantWeight": 1.0}
    scaled.sagemaker.create_endpoint_config(
        EndpointConfigName=larger,
        ProductionVariants=[{**variant, "InstanceType": "ml.m5.xlarge", "InitialInstanceCount": 1}],
    )
    with pytest.raises(ClientError, match="must be deregistered as scalable targets"):
        scaled.update(name, larger)
    scaled.scaling.deregister_scalable_target(**scaled.target)
    scaled.update(name, larger)
    scaled.settled(name)
    assert scaled.answers(name) == "larger"


def test_what_is_registered_is_described_and_what_is_not_is_refused(scaled: Scaled) -> None:
    name = scaled.start(MinCapacity=1, MaxCapacity=2)
    scaled.track(70)
    resource = scaled.target["ResourceId"]
    (target,) = scaled.scaling.describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[resource]
    )["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 2)
    (policy,) = scaled.scaling.describe_scaling_policies(ServiceNamespace="sagemaker", ResourceId=resource)[
        "ScalingPolicies"
    ]
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 70
    scaled.scaling.delete_scaling_policy(PolicyName="requests", **scaled.target)
    scaled.scaling.deregister_scalable_target(**scaled.target)
    with pytest.raises(ClientError, match="ObjectNotFoundException"):
        scaled.scaling.deregister_scalable_target(**scaled.target)
    with pytest.raises(ClientError, match="ObjectNotFoundException"):
        scaled.track(70)
    with pytest.raises(ClientError, match="does not exist"):
        scaled.scaling.register_scalable_target(
            **{**scaled.target, "ResourceId": f"endpoint/{name}/variant/Other"}, MinCapacity=1, MaxCapacity=1
        )
    with pytest.raises(ClientError, match="Maximum capacity cannot be less"):
        scaled.register(MinCapacity=3, MaxCapacity=1)
