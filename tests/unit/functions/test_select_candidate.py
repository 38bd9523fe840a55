"""The best candidate is chosen, beside the model that serves; what nobody can vouch for is not."""

from __future__ import annotations

from typing import Any

import pytest

import fakes
from build_world import PIPELINE, ROWS, RUN, Invoke, World
from sluice.domain import catalog as keys


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    world = World(cloud, invoke)
    world.push()
    world.upload("a.csv")
    world.later(minutes=2)
    world.ask()
    return world


def trained(world: World) -> list[dict[str, Any]]:
    world.prepare_run()
    return [world.job(f"train-{index}", hyperparameters={}) for index in range(2)]


def select(world: World, candidates: list[dict[str, Any]], run_id: str = RUN) -> Any:
    version = world.catalog_run(run_id)["dataset_version"]
    payload = {**world.common(run_id), "dataset_version": version, "candidates": candidates}
    return world.invoke("select_candidate", payload)


def release(world: World) -> str:
    """What a release leaves behind; the package's ARN."""
    arn = str(world.catalog_run()["model_package_arn"])
    catalog = world.cloud.catalog
    catalog.create({**keys.stage_key(PIPELINE, "production"), "live": "release-1"})
    deployment = {"package_arn": arn, "package_version": 1}
    catalog.create({**keys.deployment_key(PIPELINE, "production", "release-1"), **deployment})
    return arn


def test_the_candidate_with_the_best_objective_is_chosen(world: World) -> None:
    candidates = trained(world)
    assert select(world, candidates) == {
        "candidate": candidates[1],
        "evaluations": [
            {
                "role": "candidate",
                "step": "evaluate-candidate",
                "model_uri": candidates[1]["model_uri"],
            }
        ],
        "champion": None,
    }


def test_a_failed_candidate_does_not_keep_the_others_from_being_chosen(world: World) -> None:
    candidates = trained(world)
    failed = {"step": "train-1", "status": "Failed", "failure_reason": "no luck"}
    assert select(world, [candidates[0], failed])["candidate"] == candidates[0]


def test_without_any_candidate_the_reasons_of_each_are_told(world: World) -> None:
    trained(world)
    failed = [
        {"step": f"train-{index}", "status": "Failed", "failure_reason": f"reason {index}"}
        for index in range(2)
    ]
    with pytest.raises(Exception, match="train-0 Failed: reason 0; train-1 Failed: reason 1"):
        select(world, failed)


def test_the_model_that_serves_is_the_champion_and_is_evaluated_too(world: World) -> None:
    assert world.play() == "registered"
    arn = release(world)
    model_uri = world.cloud.registry.by_arn[arn]["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    selected = select(world, trained(world))
    assert selected["champion"] == {"package_arn": arn, "package_version": 1, "release_id": "release-1"}
    assert selected["evaluations"][1] == {
        "role": "champion",
        "step": "evaluate-champion",
        "model_uri": model_uri,
    }


def test_a_champion_that_is_gone_from_the_registry_is_not_passed_over(world: World) -> None:
    assert world.play() == "registered"
    del world.cloud.registry.by_arn[release(world)]
    with pytest.raises(Exception, match="gone from the registry"):
        select(world, trained(world))


def test_data_overwritten_while_jobs_read_them_fail_the_run(world: World) -> None:
    candidates = trained(world)
    world.upload("a.csv", ROWS + b"3,1\n")
    with pytest.raises(Exception, match=f"1 objects changed .*: {PIPELINE}/a.csv"):
        select(world, candidates)


def test_data_overwritten_with_the_same_content_do_not(world: World) -> None:
    candidates = trained(world)
    world.upload("a.csv", ROWS)
    assert select(world, candidates)["candidate"] == candidates[1]
