"""A model passes by what its evaluation says, against limits and against the model that serves."""

from __future__ import annotations

from typing import Any

import pytest

import fakes
from build_world import PIPELINE, RUN, Invoke, World
from sluice.catalog import keys
from sluice.catalog.records.builds import Step

CHAMPION = {"package_arn": "arn", "package_version": 1, "release_id": "release-1"}
EVALUATE = f"s3://{fakes.ARTIFACT_BUCKET}/runs/{PIPELINE}/{RUN}/evaluate"


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    world = World(cloud, invoke)
    world.push()
    world.upload("a.csv")
    world.later(minutes=2)
    world.ask()
    return world


def judge(world: World, candidate: str, champion: str | None = None) -> Any:
    world.cloud.objects.write(f"{EVALUATE}/candidate/evaluation.json", candidate.encode())
    if champion is not None:
        world.cloud.objects.write(f"{EVALUATE}/champion/evaluation.json", champion.encode())
        step = Step(RUN, "evaluate-champion", "Completed", "processing_job", job_name="job")
        world.cloud.catalog.create(step.item())
    return world.invoke("check_gates", {**world.common(), "champion": CHAMPION if champion else None})


def results(world: World) -> Any:
    """Each gate's result, as the run shows it."""
    return (world.cloud.catalog.get(keys.step_key(RUN, "gates")) or {})["detail"]


def accuracy(value: float) -> str:
    return f'{{"metrics": {{"accuracy": {{"value": {value}}}}}}}'


def test_a_model_that_reaches_every_gate_is_better(world: World) -> None:
    verdict = judge(world, accuracy(0.8))
    assert (verdict["is_better"], verdict["reasons"]) == (True, [])
    assert [gate["passed"] for gate in results(world)] == [True, True]


def test_a_model_worse_than_the_champion_is_not_and_says_why(world: World) -> None:
    verdict = judge(world, accuracy(0.8), accuracy(0.9))
    assert verdict["is_better"] is False
    assert results(world)[1]["champion"] == 0.9
    assert "not_worse_than champion" in verdict["reasons"][0]
    assert "gates failed" in world.events()


@pytest.mark.parametrize("evaluation", ["{}", '{"metrics": {"accuracy": {"value": NaN}}}'])
def test_a_metric_that_is_missing_or_no_number_fails(world: World, evaluation: str) -> None:
    assert judge(world, evaluation)["is_better"] is False


@pytest.mark.parametrize(("evaluation", "words"), [("not json", "is no JSON"), ("[1]", "is no JSON object")])
def test_an_evaluation_that_cannot_be_read_fails_the_run(world: World, evaluation: str, words: str) -> None:
    with pytest.raises(Exception, match=words):
        judge(world, evaluation)


def test_an_evaluation_that_was_not_written_fails_the_run(world: World) -> None:
    with pytest.raises(Exception, match=r"candidate's evaluation\.json was not written"):
        world.invoke("check_gates", {**world.common(), "champion": None})


def test_a_number_that_no_gate_reads_may_be_any(world: World) -> None:
    evaluation = '{"metrics": {"accuracy": {"value": 0.9}, "auc": {"value": NaN}}}'
    assert judge(world, evaluation)["is_better"]
    step = world.cloud.catalog.get(keys.step_key(RUN, "evaluate-candidate")) or {}
    assert step["metrics"] == {"accuracy": 0.9}
    assert step["remark"] == "no finite numbers, recorded as null: metrics.auc.value"
    assert world.events().count("evaluate-candidate: remark") == 1


def test_an_evaluation_of_any_size_is_not_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Exception, match="has 5242881 bytes, at most"):
        judge(world, " " * (5 * 1024 * 1024 + 1))
