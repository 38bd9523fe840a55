"""Endpoints scale by their requests or as a person wishes, and stand still while they change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import fakes
from release_world import ENDPOINT, PIPELINE, PIPELINE_YAML, World
from sluice.domain.release import scaling

ADA = "arn:aws:iam::123456789012:user/ada"
RESOURCE = f"endpoint/{ENDPOINT}/variant/AllTraffic"


def project(compute: str) -> str:
    return PIPELINE_YAML.replace("sample: sample.json}", f"sample: sample.json, compute: {compute}}}")


AUTOSCALING = project("{autoscaling: {max: 4, invocations_per_instance: 500, scale_out_cooldown_s: 60}}")


class Scaled(World):
    """A world whose `scale_stage` hears what is announced, as its rule has it."""

    heard = 0
    wishes = 0

    def listen(self) -> None:
        for detail_type, detail in self.cloud.bus.announced[self.heard :]:
            if detail_type == "ScalingDue":
                self.invoke("scale_stage", {"time": self.cloud.now.at, "detail": detail})
        self.heard = len(self.cloud.bus.announced)

    def released(self, run: int) -> str:
        """Approve a run's version and let it be released; returns the release's status."""
        release_id = self.approve(self.register(run))
        self.listen()
        self.later(hours=1)
        return str(self.release(release_id)["status"])

    def wish(self, **wished: int) -> Any:
        self.wishes += 1
        wish = {"request_id": f"r{self.wishes}", "actor": ADA, **wished}
        detail = {"pipeline": PIPELINE, "stage": "production", "wish": wish}
        for _ in range(2):
            result = self.invoke("scale_stage", {"time": self.cloud.now.at, "detail": detail})
        return result

    @property
    def target(self) -> dict[str, Any]:
        return self.cloud.scaling.targets[RESOURCE]

    @property
    def instances(self) -> int:
        (variant,) = self.cloud.endpoints.by_name[ENDPOINT]["ProductionVariants"]
        return int(variant["DesiredInstanceCount"])

    def busy(self, count: int) -> None:
        """What Application Auto Scaling does when there are many requests."""
        self.cloud.endpoints.set_capacity(ENDPOINT, {"DesiredInstanceCount": count})


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]) -> Scaled:
    return Scaled(cloud, invoke, AUTOSCALING)


def test_a_release_lets_instances_follow_the_requests(world: Scaled) -> None:
    assert world.released(1) == "released"
    assert (world.target["MinCapacity"], world.target["MaxCapacity"]) == (1, 4)
    assert not any(world.target["SuspendedState"].values())
    tracked = world.target["Policies"][scaling.POLICY]["TargetTrackingScalingPolicyConfiguration"]
    assert tracked["TargetValue"] == 500
    assert (tracked["ScaleInCooldown"], tracked["ScaleOutCooldown"]) == (300, 60)
    metric = tracked["PredefinedMetricSpecification"]["PredefinedMetricType"]
    assert metric == "SageMakerVariantInvocationsPerInstance"


def test_a_release_keeps_the_instances_and_scaling_stands_still_meanwhile(world: Scaled) -> None:
    world.released(1)
    world.busy(3)
    seen: list[dict[str, Any]] = []

    def settle(endpoints: fakes.FakeEndpoints, name: str) -> None:
        seen.append(dict(world.target))
        endpoints.settle(name)

    world.settle = settle
    assert world.released(2) == "released"
    assert all(all(each["SuspendedState"].values()) for each in seen)
    assert seen
    assert world.instances == 3
    assert not any(world.target["SuspendedState"].values())


def test_a_failed_release_restores_the_instances_and_goes_on_scaling(world: Scaled) -> None:
    world.released(1)
    world.busy(3)
    bad = {"status_code": 500, "body": b"", "content_type": "", "variant": ""}
    world.cloud.endpoints.responses = [bad] * 4
    assert world.released(2) == "failed"
    assert world.served_version() == "1"
    assert world.instances == 3
    assert not any(world.target["SuspendedState"].values())


def test_a_rollback_takes_the_known_goods_scaling_back(world: Scaled) -> None:
    world.released(1)
    world.push(AUTOSCALING.replace("max: 4", "max: 9"))
    world.released(2)
    assert world.target["MaxCapacity"] == 9
    world.fire()
    world.tell_alarm()
    world.run_all()
    world.listen()
    assert world.served_version() == "1"
    assert world.target["MaxCapacity"] == 4


def test_a_project_without_autoscaling_ends_it_and_has_its_own_count(world: Scaled) -> None:
    world.released(1)
    world.busy(3)
    world.push(project("{instance_count: 2}"))
    assert world.released(2) == "released"
    assert not world.cloud.scaling.targets
    assert world.instances == 2


def test_another_instance_type_is_scaled_anew(world: Scaled) -> None:
    world.released(1)
    world.push(AUTOSCALING.replace("compute: {", "compute: {instance_type: ml.m5.xlarge, "))
    seen: list[bool] = []

    def settle(endpoints: fakes.FakeEndpoints, name: str) -> None:
        seen.append(RESOURCE in world.cloud.scaling.targets)
        endpoints.settle(name)

    world.settle = settle
    assert world.released(2) == "released"
    assert seen == [False]
    assert world.target["MaxCapacity"] == 4


def test_reconcile_sees_a_target_that_was_changed_or_is_missing(world: Scaled) -> None:
    world.released(1)
    assert world.invoke("reconcile", {})["sent"] == {}
    world.target["MaxCapacity"] = 40
    assert world.invoke("reconcile", {})["sent"] == {"ScalingDue": 1}
    world.cloud.scaling.targets.clear()
    assert world.invoke("reconcile", {})["sent"] == {"ScalingDue": 1}
    _, detail, _ = world.cloud.bus.entries[-1]
    world.invoke("scale_stage", {"time": world.cloud.now.at, "detail": detail})
    assert world.target["MaxCapacity"] == 4
    assert (
        "scaled",
        "production: its instances do not follow its requests: no scalable target is registered",
    ) in (world.timeline())


def test_a_persons_count_ends_autoscaling_and_holds_for_the_next_release(world: Scaled) -> None:
    world.released(1)
    world.wish(count=5)
    assert world.instances == 5
    assert not world.cloud.scaling.targets
    assert world.stage()["wish"]["actor"] == f"{ADA} (unverified)"
    assert [event for event, _ in world.timeline()].count("scaling") == 1
    assert world.released(2) == "released"
    assert world.instances == 5
    assert not world.cloud.scaling.targets

    world.wish()
    assert "wish" not in world.stage()
    assert world.target["MaxCapacity"] == 4


def test_limits_of_a_person_hold_in_place_of_the_projects(world: Scaled) -> None:
    world.released(1)
    world.wish(max=8)
    assert (world.target["MinCapacity"], world.target["MaxCapacity"]) == (1, 8)
    world.released(2)
    assert world.target["MaxCapacity"] == 8


def test_a_wish_during_a_release_waits_for_its_end(world: Scaled) -> None:
    world.released(1)

    def settle(endpoints: fakes.FakeEndpoints, name: str) -> None:
        world.wish(max=8)
        endpoints.settle(name)

    world.settle = settle
    assert world.released(2) == "released"
    assert world.target["MaxCapacity"] == 8


@pytest.mark.parametrize(
    ("compute", "wished", "fault"),
    [
        ("{instance_count: 1}", {"max": 3}, "no serve.compute.autoscaling"),
        ("{instance_count: 1}", {"concurrency": 3}, "no concurrency"),
        ("{serverless: {max_concurrency: 2}}", {"count": 3}, "it has no instances"),
        ("{autoscaling: {max: 4, invocations_per_instance: 5}}", {"min": 5}, "at least 5 and at most 4"),
    ],
)
def test_a_wish_that_does_not_suit_what_serves_is_refused(
    world: Scaled, compute: str, wished: dict[str, int], fault: str
) -> None:
    world.push(project(compute))
    world.released(1)
    world.wish(**wished)
    assert fault in world.stage()["wish_answer"]["fault"]
    assert "wish" not in world.stage()


def test_the_concurrency_of_a_serverless_endpoint_is_scaled_and_kept(world: Scaled) -> None:
    world.push(project("{serverless: {max_concurrency: 2}}"))
    world.released(1)
    world.wish(concurrency=7)
    for run in (None, 2):
        if run:
            world.released(run)
        (variant,) = world.cloud.endpoints.by_name[ENDPOINT]["ProductionVariants"]
        assert variant["CurrentServerlessConfig"]["MaxConcurrency"] == 7


def test_one_instance_is_refused_where_releases_are_canaries(world: Scaled) -> None:
    canary = "traffic: {type: canary, percent: 10, bake_s: 60, unwatched: true}"
    world.push(
        project("{instance_count: 2}").replace(
            "traffic: {type: all_at_once, bake_s: 60, unwatched: true}", canary
        )
    )
    world.released(1)
    world.wish(count=1)
    assert "needs 2 instances" in world.stage()["wish_answer"]["fault"]
