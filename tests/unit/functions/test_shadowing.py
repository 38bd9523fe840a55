"""Shadows of a release: a version is compared with what serves before it does, and no shadow is left."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

import fakes
import inline
from machines import Crash, break_at, interfere
from release_world import ENDPOINT, ERROR_ALARM, OK, PIPELINE_YAML, Invoke, World
from sluice.catalog.changes import releases as changes
from sluice.catalog.records.releases import Deployment, Stage
from sluice.domain.release import serving
from sluice.domain.release.releases import Request
from sluice.services.release import unshadowing, vouching

SHADOWED = (
    PIPELINE_YAML.replace(
        "unwatched: true}}", "unwatched: true}, shadow: {percent: 50, bake_s: 120, min_requests: 10}}"
    ).replace("schema: {y: {type: integer}}", "schema: {y: {type: integer}, x: {type: number}}")
) + "monitor: {quality: {metric: accuracy, max_loss: 0.1}}\n"


SHADOW = "Shadow"


class Traffic:
    """What both variants do while they are compared."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.requests = {serving.VARIANT: 20.0, SHADOW: 10.0}
        self.errors = {serving.VARIANT: 0.0, SHADOW: 0.0}
        self.latency = {serving.VARIANT: 10_000.0, SHADOW: 11_000.0}
        self.answers = {serving.VARIANT: [1] * 10, SHADOW: [1] * 10}

    def values(
        self, alarm: Mapping[str, Any], since: datetime, until: datetime
    ) -> list[tuple[datetime, float]]:
        """What CloudWatch has of a metric since the shadow began; SageMaker has written as much."""
        self.capture()
        metric = alarm["Metrics"][0]["MetricStat"]["Metric"]
        variant = next(each["Value"] for each in metric["Dimensions"] if each["Name"] == "VariantName")
        variant = variant.partition("-")[0]
        kept = {"Invocations": self.requests, "ModelLatency": self.latency}
        return [(since, kept.get(metric["MetricName"], self.errors)[variant])]

    def capture(self) -> None:
        """What SageMaker writes of the requests."""
        at = self.world.at()
        self.world.cloud.objects.at = self.world.cloud.now.at
        for variant, answers in self.answers.items():
            lines = [self._record(variant, number, answer) for number, answer in enumerate(answers)]
            named = f"{variant}-{self.release()}" if variant == SHADOW else variant
            folder = f"capture/reviews/{ENDPOINT}/{named}/{at:%Y/%m/%d/%H}"
            self.world.cloud.objects.write(
                f"s3://{fakes.ARTIFACT_BUCKET}/{folder}/file.jsonl", "\n".join(lines).encode()
            )

    def release(self) -> str:
        """What ends the id of the release under way, and the name of its shadow."""
        return str(self.world.stage().get("releasing")).rpartition("-")[2]

    def _record(self, variant: str, number: int, answer: Any) -> str:
        sides = {
            "endpointInput": {"data": json.dumps([{"x": number}]), "encoding": "JSON", "mode": "INPUT"},
            "endpointOutput": {"data": json.dumps([answer]), "encoding": "JSON", "mode": "OUTPUT"},
        }
        about = {"eventId": f"{variant}-{number}", "inferenceTime": "2026-11-24T09:00:00Z"}
        return json.dumps({"captureData": sides, "eventMetadata": about, "eventVersion": "0"})


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    return World(cloud, invoke, pipeline_yaml=SHADOWED)


@pytest.fixture
def traffic(world: World, monkeypatch: pytest.MonkeyPatch) -> Traffic:
    world.approve(world.register(1))
    assert world.live_version() == 1
    made = Traffic(world)
    monkeypatch.setattr(world.cloud.alarms, "values", made.values)
    return made


def configs(world: World) -> list[str]:
    """The endpoint's configs, one after the other."""
    return [each["EndpointConfigName"] for each in world.cloud.endpoints.updates]


def has_shadow(world: World) -> bool:
    return bool(world.cloud.endpoints.by_name[ENDPOINT].get("ShadowProductionVariants"))


def test_a_version_that_does_well_as_a_shadow_is_released_and_the_shadow_gone(
    world: World, traffic: Traffic
) -> None:
    release_id = world.approve(world.register(2))
    assert world.release(release_id)["status"] == "released"
    assert world.live_version() == 2
    before, own = configs(world)[0], f"sluice--{release_id}--production"
    assert configs(world)[1:] == [f"{own}--shadow", before, own]
    assert not has_shadow(world)
    shadow = world.deployment(release_id)["shadow"]
    assert (shadow["status"], shadow["requests"], shadow["agreement"]) == ("passed", 10, 1.0)
    told = [event for event in world.events() if "shadow" in event]
    assert sorted(told) == ["no shadow", "shadow began", "shadow passed"]


