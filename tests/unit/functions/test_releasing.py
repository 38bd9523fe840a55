"""Whole releases and rollbacks, with events that are lost, repeated and reordered on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import fakes
from release_world import ENDPOINT, ERROR_ALARM, PIPELINE, PIPELINE_YAML, World
from sluice.catalog import keys
from sluice.catalog.records.releases import Stage

P99_ALARM = "sluice--reviews--production--p99-latency"
LIMITS = "{error_rate: 0.05, p99_latency_ms: 500, min_requests: 10}"
LOOSE = PIPELINE_YAML.replace(LIMITS, "{error_rate: 0.5}")
TWO_STAGES = PIPELINE_YAML.replace("stages: [{", "stages: [{name: staging}, {requires_approval: true, ")


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]) -> World:
    return World(cloud, invoke)


@pytest.fixture
def proven(world: World) -> World:
    """Two released versions, both of which outlived their bake."""
    world.approve(world.register(1))
    world.later(hours=1)
    world.approve(world.register(2))
    world.later(hours=1)
    assert (world.live_version(), world.served_version()) == (2, "2")
    return world


def test_an_approved_version_is_released_verified_and_live(world: World) -> None:
    release_id = world.approve(world.register(1))
    assert world.release(release_id)["status"] == "released"
    assert world.release(release_id)["stages"] == ["production"]
    assert world.stage() == {
        **keys.stage_key(PIPELINE, "production"),
        "endpoint_name": ENDPOINT,
        "position": 0,
        "live": release_id,
        "is_linked": True,
        "gsi1pk": keys.ALL_STAGES,
        "gsi1sk": f"{PIPELINE}#production",
    }
    assert world.served_version() == "1"
    assert sorted(world.events()) == ["approved", "promoted", "release started", "released"]


def test_a_newer_version_supersedes_the_live_one(proven: World) -> None:
    first, second = (release["sk"].removeprefix("RELEASE#") for release in proven.releases())
    live = proven.stage()["live"]
    replaced = first if live == second else second
    assert proven.deployment(replaced)["status"] == "superseded"
    assert proven.deployment(live)["replaces"] == replaced


def test_a_live_version_that_is_approved_again_is_not_released_again(proven: World) -> None:
    arn = proven.deployment(proven.stage()["live"])["package_arn"]
    proven.decide(arn, "PendingManualApproval")
    proven.tell_decision(arn, "PendingManualApproval")
    release_id = proven.approve(arn)
    assert proven.release(release_id)["status"] == "refused"
    assert proven.release(release_id)["reasons"] == ["v2 is already live on production"]
    assert proven.live_version() == 2


def test_a_live_version_whose_endpoint_was_deleted_by_hand_is_released_again(proven: World) -> None:
    arn = proven.deployment(proven.stage()["live"])["package_arn"]
    del proven.cloud.endpoints.by_name[ENDPOINT]
    proven.decide(arn, "PendingManualApproval")
    proven.tell_decision(arn, "PendingManualApproval")
    assert proven.release(proven.approve(arn))["status"] == "released"
    assert proven.served_version() == "2"


def test_an_alarm_rolls_the_live_version_back_to_the_last_known_good(proven: World) -> None:
    bad = proven.stage()["live"]
    proven.fire()
    for _ in range(5):
        proven.tell_alarm()
    proven.run_all()
    assert (proven.live_version(), proven.served_version()) == (1, "1")
    assert proven.deployment(bad)["status"] == "rolled_back"
    assert len(proven.releases()) == 3
    assert "rolled back" in proven.events()


LOOSE = PIPELINE_YAML.replace(
    "{error_rate: 0.05, p99_latency_ms: 500, min_requests: 10}", "{error_rate: 0.5}"
)
P99_ALARM = "sluice--reviews--production--p99-latency"


def limits(world: World) -> dict[str, float]:
    return {name: alarm["Threshold"] for name, alarm in world.cloud.alarms.by_name.items()}


def test_the_limits_of_alarms_go_back_with_the_model(proven: World) -> None:
    """What was approved with a limit is guarded by that limit, whatever came between."""
    strict = limits(proven)
    proven.push(LOOSE)
    proven.approve(proven.register(3))
    assert limits(proven) == {ERROR_ALARM: 0.5}
    proven.later(hours=1)
    proven.fire()
    proven.tell_alarm()
    proven.run_all()
    assert proven.served_version() == "2"
    assert limits(proven) == strict == {ERROR_ALARM: 0.05, P99_ALARM: 500_000}


def test_a_release_that_failed_has_the_limits_of_what_still_serves_put_back_at_once(proven: World) -> None:
    strict = limits(proven)
    proven.push(LOOSE)
    proven.cloud.endpoints.responses = [
        {"status_code": 500, "body": b"boom", "content_type": "text/plain", "variant": None}
    ] * 4
    proven.approve(proven.register(3))
    hints = [
        detail
        for kind, detail, _ in proven.cloud.bus.entries
        if kind == "CloudWatch Alarm Configuration Change"
    ]
    (hint,) = hints
    proven.invoke("guard_endpoint", {"detail": hint})
    assert (proven.served_version(), limits(proven)) == ("2", strict)


def test_the_alarm_of_the_version_before_does_not_roll_back_further(proven: World) -> None:
    proven.fire()
    proven.tell_alarm()
    proven.later(seconds=30)
    proven.run_all()
    proven.later(seconds=30)
    assert proven.tell_alarm()["status"] == "about another version"
    assert not proven.waiting()


def test_an_alarm_that_goes_on_after_the_rollback_finds_nothing_good_and_says_so(proven: World) -> None:
    proven.fire()
    proven.tell_alarm()
    proven.later(seconds=30)
    proven.run_all()
    proven.later(seconds=200)
    for _ in range(5):
        assert proven.tell_alarm()["status"] == "no known good"
    assert not proven.waiting()
    assert proven.live_version() == 1
    (detail,) = [detail for event, detail in proven.timeline() if event == "rollback impossible"]
    assert "v2 was itself rolled back" in detail


def test_a_person_rolls_back_and_a_second_time_further_back(proven: World) -> None:
    proven.approve(proven.register(3))
    proven.later(hours=1)
    for name in ("reviews-v3-00000001", "reviews-v2-00000002"):
        request = {"pipeline": PIPELINE, "release_id": name, "cause": "command", "stage": "production"}
        proven.cloud.workflows.start("release", name, {**request, "actor": "anna", "reason": "complaints"})
        proven.run_all()
        proven.later(hours=1)
    assert (proven.live_version(), proven.served_version()) == (1, "1")


def test_rejecting_the_live_version_rolls_it_back(proven: World) -> None:
    arn = proven.deployment(proven.stage()["live"])["package_arn"]
    proven.decide(arn, "Rejected")
    proven.tell_decision(arn, "Rejected")
    proven.run_all()
    assert (proven.live_version(), proven.served_version()) == (1, "1")


def test_a_rollback_never_goes_to_a_rejected_version(proven: World) -> None:
    rejected = next(arn for arn in proven.cloud.registry.by_arn if arn.endswith("/1"))
    proven.decide(rejected, "Rejected")
    proven.tell_decision(rejected, "Rejected")
    proven.fire()
    started = proven.tell_alarm()
    proven.run_all()
    release = proven.release(started["release_id"])
    assert release["status"] == "refused"
    assert "v1 was rejected" in release["reasons"][0]
    assert proven.live_version() == 2


def test_a_rollback_passes_over_a_version_whose_model_is_gone(proven: World) -> None:
    proven.approve(proven.register(3))
    proven.later(hours=1)
    proven.cloud.objects.delete(proven.uri(2, "model"))
    proven.fire()
    proven.tell_alarm()
    proven.run_all()
    assert proven.live_version() == 1


def test_a_rollback_of_what_is_no_longer_live_is_refused(proven: World) -> None:
    proven.fire()
    started = proven.tell_alarm()
    alarm_rollback = proven.waiting()[0]
    proven.ended.add(alarm_rollback)
    proven.fire(state="OK")
    proven.approve(proven.register(3))
    proven.ended.discard(alarm_rollback)
    proven.run_all()
    release = proven.release(started["release_id"])
    assert release["status"] == "refused"
    assert "production no longer serves" in release["reasons"][0]
    assert proven.live_version() == 3


def test_a_version_rejected_while_it_is_released_does_not_stay(proven: World) -> None:
    arn = proven.register(3)
    proven.decide(arn, "Approved")
    proven.tell_decision(arn, "Approved")

    def settle_and_reject(endpoints: fakes.FakeEndpoints, name: str) -> None:
        endpoints.settle(name)
        proven.settle = fakes.FakeEndpoints.settle
        proven.decide(arn, "Rejected")
        proven.tell_decision(arn, "Rejected")

    proven.settle = settle_and_reject
    proven.run_all()
    assert (proven.live_version(), proven.served_version()) == (2, "2")
    assert proven.stage().get("releasing") is None


def test_a_silent_rollback_by_sagemaker_fails_the_release_and_is_named(proven: World) -> None:
    before = proven.stage()["live"]
    config = proven.deployment(before)["endpoint_config_name"]
    proven.settle = lambda endpoints, name: endpoints.settle(name, config=config)
    release_id = proven.approve(proven.register(3))
    release = proven.release(release_id)
    assert release["status"] == "failed"
    assert release["reasons"][0].startswith(
        "DeploymentRolledBackError: sluice--reviews--production was rolled back to"
    )
    assert proven.stage()["live"] == before
    assert proven.deployment(release_id)["status"] == "failed"


def test_an_endpoint_deleted_by_hand_during_a_release_fails_it_clearly(world: World) -> None:
    world.settle = lambda endpoints, name: endpoints.delete_endpoint(name)
    release = world.release(world.approve(world.register(1)))
    assert release["status"] == "failed"
    assert "sluice--reviews--production was deleted while it was being deployed to" in release["reasons"][0]
    assert world.stage().get("releasing") is None


def test_a_version_that_fails_its_smoke_test_gives_the_endpoint_back(proven: World) -> None:
    proven.cloud.endpoints.responses = [
        {"status_code": 500, "body": b"boom", "content_type": "text/plain", "variant": None}
    ] * 4
    release = proven.release(proven.approve(proven.register(3)))
    assert release["status"] == "failed"
    assert "answered the sample request with 500: boom" in release["reasons"][0]
    assert (proven.live_version(), proven.served_version()) == (2, "2")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda world, uri: world.cloud.objects.delete(uri), "is gone"),
        (lambda world, uri: world.cloud.objects.write(uri, b"other bytes"), "has changed since"),
    ],
)
@pytest.mark.parametrize("what", ["model", "code"])
def test_an_approval_of_what_is_gone_or_changed_is_refused(
    world: World, damage: Callable[[World, str], None], said: str, what: str
) -> None:
    arn = world.register(1)
    damage(world, world.uri(1, what))
    release = world.release(world.approve(arn))
    assert release["status"] == "refused"
    assert said in release["reasons"][0]
    assert not world.cloud.endpoints.updates
    assert world.stage().get("releasing") is None


def test_a_manifest_that_changed_after_the_approval_is_refused(world: World) -> None:
    arn = world.register(1)
    world.decide(arn, "Approved")
    world.tell_decision(arn, "Approved")
    world.cloud.objects.write(world.uri(1, "manifest"), b"{}")
    world.run_all()
    (release,) = world.releases()
    assert release["status"] == "refused"
    assert "the run manifest s3://sluice-artifacts" in release["reasons"][0]


def command(world: World, arn: str) -> dict[str, Any]:
    """Release a package by a person's own execution; the release at its end."""
    release_id = f"{PIPELINE}-v9-00000001"
    request = {"pipeline": PIPELINE, "release_id": release_id, "cause": "command", "actor": "anna"}
    world.cloud.workflows.start(
        "release", release_id, {**request, "package_arn": arn, "stages": ["production"]}
    )
    world.run_all()
    return world.release(release_id)


