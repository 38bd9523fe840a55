"""A serverless endpoint changes all at once, says so, and never to what cannot be taken back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import fakes
from release_world import ENDPOINT, PIPELINE_YAML, World

SERVERLESS = PIPELINE_YAML.replace(
    "sample: sample.json}",
    "sample: sample.json, compute: {serverless: {memory_mb: 3072, max_concurrency: 9}}}",
)


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]) -> World:
    return World(cloud, invoke, SERVERLESS)


def test_a_serverless_endpoint_has_its_limits_and_no_instances(world: World) -> None:
    world.approve(world.register(1))
    config = world.cloud.endpoints.by_name[ENDPOINT]["EndpointConfigName"]
    (variant,) = world.cloud.endpoints.configs[config]["ProductionVariants"]
    assert variant["ServerlessConfig"] == {"MemorySizeInMB": 3072, "MaxConcurrency": 9}
    assert not {"InstanceType", "InitialInstanceCount"} & variant.keys()
    assert world.live_version() == 1


def test_its_change_and_its_rollback_have_no_guardrails_and_say_so(world: World) -> None:
    world.approve(world.register(1))
    world.later(hours=1)
    release_id = world.approve(world.register(2))
    world.later(hours=1)
    assert world.release(release_id)["status"] == "released"
    assert "DeploymentConfig" not in world.cloud.endpoints.updates[-1]
    assert any(
        event == "all at once" and f"{ENDPOINT} is serverless" in detail for event, detail in world.timeline()
    )

    world.fire()
    world.tell_alarm()
    world.run_all()
    assert world.served_version() == "1"
    assert "DeploymentConfig" not in world.cloud.endpoints.updates[-1]


@pytest.mark.parametrize(("first", "second"), [(PIPELINE_YAML, SERVERLESS), (SERVERLESS, PIPELINE_YAML)])
def test_an_endpoint_is_not_released_to_with_another_kind_of_compute(
    world: World, first: str, second: str
) -> None:
    world.push(first)
    world.approve(world.register(1))
    world.later(hours=1)
    world.push(second)
    refused = world.release(world.approve(world.register(2)))
    assert refused["status"] == "refused"
    assert "`sluice retire reviews --stage production` first" in refused["reasons"][0]
    assert world.served_version() == "1"


def test_a_known_good_of_another_kind_is_not_put_back(world: World) -> None:
    world.push(PIPELINE_YAML)
    world.approve(world.register(1))
    world.later(hours=1)
    # Retired, and released again with another kind.
    del world.cloud.endpoints.by_name[ENDPOINT]
    world.push(SERVERLESS)
    world.approve(world.register(2))
    world.later(hours=1)
    world.fire()
    world.tell_alarm()
    world.run_all()
    assert world.served_version() == "2"
    assert any("serverless to instances" in detail for _, detail in world.timeline())


def test_a_failed_release_restores_what_served(world: World) -> None:
    world.approve(world.register(1))
    world.later(hours=1)
    world.cloud.endpoints.responses = [
        {"status_code": 500, "body": b"", "content_type": "", "variant": ""}
    ] * 4
    failed = world.release(world.approve(world.register(2)))
    assert failed["status"] == "failed"
    assert world.served_version() == "1"
    assert "DeploymentConfig" not in world.cloud.endpoints.updates[-1]


def test_a_script_that_captures_is_told_where_and_each_stage_has_its_own_model(world: World) -> None:
    two = SERVERLESS.replace("stages: [", "stages: [{name: staging}, ") + "monitor: {capture: script}\n"
    world.push(two)
    world.approve(world.register(1))
    for endpoint in (ENDPOINT, ENDPOINT.replace("production", "staging")):
        config = world.cloud.endpoints.configs[world.cloud.endpoints.by_name[endpoint]["EndpointConfigName"]]
        assert "DataCaptureConfig" not in config
        model = world.cloud.endpoints.models[config["ProductionVariants"][0]["ModelName"]]
        environment = model["PrimaryContainer"]["Environment"]
        place = f"s3://{fakes.ARTIFACT_BUCKET}/capture/reviews/{endpoint}/AllTraffic"
        assert environment["SLUICE_CAPTURE_URI"] == place
        assert environment["SLUICE_CAPTURE_PERCENT"] == "100"
    assert world.live_version() == 1