def test_what_serves_keeps_its_model_while_the_other_is_its_shadow(world: World, traffic: Traffic) -> None:
    release_id = world.approve(world.register(2))
    config = world.cloud.endpoints.configs[f"sluice--{release_id}--production--shadow"]
    (variant,), (shadow,) = config["ProductionVariants"], config["ShadowProductionVariants"]
    live = world.cloud.endpoints.configs[configs(world)[0]]["ProductionVariants"][0]
    assert variant == live
    assert shadow["ModelName"] == f"sluice--{release_id}"
    # Its own name: CloudWatch counts whole minutes, in which another version may have been a shadow.
    assert shadow["VariantName"] == f"Shadow-{release_id.rpartition('-')[2]}"
    assert shadow["InitialVariantWeight"] == variant["InitialVariantWeight"] / 2
    assert config["DataCaptureConfig"]["InitialSamplingPercentage"] == 100


@pytest.mark.parametrize(
    ("attribute", "value", "reason"),
    [
        ("requests", 9.0, "it got 9 requests"),
        ("errors", 1.0, "it failed on 10.00%"),
        ("latency", 20_000.0, "it took 20.0 ms where what serves took 10.0 ms"),
        ("answers", [0] * 10, "it made 0.0% of 10 predictions as what serves did"),
    ],
)
def test_a_version_that_does_worse_is_refused_and_nobody_is_served_by_it(
    world: World, traffic: Traffic, attribute: str, value: Any, reason: str
) -> None:
    getattr(traffic, attribute)[SHADOW] = value
    release_id = world.approve(world.register(2))
    release = world.release(release_id)
    assert release["status"] == "refused"
    assert reason in release["reasons"][0]
    assert (world.live_version(), world.served_version()) == (1, "1")
    assert not has_shadow(world)
    assert f"sluice--{release_id}--production" not in configs(world)
    assert "shadow refused" in world.events()
    assert reason in world.deployment(release_id)["shadow"]["reasons"][0]


def test_a_version_that_fails_is_ended_before_its_time(world: World, traffic: Traffic) -> None:
    traffic.errors[SHADOW] = 10.0
    began = world.at()
    world.approve(world.register(2))
    assert (world.at() - began).total_seconds() < 120
    assert not has_shadow(world)


def test_an_alarm_of_what_serves_ends_the_comparison(world: World, traffic: Traffic) -> None:
    def fire(function: str, payload: Any) -> None:
        sees(function, payload)
        if function == "compare_shadow" and "shadow began" in world.events():
            world.fire()

    sees, world._sees = world._sees, fire  # type: ignore[method-assign]
    release_id = world.approve(world.register(2))
    assert f"what serves is in ALARM ({ERROR_ALARM})" in world.release(release_id)["reasons"][0]
    assert not has_shadow(world)


def test_a_rollback_does_not_wait_for_the_end_of_a_comparison(world: World, traffic: Traffic) -> None:
    def roll_back(function: str, payload: Any) -> None:
        sees(function, payload)
        if function == "compare_shadow" and "shadow began" in world.events():
            request = Request(
                pipeline="reviews", release_id="reviews-v1-back", cause="command", stage="production"
            )
            vouching.begin(world.cloud, request, "arn:execution")

    began = world.at()
    sees, world._sees = world._sees, roll_back  # type: ignore[method-assign]
    release_id = world.approve(world.register(2))
    assert "a rollback waits (reviews-v1-back)" in world.release(release_id)["reasons"][0]
    assert (world.at() - began).total_seconds() < 120
    assert not has_shadow(world)


def test_what_serves_keeps_its_instances_beside_a_shadow_and_after_it(world: World, traffic: Traffic) -> None:
    (variant,) = world.cloud.endpoints.by_name[ENDPOINT]["ProductionVariants"]
    variant.update(CurrentInstanceCount=7, DesiredInstanceCount=7)
    release_id = world.approve(world.register(2))
    config = world.cloud.endpoints.configs[f"sluice--{release_id}--production--shadow"]
    assert config["ProductionVariants"][0]["InitialInstanceCount"] == 7
    mirrored, removed, moved = world.cloud.endpoints.updates[1:]
    assert "RetainAllVariantProperties" not in mirrored
    assert removed["RetainAllVariantProperties"]
    assert ["DeploymentConfig" in each for each in (mirrored, removed, moved)] == [False, False, True]


