"""Each way through the deployed state machine has as many transitions as its cost says."""

from __future__ import annotations

from typing import Any

import pytest

import inline
from build_world import PIPELINE, PIPELINE_YAML, RUN, Invoke, World
from sluice.catalog import keys
from sluice.domain.build import costs
from sluice.services.build import costs as spending
from sluice.services.views import costs as views


class PromptWorld(World):
    """Where the packages of a push are built before a run needs them."""

    def push(self, **given: Any) -> str:
        version = super().push(**given)
        self.invoke("build_environment", {"pipeline": PIPELINE, "project_version": version})
        return version


@pytest.fixture
def world(cloud: Any, invoke: Invoke) -> World:
    world = PromptWorld(cloud, invoke)
    world.push()
    return world


def cost_of(world: World, run_id: str = RUN) -> costs.RunCost:
    steps = world.cloud.catalog.query(keys.steps_partition(run_id), keys.STEPS)
    return costs.of_run([{"step": keys.step_of(step), **step} for step in steps], world.catalog_run(run_id))


def transitions(world: World) -> int:
    return len(inline.entered(world.execution))


def test_of_a_registered_model(world: World) -> None:
    assert world.build("a.csv") == "registered"
    assert cost_of(world).transitions == transitions(world)
    # prepare, two candidates and an evaluation of five minutes each, on ml.m5.large.
    assert cost_of(world).usd == pytest.approx(4 * 0.115 / 12, rel=0.1)


def test_candidates_are_priced_by_their_number_whichever_began_first(world: World) -> None:
    assert world.build("a.csv") == "registered"
    world.cloud.catalog.update(keys.step_key(RUN, "train-0"), {"started_at": "2026-11-24T23:59:59Z"})
    found = views.run_cost(world.cloud, RUN)
    assert found is not None
    priced = [step["step"] for step in found["steps"] if step["step"].startswith("train-")]
    assert priced == ["train-0", "train-1"]


def test_of_a_pipeline_that_was_never_pushed_nothing_is_known(cloud: Any) -> None:
    assert spending.packages(cloud, "nobody") is None
    assert spending.estimate(cloud, "nobody").usd is None
    assert spending.outlook(cloud, "nobody") == {"estimate": None, "month": None, "held_back": None}


def test_of_a_run_that_has_its_packages_built(cloud: Any, invoke: Invoke) -> None:
    world = World(cloud, invoke)
    world.push()
    assert world.build("a.csv") == "registered"
    assert "BuildEnvironment" in inline.entered(world.execution)
    assert cost_of(world).transitions == transitions(world)


def test_the_first_run_pays_for_its_packages_and_no_estimate_has_them(cloud: Any, invoke: Invoke) -> None:
    world = World(cloud, invoke)
    build = cloud.packages.build

    def slow(*given: Any) -> Any:
        world.later(seconds=40)
        return build(*given)

    cloud.packages.build = slow
    cloud.lambda_jobs.largest_mb = 3008
    version = world.push()
    assert spending.packages(cloud, PIPELINE) == {"are_built": False, "usd": None}
    world.invoke("build_environment", {"pipeline": PIPELINE, "project_version": version})
    ahead = spending.packages(cloud, PIPELINE)
    assert ahead is not None
    assert ahead["are_built"]
    assert world.build("a.csv") == "registered"
    (row,) = [row for row in cost_of(world).steps if row.step == "packages of prepare"]
    assert (row.backend, row.billed_s, row.usd) == ("lambda", 40.0, ahead["usd"])
    assert spending.packages(cloud, PIPELINE) is None
    cost = world.catalog_run()["cost_usd"]
    assert spending.estimate(cloud, PIPELINE).usd == pytest.approx(cost - ahead["usd"])
    assert world.pipeline["packages_usd"] == ahead["usd"]
    world.later(hours=1)
    assert world.build("b.csv", b"x,y\n3,1\n") == "registered"
    assert world.catalog_run("reviews-00002")["cost_usd"] < cost


def test_of_a_candidate_that_failed(world: World) -> None:
    world.failing = {"train-0"}
    assert world.build("a.csv") == "registered"
    assert cost_of(world).transitions == transitions(world)


def test_of_rejected_data(world: World) -> None:
    assert world.build("a.csv", b"x,y\n1000,0\n") == "data_rejected"
    assert cost_of(world).transitions == transitions(world)
    assert cost_of(world).steps == ()


def test_of_a_rejected_model(world: World) -> None:
    world.accuracies["evaluate-candidate"] = 0.1
    assert world.build("a.csv") == "rejected"
    assert cost_of(world).transitions == transitions(world)


@pytest.mark.parametrize("step", ["prepare", "evaluate-candidate"])
def test_of_a_failed_run(world: World, step: str) -> None:
    world.failing = {step}
    assert world.build("a.csv") == "failed"
    assert cost_of(world).transitions == transitions(world)
    assert cost_of(world).usd is not None


def test_of_a_skipped_run(world: World) -> None:
    assert world.build("a.csv") == "registered"
    world.later(hours=2)
    assert world.build("a.csv") == "skipped"
    assert cost_of(world, "reviews-00002").transitions == transitions(world)


def test_of_a_reproduction(world: World) -> None:
    assert world.build("a.csv") == "registered"
    wish = {"stack": "sluice", "pipeline": PIPELINE, "request_id": "r1", "actor": "ada", "reproduces": RUN}
    world.invoke("start_run", {"time": "2026-11-24T12:00:00Z", "detail": wish})
    assert world.play("reviews-00002") == "reproduced"
    assert cost_of(world, "reviews-00002").transitions == transitions(world)


@pytest.mark.parametrize(
    "failing", [set(), {"evaluate-champion"}, {"evaluate-champion", "evaluate-champion-own"}]
)
def test_of_a_comparison_with_the_champion(world: World, failing: set[str]) -> None:
    assert world.build("a.csv") == "registered"
    world.release()
    world.later(hours=1)
    world.push(pipeline=PIPELINE_YAML.replace("1.4-2", "1.2-1").encode())
    world.failing = failing
    world.build("b.csv")
    assert cost_of(world, "reviews-00002").transitions == transitions(world)


def test_of_successive_halving(world: World) -> None:
    halving = (
        "candidates: {strategy: halving, space: {alpha: {min: 0, max: 1}}, max_candidates: 4, "
        "budget: {hyperparameter: epochs, min: 1, max: 4}, reduction_factor: 2, objective: accuracy}"
    )
    grid = "candidates: {space: {alpha: [0.1, 0.2]}, objective: accuracy}"
    world.accuracies |= {f"train-{index}": 0.8 + index / 100 for index in range(4)}
    world.accuracies |= {f"train-{index}-r1": 0.8 + index / 100 for index in range(4)}
    world.accuracies |= {f"train-{index}-r2": 0.8 + index / 100 for index in range(4)}
    world.push(pipeline=PIPELINE_YAML.replace(grid, halving).encode())
    assert world.build("a.csv") == "registered"
    assert len(cost_of(world).steps) > 6
    assert cost_of(world).transitions == transitions(world)


def test_of_a_run_without_any_candidate(world: World) -> None:
    world.failing = {"train-0", "train-1"}
    assert world.build("a.csv") == "failed"
    assert cost_of(world).transitions == transitions(world)