def test_a_package_from_outside_with_a_copy_of_a_versions_metadata_is_refused(world: World) -> None:
    ours = world.register(1)
    metadata = world.cloud.registry.by_arn[ours]["CustomerMetadataProperties"]
    copy = world.create_package(ClientToken="x", metadata=metadata)
    world.decide(copy, "Approved")
    release = command(world, copy)
    assert release["status"] == "refused"
    assert (
        f"no run registered {copy}: its metadata names reviews-00001, which registered {ours}"
        in (release["reasons"][0])
    )
    assert not world.cloud.endpoints.updates


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Image": "other:1"}, "its Image is other:1, not 123456789012"),
        ({"ModelDataUrl": "s3://other"}, "its ModelDataUrl is s3://other, not s3://sluice-artifacts/models/"),
        (
            {"Environment": {"SAGEMAKER_SUBMIT_DIRECTORY": "s3://other"}},
            "its Environment is {'SAGEMAKER_SUBMIT",
        ),
    ],
)
def test_a_version_whose_container_was_changed_is_refused(
    world: World, change: dict[str, Any], said: str
) -> None:
    arn = world.register(1)
    world.cloud.registry.by_arn[arn]["InferenceSpecification"]["Containers"][0] |= change
    release = world.release(world.approve(arn))
    assert release["status"] == "refused"
    assert said in release["reasons"][0]


