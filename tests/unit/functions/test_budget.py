"""What runs cost is counted once for each run, and a month's budget holds builds back and says so."""

from __future__ import annotations

from typing import Any

import pytest

from build_world import PIPELINE_YAML, RUN, Invoke, World
from caching_world import Caching
from sluice.catalog import keys
from sluice.catalog.changes import builds
from sluice.catalog.records.builds import Step
from sluice.services import timeline
from sluice.services.build import costs
from sluice.services.views import costs as views
from sluice.services.views import pipelines

# Four jobs of five minutes on ml.m5.large, and the rest.
A_RUN_USD = 4 * 0.115 / 12
SECOND = "reviews-00002"


@pytest.fixture
def world(cloud: Any, invoke: Invoke) -> World:
    world = World(cloud, invoke)
    world.push()
    return world


def limited(world: World, usd: float) -> None:
    text = PIPELINE_YAML.replace("daily_budget: 5", f"daily_budget: 5, monthly_budget_usd: {usd}")
    world.push(pipeline=text.encode())


def test_each_run_is_counted_once_with_its_cost(world: World) -> None:
    assert world.build("a.csv") == "registered"
    assert world.catalog_run()["cost_usd"] == pytest.approx(A_RUN_USD, rel=0.1)
    assert world.pipeline["spent_month"] == "2026-11"
    assert world.pipeline["spent_usd"] == pytest.approx(A_RUN_USD, rel=0.1)
    assert world.pipeline["recent_costs_usd"] == pytest.approx([world.catalog_run()["cost_usd"]], abs=1e-6)
    before = world.pipeline["spent_usd"]
    for _ in range(3):
        world.finish("registered")
    assert world.pipeline["spent_usd"] == before


def test_a_crash_while_it_is_counted_counts_it_neither_twice_nor_never(world: World) -> None:
    world.upload("a.csv")
    world.later(seconds=61)
    world.ask()
    world.prepare_run()
    world.job("prepare")
    for writes in range(6):
        with world.crash_after(writes):
            try:
                world.finish("failed", reasons=["stopped"])
            except RuntimeError:
                continue
    world.finish("failed", reasons=["stopped"])
    assert world.pipeline["in_flight"] is None if "in_flight" in world.pipeline else True
    assert world.pipeline["spent_usd"] == pytest.approx(0.115 / 12, rel=0.15)


def test_a_new_month_starts_at_nothing(world: World) -> None:
    world.build("a.csv")
    world.later(days=10)
    assert world.build("b.csv", b"x,y\n3,1\n") == "registered"
    assert world.pipeline["spent_month"] == "2026-12"
    assert world.pipeline["spent_usd"] == world.catalog_run(SECOND)["cost_usd"]


def use_up(world: World) -> None:
    """Let a run use up the month's budget, and the next upload ask for another."""
    limited(world, 0.04)
    assert world.build("a.csv") == "registered"
    world.later(hours=1)
    world.upload("b.csv", b"x,y\n3,1\n")
    world.later(seconds=61)
    world.ask()


def test_a_used_up_budget_holds_the_next_build_back_and_says_so(world: World) -> None:
    use_up(world)
    assert world.pipeline.get("in_flight") is None
    status = pipelines.status(world.cloud, "reviews")
    assert "monthly budget of $0.04" in status["costs"]["held_back"]
    assert status["costs"]["month"]["budget_usd"] == 0.04


@pytest.mark.parametrize("is_raised", [False, True])
def test_the_timeline_says_once_that_a_budget_holds_builds_and_when_that_ended(
    world: World, is_raised: bool
) -> None:
    def noted() -> list[tuple[str, str, str]]:
        found = timeline.entries(world.cloud, "reviews")
        return [(each["at"], each["event"], each["detail"]) for each in found if "builds " in each["event"]]

    use_up(world)
    (held,) = noted()
    assert (held[0], held[1]) == (world.cloud.now(), "builds held")
    assert held[2].startswith("monthly budget of $0.04: ")
    assert held[2].endswith("; until 2026-12-01T00:00:00.000Z")
    world.later(days=1)
    world.ask()
    assert noted() == [held]
    if is_raised:
        limited(world, 4)
    else:
        world.later(days=9)
    world.ask()
    ended_at = world.cloud.now() if is_raised else "2026-12-01T00:00:00.000Z"
    assert noted() == [held, (ended_at, "builds no longer held", "the budget has room")]
    assert world.play(SECOND) == "registered"
    limited(world, 5)
    world.later(hours=1)
    assert world.build("c.csv", b"x,y\n4,1\n") == "registered"
    assert len(noted()) == 2


