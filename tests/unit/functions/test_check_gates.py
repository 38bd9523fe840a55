"""A model passes by what its evaluation says, against limits and against the model that serves."""

from __future__ import annotations

import json
from typing import Any

import pytest

import fakes
from build_world import PIPELINE, PIPELINE_YAML, RUN, Invoke, World
from sluice.catalog import keys
from sluice.catalog.records.builds import Step
from sluice.domain import config
from sluice.domain.predictions import table
from sluice.services.build import judging

CHAMPION = {"package_arn": "arn", "package_version": 1, "release_id": "release-1"}
EVALUATE = f"s3://{fakes.ARTIFACT_BUCKET}/runs/{PIPELINE}/{RUN}/evaluate"


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    return World.of_started_run(cloud, invoke)


def judge(world: World, candidate: str, champion: str | None = None) -> Any:
    for role, evaluation in (("candidate", candidate), ("champion", champion)):
        if evaluation is not None:
            world.cloud.objects.write(f"{EVALUATE}/{role}/evaluation.json", evaluation.encode())
            step = Step(RUN, f"evaluate-{role}", "Completed", "processing_job", job_name="job")
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


# ------------------------------------------------------------------ predictions

PREDICTED = "predictions.accuracy >= 0.7"
BETTER = "metrics.accuracy.value better_than champion with confidence 0.95"


def predicted(right: int, rows: int = 100) -> bytes:
    lines = [f"r{row},1,{int(row < right)},{'ab'[row % 2]}" for row in range(rows)]
    return "\n".join(["id,label,prediction,category", *lines, ""]).encode()


def gated(world: World, *gates: str) -> World:
    """The world with a project of these gates in place of its own."""
    item = world.cloud.catalog.get(keys.project_key(PIPELINE, world.common()["project_version"])) or {}
    config = {**json.loads(item["config"]), "gates": gates}
    world.cloud.catalog.update(
        keys.project_key(PIPELINE, world.common()["project_version"]), {"config": json.dumps(config)}
    )
    return world


def write(world: World, role: str, name: str, content: bytes) -> None:
    world.cloud.objects.write(f"{EVALUATE}/{role}/{name}", content)


def test_predictions_of_both_models_are_compared(world: World) -> None:
    write(gated(world, BETTER), "candidate", "predictions.csv", predicted(90))
    write(world, "champion", "predictions.csv", predicted(70))
    assert judge(world, accuracy(0.9), accuracy(0.7))["is_better"]
    (result,) = results(world)
    assert (result["value"], result["champion"], result["method"]) == (0.9, 0.7, "exact McNemar test")
    write(world, "candidate", "predictions.csv", predicted(72))
    verdict = judge(world, accuracy(0.72), accuracy(0.7))
    assert not verdict["is_better"]
    assert "its gain of 0.02 may be" in verdict["reasons"][0]


def test_how_gates_were_judged_is_written_with_all_slices(world: World) -> None:
    write(gated(world, "for each category: accuracy >= 0.7"), "candidate", "predictions.csv", predicted(90))
    judge(world, accuracy(0.9))
    uri = f"s3://{fakes.ARTIFACT_BUCKET}/runs/{PIPELINE}/{RUN}/gates/gates.json"
    document = json.loads(world.cloud.objects.read(uri))
    assert (document["format"], document["passed"], document["champion"]) == ("sluice-gates/1", True, None)
    assert [each["name"] for each in document["gates"][0]["slices"]] == ["a", "b"]
    assert document["evaluation_sha256"]


@pytest.mark.parametrize(
    ("files", "why"),
    [
        (
            {},
            "predictions were not written: let evaluate.script write predictions.csv or predictions.parquet",
        ),
        (
            {"prediction.csv": b"x"},
            "where there is evaluation.json, prediction.csv; did you mean 'prediction.csv'?",
        ),
        (
            {"out/predictions.csv": b"x"},
            "where there is evaluation.json, out/predictions.csv; write out/predictions.csv one folder up",
        ),
        ({"predictions.csv": b"id,label\n"}, "predictions cannot be used: predictions.csv has neither"),
        ({"predictions.csv": b"", "predictions.parquet": b""}, "predictions are there twice"),
        ({"predictions.parquet": b"PAR1"}, "predictions.parquet is no Parquet file, or a damaged one"),
    ],
)
def test_predictions_that_cannot_be_used_fail_the_gate_and_say_why(
    world: World, files: dict[str, bytes], why: str
) -> None:
    gated(world, PREDICTED)
    for name, content in files.items():
        write(world, "candidate", name, content)
    verdict = judge(world, accuracy(0.9))
    assert not verdict["is_better"]
    assert verdict["reasons"][0].startswith(f"{PREDICTED}: the candidate's ")
    assert why in verdict["reasons"][0]


def test_predictions_of_any_size_are_not_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MAX_BYTES", 100)
    write(gated(world, PREDICTED), "candidate", "predictions.csv", predicted(90))
    assert "predictions.csv has 1019 bytes, at most 100" in judge(world, accuracy(0.9))["reasons"][0]


def test_predictions_that_no_gate_asks_for_are_not_read(world: World) -> None:
    write(world, "candidate", "predictions.csv", b"\xff")
    assert judge(world, accuracy(0.9))["is_better"]


def test_an_evaluation_in_another_place_is_named(world: World) -> None:
    write(world, "candidate", "sub/evaluation.json", b"{}")
    with pytest.raises(
        Exception, match=r"where there is sub/evaluation\.json; write sub/evaluation\.json one"
    ):
        world.invoke("check_gates", {**world.common(), "champion": None})


def test_the_size_of_a_model_is_that_of_its_archive(world: World) -> None:
    gated(world, "model.size_mb <= 0.001", "model.size_mb not_worse_than champion by 0.0005")
    uris = {
        role: f"s3://{fakes.ARTIFACT_BUCKET}/runs/{PIPELINE}/{role}.tar.gz"
        for role in ("candidate", "champion")
    }
    world.cloud.objects.write(uris["candidate"], b"x" * 1001)
    world.cloud.objects.write(uris["champion"], b"x" * 501)
    for role in uris:
        write(world, role, "evaluation.json", b"{}")
    step = Step(RUN, "evaluate-champion", "Completed", "processing_job", job_name="job")
    world.cloud.catalog.create(step.item())
    evaluations = [{"role": role, "model_uri": uri} for role, uri in uris.items()]
    task = {**world.common(), "champion": CHAMPION, "evaluations": evaluations}
    world.invoke("check_gates", task)
    assert [(each["passed"], each["value"]) for each in results(world)] == [
        (False, 0.001001),
        (True, 0.001001),
    ]


@pytest.mark.parametrize(
    ("said", "positive"), [("", "1"), ("positive: true", "1"), ("positive: great", "great")]
)
def test_the_positive_class_is_the_one_that_the_project_names(said: str, positive: str) -> None:
    script = "evaluate: {script: src/evaluate.py"
    text = PIPELINE_YAML.replace(script, f"{script}, {said}" if said else script)
    assert judging.meaning(config.load(text)).positive == positive
