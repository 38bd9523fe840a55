"""Of a run's candidates no more are started than their limit of cost allows, and each of them once."""

from __future__ import annotations

from typing import Any

import pytest

import fakes
from build_world import PIPELINE, PIPELINE_YAML, RUN, Invoke, World
from sluice.catalog import keys
from sluice.domain import config
from sluice.domain.config.models import Train
from sluice.domain.quotas import QuotaTakenError
from sluice.services.build import spending
from sluice.services.build.spending import CostLimitError


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    return World(cloud, invoke)


def limited(world: World, usd: float) -> Train:
    """Begin a run whose candidates may cost so much; each that is awaited takes about a cent."""
    text = PIPELINE_YAML.replace("objective", f"max_cost_usd: {usd}, objective")
    project: dict[str, Any] | None = world.cloud.catalog.get(
        keys.project_key(PIPELINE, world.push(pipeline=text.encode()))
    )
    assert project is not None
    world.upload("a.csv")
    world.later(seconds=61)
    world.ask()
    world.prepare_run()
    world.job("prepare")
    return config.restore(project["config"]).train


def test_a_second_candidate_waits_for_what_the_first_one_costs(world: World) -> None:
    train = limited(world, 0.035)
    spending.check(world.cloud, RUN, "train-0", "job-0", train)
    world.start("train-0")
    with pytest.raises(QuotaTakenError, match="waits for what the first candidate costs"):
        spending.check(world.cloud, RUN, "train-1", "job-1", train)


def test_a_candidate_whose_job_runs_is_not_refused_by_a_second_attempt(world: World) -> None:
    train = limited(world, 0.005)
    world.job("train-0")
    with pytest.raises(CostLimitError, match="more than max_cost_usd"):
        spending.check(world.cloud, RUN, "train-1", "job-1", train)
    (job,) = (name for name in world.cloud.jobs.requests if name.endswith("train-0"))
    spending.check(world.cloud, RUN, "train-1", job, train)