def test_an_estimate_comes_from_the_last_runs(world: World) -> None:
    assert costs.estimate(world.cloud, "reviews").usd is None
    world.build("a.csv")
    world.later(hours=1)
    world.build("bad.csv", b"x,y\n1000,0\n")
    found = costs.estimate(world.cloud, "reviews")
    assert found.runs == 1
    # But for the packages, which the next run has already.
    assert found.usd == pytest.approx(world.catalog_run()["cost_usd"], abs=1e-6)


def test_a_run_is_shown_with_all_that_it_costs(world: World) -> None:
    world.build("a.csv")
    found = views.run_cost(world.cloud, RUN) or {}
    assert [step["step"] for step in found["steps"]] == [
        "evaluate-candidate",
        "packages of prepare",
        "prepare",
        "train-0",
        "train-1",
    ]
    assert found["usd"] == world.catalog_run()["cost_usd"]
    assert found["storage"]["bytes"] > 0
    assert found["prices"]["region"] == "us-east-1"
    assert found["next_run"]["estimate"]["runs"] == 1
    assert views.run_cost(world.cloud, "reviews-00099") is None


def test_a_step_of_an_older_stack_that_wrote_no_model_is_priced(world: World) -> None:
    world.build("a.csv")
    before = views.run_cost(world.cloud, RUN)
    item = world.cloud.catalog.get(keys.step_key(RUN, "train-1")) or {}
    world.cloud.catalog.apply(builds.record_step(Step.of({**item, "outputs": {"model": None}})))
    assert views.run_cost(world.cloud, RUN) == before


def test_a_job_that_still_runs_costs_what_it_took_so_far(world: World) -> None:
    world.upload("a.csv")
    world.later(seconds=61)
    world.ask()
    world.prepare_run()
    world.start("prepare")
    world.later(minutes=10)
    found = views.run_cost(world.cloud, RUN) or {}
    (step,) = found["steps"]
    assert (step["billed_s"], step["instance_type"]) == (600, "ml.m5.large")
    assert found["usd"] > 0.115 / 6


def test_a_run_that_is_stopped_with_a_job_on_lambda_counts_what_that_took(world: World) -> None:
    """Its end is recorded before the job's, which says later what was billed."""
    world.cloud.lambda_jobs.largest_mb = 3008
    world.upload("a.csv")
    world.later(seconds=61)
    world.ask()
    world.invoke(
        "build_environment", {"pipeline": "reviews", "project_version": world.pipeline["project_version"]}
    )
    world.prepare_run()
    world.start("prepare")
    assert world.step("prepare")["backend"] == "lambda"
    world.later(minutes=10)
    world.finish("stopped", reasons=["wrong data"])
    assert "unpriced_runs" not in world.pipeline or not world.pipeline["unpriced_runs"]
    assert world.catalog_run()["cost_usd"] > 600 * 1769 / 1024 * 0.0000133


def test_a_run_of_unknown_cost_is_said_to_be_so(world: World) -> None:
    text = PIPELINE_YAML.replace(
        "prepare: {script: src/prepare.py}",
        "prepare: {script: src/prepare.py, compute: {instance_type: ml.z1d.large}}",
    )
    world.push(pipeline=text.encode())
    assert world.build("a.csv") == "registered"
    assert "cost_usd" not in world.catalog_run()
    assert world.pipeline["unpriced_runs"] == 1
    found = views.run_cost(world.cloud, RUN) or {}
    assert found["usd"] is None
    assert "prepare: no list price of ml.z1d.large" in found["unknown"][0]


def test_a_run_that_reuses_what_another_did_costs_less_and_is_no_estimate(cloud: Any, invoke: Invoke) -> None:
    world = Caching(cloud, invoke)
    world.push()
    assert world.build("a.csv") == "registered"
    whole = world.catalog_run()["cost_usd"]
    detail = {"stack": "sluice", "pipeline": "reviews", "request_id": "r1", "actor": "ada"}
    world.invoke("start_run", {"time": "2026-11-24T12:00:00Z", "detail": detail})
    assert world.play(SECOND) == "registered"
    found = views.run_cost(world.cloud, SECOND) or {}
    assert {step["backend"] for step in found["steps"]} == {"cache"}
    assert found["usd"] < whole / 10
    assert costs.estimate(world.cloud, "reviews").usd == pytest.approx(whole, abs=1e-6)