def test_a_version_whose_container_is_changed_during_its_release_serves_what_was_planned(
    world: World,
) -> None:
    arn = world.register(1)
    world.approve(arn)
    (model,) = world.cloud.endpoints.models.values()
    _, task = world.plan(world.register(2))
    container = world.cloud.registry.by_arn[task["package_arn"]]["InferenceSpecification"]["Containers"][0]
    container["ModelDataUrl"] = "s3://other"
    with pytest.raises(Exception, match="its ModelDataUrl is s3://other"):
        world.deploy(task)
    assert list(world.cloud.endpoints.models.values()) == [model]


def test_rules_of_release_that_are_not_those_that_were_approved_are_refused(world: World) -> None:
    arn = world.register(1)
    key = keys.project_key(PIPELINE, world.project_version)
    stored = (world.cloud.catalog.get(key) or {})["config"]
    world.cloud.catalog.update(key, {"config": stored.replace('"error_rate":0.05', '"error_rate":0.5')})
    release = world.release(world.approve(arn))
    assert release["status"] == "refused"
    assert "project's rules: the config's sha256" in release["reasons"][0]


def test_a_version_of_before_evidence_covered_what_serves_has_to_be_trained_again(world: World) -> None:
    arn = world.register(1)
    world.cloud.catalog.update(keys.run_key(PIPELINE, "reviews-00001"), {"manifest_sha256": None})
    release = world.release(world.approve(arn))
    assert release["status"] == "refused"
    assert "covers neither the code nor the environment that serve: train again" in release["reasons"][0]


