"""A build that watching a model asked for takes the lock once, says why, and is not skipped as unneeded."""

from __future__ import annotations

from typing import Any

import pytest

import fakes
from build_world import PIPELINE, RUN, Invoke, World
from sluice.catalog import keys
from sluice.catalog.changes import builds

CAUSE = "monitoring: drift on production: x: psi is 0.4, over 0.2"


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    world = World(cloud, invoke)
    world.push()
    assert world.build("a.csv") == "registered"
    world.later(minutes=10)
    return world


def run_of(world: World, run_id: str) -> dict[str, Any]:
    return world.cloud.catalog.get(keys.run_key(PIPELINE, run_id)) or {}


def test_the_same_data_are_built_anew_and_the_run_says_what_it_reacted_to(world: World) -> None:
    world.cloud.catalog.apply(builds.ask_retrain(PIPELINE, CAUSE))
    world.ask()
    run_id = world.pipeline["in_flight"]
    assert run_id not in (None, RUN)
    assert "retrain_cause" not in world.pipeline
    assert world.play(run_id) == "registered"
    run = run_of(world, run_id)
    assert (run["cause"], run["actor"]) == (CAUSE, "monitoring")
    world.ask()
    assert world.pipeline.get("in_flight") is None


def test_without_a_wish_the_same_data_build_nothing(world: World) -> None:
    world.ask()
    assert world.pipeline.get("in_flight") is None
