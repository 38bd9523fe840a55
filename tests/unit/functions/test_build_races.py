"""Builds whose functions die between two effects, run twice, or go on after their run has ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import fakes
from build_world import PIPELINE, RUN, World, ended
from sluice.catalog import keys
from sluice.catalog.changes import Change


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]) -> World:
    made = World(cloud, invoke)
    made.push()
    return made


def test_a_start_that_two_requests_share_is_told_of_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.upload("a.csv")
    world.later(minutes=2)
    start = world.cloud.workflows.start

    def overtaken(machine: str, name: str, payload: Any) -> str:
        monkeypatch.setattr(world.cloud.workflows, "start", start)
        world.ask()
        return start(machine, name, payload)

    monkeypatch.setattr(world.cloud.workflows, "start", overtaken)
    world.ask()
    assert len(world.cloud.workflows.executions) == 1
    assert world.events().count("build started") == 1


@pytest.mark.parametrize("has_ended", [False, True])
def test_of_two_requests_that_find_a_build_due_one_starts_it(
    world: World, monkeypatch: pytest.MonkeyPatch, has_ended: bool
) -> None:
    world.upload("a.csv")
    world.later(minutes=2)
    apply = world.cloud.catalog.apply

    def overtaken(*changes: Change) -> bool:
        monkeypatch.setattr(world.cloud.catalog, "apply", apply)
        world.ask()
        if has_ended:
            world.play()
        return apply(*changes)

    monkeypatch.setattr(world.cloud.catalog, "apply", overtaken)
    world.ask()
    assert len(world.cloud.workflows.executions) == 1
    assert (world.pipeline["build_seq"], world.pipeline["budget_used"]) == (1, 1)
    assert world.pipeline.get("in_flight") == (None if has_ended else RUN)


def test_every_task_of_a_run_that_is_repeated_later_is_told_of_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoke = world.invoke

    def answer_is_lost(function: str, payload: Any) -> Any:
        if function in {"validate_data", "select_candidate", "check_gates", "register_model"}:
            invoke(function, payload)
            world.later(seconds=1)
        return invoke(function, payload)

    monkeypatch.setattr(world, "invoke", answer_is_lost)
    assert world.build("a.csv") == "registered"
    assert len(world.cloud.registry.by_arn) == 1
    assert sorted(world.events()) == sorted(set(world.events()))


def test_a_validation_that_outlives_its_run_does_not_take_later_data_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its execution was stopped, and the next run has built on more since."""
    world.upload("a.csv")
    world.later(minutes=2)
    world.ask()
    late = {**world.common(), "dataset_version": world.prepare_run()["dataset_version"]}
    world.finish("failed", reasons=["stopped"])
    assert world.build("b.csv", b"x,y\n3,1\n") == "registered"
    with pytest.raises(Exception, match=f"{RUN} has ended"):
        world.invoke("validate_data", late)
    assert world.build("c.csv", b"x,y\n4,0\n") == "registered"
    assert [name.partition("#")[0] for name in world.objects_of("reviews-00003")] == [
        "reviews/a.csv",
        "reviews/b.csv",
        "reviews/c.csv",
    ]


def test_data_that_was_judged_for_a_run_that_had_ended_is_not_lost(world: World) -> None:
    world.upload("a.csv")
    world.later(minutes=2)
    world.ask()
    late = {**world.common(), "dataset_version": world.prepare_run()["dataset_version"]}
    world.finish("failed", reasons=["stopped"])
    with pytest.raises(Exception, match=f"{RUN} has ended"):
        world.invoke("validate_data", late)
    assert world.build("b.csv", b"x,y\n3,1\n") == "registered"
    assert len(world.objects_of("reviews-00002")) == 2


def test_a_project_whose_registration_died_is_announced_again(world: World) -> None:
    version = world.pipeline["project_version"]
    world.cloud.catalog.update(keys.project_key(PIPELINE, version), {"status": "registering"})
    world.invoke("reconcile", {})
    announced = [detail["object"]["key"] for _, detail, _ in world.cloud.bus.entries if "object" in detail]
    assert announced == [f"projects/{PIPELINE}/{version}.tar.gz"]


def test_a_push_that_cures_a_first_run_that_died_builds_with_the_data_it_left(world: World) -> None:
    """Its arrivals are in a data set that nobody has judged: they wait, and yet are not pending."""
    world.upload("a.csv")
    world.later(minutes=2)
    world.ask()
    world.prepare_run()
    world.finish("failed", reasons=["the data contract names a column twice"])
    world.ask()
    assert world.pipeline.get("in_flight") is None
    world.push(train=b"print('better')\n")
    world.later(hours=1)
    world.ask()
    assert world.play("reviews-00002") == "registered"
    assert len(world.objects_of("reviews-00002")) == 1


def test_the_end_of_a_job_that_is_older_than_the_run_is_not_its_result(world: World) -> None:
    """A stack that was here before left it; a hint may come before the attempt to start it is refused."""
    world.upload("a.csv")
    world.later(minutes=2)
    world.ask()
    world.prepare_run()
    name = f"sluice--{RUN}-prepare"
    world.cloud.jobs.created_at -= timedelta(days=90)
    world.cloud.jobs.start("processing_job", {"ProcessingJobName": name})
    world.cloud.jobs.end(name)
    with pytest.raises(Exception, match="was created before this run"):
        world.start("prepare")
    world.invoke("finish_job", ended(name))
    assert not world.cloud.workflows.answers
    assert "prepare completed" not in world.events()
    assert world.cloud.catalog.listing(keys.TASKS) == []
