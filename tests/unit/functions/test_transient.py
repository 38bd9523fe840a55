"""Runs in which AWS refuses something, once or for good, played by the machine that is deployed."""

from __future__ import annotations

from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

import fakes
from build_world import ROWS, Invoke, World
from inline import seconds_between

DENIED = "User is not authorized to perform: sagemaker:CreateModelPackage"


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    world = World(cloud, invoke)
    world.push()
    world.upload("a.csv", ROWS)
    return world


def refusal(code: str, message: str = "Rate exceeded") -> ClientError:
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    return ClientError(cast(Any, answer), "CreateModelPackage")


def refuse(world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, times: int = 1000) -> list[Any]:
    """Let the registry refuse its next packages; every request for one is listed."""
    asked: list[Any] = []
    create = world.cloud.registry.create_package

    def create_package(request: Any) -> str:
        asked.append(request)
        if len(asked) <= times:
            raise error
        return create(request)

    monkeypatch.setattr(world.cloud.registry, "create_package", create_package)
    return asked


def build(world: World) -> str:
    world.later(minutes=2)
    world.ask()
    return world.play()


def waited_s(world: World) -> float:
    """How long the machine waited between its attempts to register; nothing else there takes time."""
    entered = [e for e in world.execution["events"] if "stateEnteredEventDetails" in e]
    (began,) = (e for e in entered if e["stateEnteredEventDetails"]["name"] == "RegisterModel")
    return seconds_between(began["timestamp"], entered[-1]["timestamp"])


def test_a_missing_permission_ends_a_run_at_once_and_is_its_reason(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = refuse(world, monkeypatch, refusal("AccessDeniedException", DENIED))
    assert build(world) == "failed"
    assert len(asked) == 1
    assert waited_s(world) == 0
    (reason,) = world.catalog_run()["reasons"]
    assert reason.startswith("ClientError: An error occurred (AccessDeniedException)")
    assert reason.endswith(DENIED)


@pytest.mark.parametrize(
    "error", [refusal("ThrottlingException"), ReadTimeoutError(endpoint_url="https://api.sagemaker")]
)
def test_a_run_outlives_what_passes(world: World, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    asked = refuse(world, monkeypatch, error, times=4)
    assert build(world) == "registered"
    assert len(asked) == 5


def test_what_does_not_pass_is_told_by_the_name_that_it_had(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = refuse(world, monkeypatch, refusal("ThrottlingException"))
    assert build(world) == "failed"
    assert len(asked) == 5
    assert waited_s(world) == 2 + 4 + 8 + 16
    (reason,) = world.catalog_run()["reasons"]
    assert reason.startswith("ClientError: An error occurred (ThrottlingException)")
    assert reason.endswith("Rate exceeded")