def test_a_comparison_that_somebody_disturbs_ends(world: World, traffic: Traffic) -> None:
    def change(function: str, payload: Any) -> None:
        sees(function, payload)
        if function == "compare_shadow" and "shadow began" in world.events():
            world.cloud.endpoints.by_name[ENDPOINT]["EndpointConfigName"] = "by-hand"

    sees, world._sees = world._sees, change  # type: ignore[method-assign]
    release_id = world.approve(world.register(2))
    assert "was changed by somebody else" in world.release(release_id)["reasons"][0]


def test_a_function_that_dies_leaves_no_shadow(world: World, traffic: Traffic) -> None:
    interfere(world, "compare_shadow", ValueError)
    release_id = world.approve(world.register(2))
    assert world.release(release_id)["status"] == "failed"
    assert "RestoreEndpoint" in inline.entered(world.execution)
    assert (has_shadow(world), world.served_version()) == (False, "1")


def test_a_shadow_that_does_not_start_is_the_end_of_the_release(world: World, traffic: Traffic) -> None:
    before = configs(world)[0]
    world.settle = lambda endpoints, name: endpoints.settle(name, config=before)
    release_id = world.approve(world.register(2))
    assert "DeploymentRolledBackError" in world.release(release_id)["reasons"][0]
    assert not has_shadow(world)


def stopped(world: World) -> str:
    """A release that somebody stopped while its version is a shadow; returns its id."""
    execution_arn, task = world.plan(world.register(2))
    world.deploy({**task, "mirror": True})
    world.invoke("compare_shadow", task)
    world.cloud.workflows.executions[execution_arn].update(status="ABORTED", cause="stopped by hand")
    assert has_shadow(world)
    world.cloud.bus.entries.clear()
    world.tell_execution(execution_arn)
    return str(task["release_id"])


def test_a_release_that_is_stopped_has_its_shadow_taken_away(world: World, traffic: Traffic) -> None:
    stopped(world)
    (hint,) = [
        detail for name, detail, _ in world.cloud.bus.entries if name == "SageMaker Endpoint State Change"
    ]
    assert world.invoke("verify_endpoint", {"detail": hint}) == {"status": "shadow taken away"}
    world.cloud.endpoints.settle(ENDPOINT)
    assert (has_shadow(world), world.served_version()) == (False, "1")
    assert world.invoke("verify_endpoint", {"detail": hint}) == {"status": "as released"}
    assert "endpoint deviates" not in world.events()


def test_a_release_after_one_that_was_stopped_goes_back_to_what_has_no_shadow(
    world: World, traffic: Traffic
) -> None:
    stopped(world)
    _, task = world.plan(world.register(3))
    assert task["stage"]["previous_config_name"] == configs(world)[0]


def test_a_shadow_of_somebody_elses_is_told_and_stays(world: World, traffic: Traffic) -> None:
    endpoint = world.cloud.endpoints.by_name[ENDPOINT]
    served = world.cloud.endpoints.configs[configs(world)[0]]
    world.cloud.endpoints.create_config({**served, "EndpointConfigName": "theirs", "Tags": []})
    endpoint.update(EndpointConfigName="theirs", ShadowProductionVariants=[{"VariantName": "Theirs"}])
    assert world.invoke("verify_endpoint", {"detail": {"EndpointName": ENDPOINT}}) == {"status": "deviates"}
    assert has_shadow(world)


def test_a_rollback_waits_for_no_shadow(world: World, traffic: Traffic) -> None:
    world.later(hours=1)
    world.approve(world.register(2))
    began = world.at()
    world.fire()
    world.later(minutes=10)
    world.tell_alarm()
    world.run_all()
    assert (world.live_version(), world.served_version()) == (1, "1")
    assert "--shadow" not in configs(world)[-1]
    assert (world.at() - began).total_seconds() < 700


def test_a_look_that_is_repeated_says_the_same(world: World, traffic: Traffic) -> None:
    _, task = world.plan(world.register(2))
    world.deploy({**task, "mirror": True})
    assert world.invoke("compare_shadow", task) == {"status": "mirroring"}
    assert world.invoke("compare_shadow", task) == {"status": "mirroring"}
    world.later(seconds=121)
    assert [world.invoke("compare_shadow", task) for _ in range(2)] == [{"status": "passed"}] * 2
    assert world.events().count("shadow passed") == 1


def test_records_that_cannot_be_read_are_not_compared(world: World, traffic: Traffic) -> None:
    record = traffic._record

    def broken(variant: str, number: int, answer: Any) -> str:
        return "no record" if number == 3 else record(variant, number, answer)

    traffic._record = broken  # type: ignore[method-assign]
    traffic.answers = dict.fromkeys(traffic.answers, [1] * 12)
    release_id = world.approve(world.register(2))
    assert world.release(release_id)["status"] == "released"
    assert world.deployment(release_id)["shadow"]["compared"] == 11


