"""An endpoint is believed when it serves what was released and answers as its project says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import fakes
from release_world import ENDPOINT, OK, World
from sluice.domain.build import projects


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]) -> World:
    return World(cloud, invoke)


@pytest.fixture
def task(world: World, sample: Any) -> dict[str, Any]:
    """The sample task, deployed."""
    arn = world.register(1)
    world.decide(arn, "Approved")
    world.deploy(sample("smoke_test"))
    made: dict[str, Any] = sample("smoke_test")
    return made


def answers(world: World, *responses: dict[str, Any]) -> None:
    world.cloud.endpoints.responses = list(responses)


REFUSED = {"status_code": 503, "body": b"warming up", "content_type": "text/plain", "variant": None}


def test_an_endpoint_that_answers_the_sample_passes(world: World, task: dict[str, Any]) -> None:
    answers(world, OK)
    result = world.invoke("smoke_test", task)
    assert (result["status_code"], result["variant"]) == (200, "AllTraffic")
    assert result["latency_ms"] >= 0


def test_the_projects_own_sample_is_what_is_sent(
    world: World, task: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []

    def invoke(*request: Any, inference_id: str) -> dict[str, Any]:
        sent.append((*request, inference_id))
        return OK

    monkeypatch.setattr(world.cloud.endpoints, "invoke", invoke)
    world.invoke("smoke_test", task)
    assert sent == [(ENDPOINT, b'["good"]', "application/json", "application/json", "sluice--smoke-test")]


def test_an_endpoint_that_warms_up_is_asked_again(world: World, task: dict[str, Any]) -> None:
    answers(world, REFUSED, REFUSED, OK)
    assert world.invoke("smoke_test", task)["status_code"] == 200


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (REFUSED, "answered the sample request with 503: warming up"),
        ({**OK, "variant": "Other"}, "the variant Other answered, not AllTraffic"),
        ({**OK, "body": b"great"}, "the answer to the sample request is no JSON: .*: great"),
        ({**OK, "body": b'{"prediction": NaN}'}, "NaN is no number in JSON: answer null, or a text"),
        ({**OK, "body": b""}, "the answer to the sample request is empty"),
        ({**OK, "content_type": "text/html"}, "is text/html, not application/json"),
        ({**OK, "body": b'"\xe4"'}, "byte 1 is no UTF-8"),
    ],
)
def test_an_endpoint_that_keeps_answering_wrongly_fails(
    world: World, task: dict[str, Any], response: dict[str, Any], said: str
) -> None:
    answers(world, *[response] * 10)
    with pytest.raises(Exception, match=said) as failure:
        world.invoke("smoke_test", task)
    assert type(failure.value).__name__ == "SmokeTestFailedError"


def test_an_endpoint_that_serves_another_config_fails_before_it_is_asked(
    world: World, task: dict[str, Any]
) -> None:
    world.cloud.endpoints.by_name[ENDPOINT]["EndpointConfigName"] = "other"
    world.cloud.endpoints.configs["other"] = next(iter(world.cloud.endpoints.configs.values()))
    with pytest.raises(
        Exception, match="the endpoint's config is other, not sluice--reviews-v1-0a1b2c3d--production"
    ):
        world.invoke("smoke_test", task)


def test_a_model_with_other_data_fails(world: World, task: dict[str, Any]) -> None:
    model = world.cloud.endpoints.models["sluice--reviews-v1-0a1b2c3d"]
    model["PrimaryContainer"] = {**model["PrimaryContainer"], "ModelDataUrl": "s3://elsewhere/model.tar.gz"}
    with pytest.raises(Exception, match=r"the model's data is s3://elsewhere/model\.tar\.gz"):
        world.invoke("smoke_test", task)


def test_an_endpoint_that_is_gone_fails(world: World, task: dict[str, Any]) -> None:
    world.cloud.endpoints.delete_endpoint(ENDPOINT)
    with pytest.raises(Exception, match="the endpoint does not exist"):
        world.invoke("smoke_test", task)


def test_a_sample_that_is_not_the_pushed_one_is_not_sent(world: World, task: dict[str, Any]) -> None:
    bundle = projects.pack({"pipeline.yaml": b"", "sample.json": b"[]"})
    world.cloud.objects.write(world.locations.bundle(world.project_version), bundle)
    with pytest.raises(Exception, match="has changed since it was pushed"):
        world.invoke("smoke_test", task)