def test_an_approval_that_was_quicker_than_the_registration_waits_for_it(world: World) -> None:
    arn = world.register(1)
    run = keys.run_key(PIPELINE, "reviews-00001")
    world.cloud.catalog.update(run, {"status": "running", "model_package_arn": None})
    world.decide(arn, "Approved")
    world.tell_decision(arn, "Approved")
    (execution_arn,) = world.waiting()
    request = world.cloud.workflows.executions[execution_arn]["input"]
    with pytest.raises(Exception, match="has not ended registering") as failure:
        world.invoke("plan_release", {"execution_arn": execution_arn, "release": request})
    assert type(failure.value).__name__ == "NotRegisteredYetError"
    world.cloud.catalog.update(run, {"model_package_arn": arn})
    world.run_all()
    assert world.live_version() == 1


def test_a_known_good_whose_code_was_overwritten_is_not_put_back(proven: World) -> None:
    proven.cloud.objects.write(proven.uri(1, "code"), b"other code")
    proven.fire()
    started = proven.tell_alarm()
    proven.run_all()
    release = proven.release(started["release_id"])
    assert release["status"] == "refused"
    assert any("v1: the code" in reason for reason in release["reasons"]), release["reasons"]
    assert proven.live_version() == 2


def test_an_image_is_released_by_the_digest_that_its_tag_meant(world: World) -> None:
    digest = f"sha256:{'d' * 64}"
    world.approve(world.register(1, image_digest=digest))
    (model,) = world.cloud.endpoints.models.values()
    repository = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/own"
    assert model["PrimaryContainer"]["Image"] == f"{repository}@{digest}"
    assert world.live_version() == 1