def test_what_was_captured_before_the_shadow_is_not_compared(world: World, traffic: Traffic) -> None:
    _, task = world.plan(world.register(2))
    world.deploy({**task, "mirror": True})
    traffic.capture()
    captured = world.cloud.objects.buckets[fakes.ARTIFACT_BUCKET]
    for key in [each for each in captured if each.endswith("file.jsonl")]:
        early = captured.pop(key)[-1].data.replace(b'\\"x\\": ', b'\\"x\\": 10')
        world.cloud.objects.put(fakes.ARTIFACT_BUCKET, key.replace("file", "early"), early)
    world.later(seconds=30)
    assert world.invoke("compare_shadow", task) == {"status": "mirroring"}
    world.later(seconds=121)
    assert world.invoke("compare_shadow", task) == {"status": "passed"}
    assert world.deployment(task["release_id"])["shadow"]["compared"] == 10


def test_the_first_look_alone_begins_the_time(world: World, traffic: Traffic) -> None:
    _, task = world.plan(world.register(2))
    world.deploy({**task, "mirror": True})
    world.invoke("compare_shadow", task)
    found = world.deployment(task["release_id"])
    assert not world.cloud.catalog.apply(changes.begin_shadow(Deployment.of(found), {"since": "later"}))


@pytest.mark.usefixtures("traffic")
def test_the_smoke_test_sees_the_version_and_no_shadow(world: World) -> None:
    world.cloud.endpoints.responses = [OK]
    world.approve(world.register(2))
    assert world.live_version() == 2


def is_refused(world: World, traffic: Traffic) -> None:
    traffic.answers[SHADOW] = [0] * 10
    assert world.release(world.approve(world.register(2)))["status"] == "refused"
    assert (has_shadow(world), world.served_version()) == (False, "1")


def is_released(world: World, traffic: Traffic) -> None:
    died = [
        interfere(world, "deploy_model", Crash, only=task) for task in ('"mirror": true', '"restore": true')
    ]
    died.append(interfere(world, "compare_shadow", Crash))
    release_id = world.approve(world.register(2))
    assert world.release(release_id)["status"] == "released"
    assert [len(each) for each in died] == [1, 1, 1]
    config = configs(world)[-3:]
    assert config == [f"sluice--{release_id}--production--shadow", configs(world)[0], config[-1]]
    assert not has_shadow(world)


def dies(world: World, traffic: Traffic) -> None:
    interfere(world, "compare_shadow", ValueError)
    world.approve(world.register(2))
    assert not has_shadow(world)


def is_without(world: World, traffic: Traffic) -> None:
    world.push(PIPELINE_YAML)
    assert world.release(world.approve(world.register(2)))["status"] == "released"


SCENARIOS = {"is without": is_without, "is refused": is_refused, "is released": is_released, "dies": dies}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_shadow_as_it_is_deployed(world: World, traffic: Traffic, scenario: str) -> None:
    SCENARIOS[scenario](world, traffic)


@pytest.mark.parametrize(
    ("path", "value", "scenario"),
    [
        ("IsShadowWanted/Default", "MirrorRequests", "is without"),
        ("MirrorRequests/Next", "RemoveShadow", "is refused"),
        ("MirrorRequests/Retry", None, "is released"),
        ("CompareShadow/Next", "RemoveShadow", "is refused"),
        ("CompareShadow/Retry", None, "is released"),
        ("CompareShadow/Catch", None, "dies"),
        ("IsShadowDone/Default", "RemoveShadow", "is refused"),
        ("RemoveShadow/Retry", None, "is released"),
        ("RemoveShadow/Next", "SmokeTest", "is released"),
    ],
)
def test_a_broken_copy_does_not_pass(
    world: World, traffic: Traffic, path: str, value: Any, scenario: str
) -> None:
    break_at(world.definition, f"ReleaseStages/{path}", value)
    with pytest.raises(AssertionError):
        SCENARIOS[scenario](world, traffic)


def test_a_shadow_is_taken_away_once_its_endpoint_is_at_rest(world: World, traffic: Traffic) -> None:
    stopped(world)
    stage = Stage.of(world.stage())
    endpoint = world.cloud.endpoints.by_name[ENDPOINT]
    endpoint["EndpointStatus"] = "Updating"
    updates = len(configs(world))
    assert not unshadowing.take_away(world.cloud, stage)
    assert len(configs(world)) == updates
    endpoint["EndpointStatus"] = "InService"
    assert unshadowing.take_away(world.cloud, stage)
    assert len(configs(world)) == updates + 1
