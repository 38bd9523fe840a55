"""A retired stage serves nothing, and says so only when it is true."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import fakes
from release_world import ENDPOINT, World
from sluice.catalog import keys


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]) -> World:
    world = World(cloud, invoke)
    world.approve(world.register(1))
    return world


@pytest.fixture
def retired(world: World, sample: Callable[[str], Any]) -> Callable[[], str]:
    def tell() -> str:
        return str(world.invoke("retire_stage", sample("retire_stage"))["status"])

    return tell


def test_a_stage_whose_endpoint_is_gone_has_nothing_live_and_can_be_released_to_again(
    world: World, retired: Callable[[], str]
) -> None:
    first = world.stage()["live"]
    del world.cloud.endpoints.by_name[ENDPOINT]
    for _ in range(3):
        assert retired() == "retired"
    assert "live" not in world.stage()
    deployment = world.deployment(first)
    assert (deployment["status"], deployment["ended_at"]) == ("retired", "2026-11-24T12:00:00.000Z")
    assert world.events().count("retired") == 1
    world.approve(world.register(2))
    assert (world.live_version(), world.served_version()) == (2, "2")
    assert "replaces" not in world.deployment(world.stage()["live"])


def test_what_still_serves_is_not_retired_whatever_an_event_says(
    world: World, retired: Callable[[], str]
) -> None:
    assert retired() == "still serves"
    assert world.live_version() == 1
    world.cloud.endpoints.by_name[ENDPOINT]["EndpointStatus"] = "Deleting"
    assert retired() == "retired"


def test_a_stage_that_is_released_to_or_does_not_exist_is_left_alone(
    world: World, retired: Callable[[], str]
) -> None:
    key = keys.stage_key("reviews", "production")
    world.cloud.catalog.update(key, {"releasing": "another"})
    del world.cloud.endpoints.by_name[ENDPOINT]
    assert retired() == "release under way"
    assert world.live_version() == 1
    del world.cloud.catalog.items[(key["pk"], key["sk"])]
    assert retired() == "no stage"