def test_an_image_whose_digest_the_registry_tells_otherwise_is_refused(world: World) -> None:
    arn = world.register(1, image_digest=f"sha256:{'d' * 64}")
    container = world.cloud.registry.by_arn[arn]["InferenceSpecification"]["Containers"][0]
    container["ImageDigest"] = f"sha256:{'e' * 64}"
    release = world.release(world.approve(arn))
    assert release["status"] == "refused"
    assert "its ImageDigest is sha256:eeee" in release["reasons"][0]


def test_an_approval_taken_back_before_its_release_began_is_refused(world: World) -> None:
    arn = world.register(1)
    world.decide(arn, "Approved")
    world.tell_decision(arn, "Approved")
    world.decide(arn, "PendingManualApproval")
    world.run_all()
    (release,) = world.releases()
    assert "the package is PendingManualApproval, not Approved" in release["reasons"][0]


def test_a_release_that_waited_longer_than_its_approval_is_valid_is_refused(world: World) -> None:
    arn = world.register(1)
    world.decide(arn, "Approved")
    world.tell_decision(arn, "Approved")
    world.later(days=31)
    world.run_all()
    (release,) = world.releases()
    assert "was valid until " in release["reasons"][0]


def test_a_second_release_waits_for_the_first_ones_stage(world: World) -> None:
    arn = world.register(1)
    world.decide(arn, "Approved")
    world.tell_decision(arn, "Approved")
    (execution_arn,) = world.waiting()
    taken = Stage(PIPELINE, "production", ENDPOINT, releasing="reviews-v9-other")
    world.cloud.catalog.create(taken.item())
    request = world.cloud.workflows.executions[execution_arn]["input"]
    with pytest.raises(Exception, match="reviews/production is taken by reviews-v9-other"):
        world.invoke("plan_release", {"execution_arn": execution_arn, "release": request})
    world.cloud.catalog.update(keys.stage_key(PIPELINE, "production"), {"releasing": None})
    world.run_all()
    assert world.live_version() == 1


def test_every_task_of_a_release_may_run_twice(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run_once, twice = world.invoke, []

    def run_twice(function: str, payload: Any) -> Any:
        if "release" in payload or "release_id" in payload:
            twice.append(function)
            run_once(function, payload)
        return run_once(function, payload)

    monkeypatch.setattr(world, "invoke", run_twice)
    world.cloud.endpoints.responses = [
        {"status_code": 200, "body": b"[1]", "content_type": "application/json", "variant": "AllTraffic"}
    ] * 4
    world.approve(world.register(1))
    assert (world.live_version(), world.served_version()) == (1, "1")
    assert len(world.cloud.endpoints.updates) == 1
    assert len(world.releases()) == 1
    assert len(world.events()) == len(set(world.events()))
    assert twice == ["plan_release", "deploy_model", "smoke_test", "promote_release", "finish_release"]


def test_a_release_stops_before_the_stage_that_asks_for_a_person(
    cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]
) -> None:
    world = World(cloud, invoke, pipeline_yaml=TWO_STAGES)
    arn = world.register(1)
    world.approve(arn)
    assert (world.live_version("staging"), world.live_version("production")) == (1, None)
    assert ("held back", "production asks for a person") in [
        (event, detail.partition(":")[0]) for event, detail in world.timeline()
    ]
    request = {"pipeline": PIPELINE, "release_id": "reviews-v1-00000001", "cause": "command"}
    promote = {**request, "package_arn": arn, "stages": ["production"], "actor": "anna"}
    world.cloud.workflows.start("release", "reviews-v1-00000001", promote)
    world.run_all()
    assert world.live_version("production") == 1
    assert world.served_version("sluice--reviews--production") == "1"
