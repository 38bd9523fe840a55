"""What a person wishes of an endpoint's instances is held against what its project says."""

from __future__ import annotations

from typing import Any

from sluice.catalog.records.releases import Scaled
from sluice.domain.config.models import Autoscaling, ServeCompute
from sluice.domain.release import scaling

LIMITS = Autoscaling(min=1, max=4, invocations_per_instance=500)
COMPUTE = ServeCompute(instance_type="ml.c5.large", instance_count=2, autoscaling=LIMITS)


def target(**changes: Any) -> dict[str, Any]:
    tracking = scaling.policy_request("e", LIMITS)["TargetTrackingScalingPolicyConfiguration"]
    policy = {"PolicyName": scaling.POLICY, "TargetTrackingScalingPolicyConfiguration": tracking}
    return {"MinCapacity": 1, "MaxCapacity": 4, "Policies": [policy], **changes}


def test_a_policy_that_is_gone_or_tracks_another_target_is_a_fault() -> None:
    assert scaling.faults("e", LIMITS, target()) == []
    assert scaling.faults("e", LIMITS, target(Policies=[])) == [f"its policy {scaling.POLICY} is missing"]
    other = {"PolicyName": scaling.POLICY, "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 1.5}}
    assert scaling.faults("e", LIMITS, target(Policies=[other])) == [f"its policy {scaling.POLICY} differs"]


def test_a_stage_of_transform_jobs_has_nothing_to_scale() -> None:
    batch = ServeCompute.model_validate({"instance_type": "ml.c5.large", "batch": {}})
    assert str(scaling.fault(batch, Scaled(count=2))).startswith("is not there to scale")
    assert scaling.effective(batch, Scaled(count=2)) == batch


def test_a_wish_for_nothing_changes_nothing() -> None:
    plain = COMPUTE.model_copy(update={"autoscaling": None})
    assert scaling.effective(plain, Scaled()) == plain
    assert scaling.effective(COMPUTE, Scaled(min=3)).instance_count == 3
