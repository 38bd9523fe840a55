"""`sluice batch run` has a file scored and shows its results, `sluice batch list` what became of all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import fakes
from batch_world import BATCH, BatchWorld
from command_world import Hearing
from release_world import PIPELINE, PIPELINE_YAML, Invoke
from sluice_cli import main, options
from sluice_cli.errors import CommandError


class Scoring(Hearing[BatchWorld]):
    """SageMaker scores at once what a person asks for."""

    def __init__(self, world: BatchWorld) -> None:
        super().__init__(world, "BatchRequested", "transform_batch")
        self.status = "Completed"
        self.meanwhile = self.score

    def score(self) -> None:
        for job in self.world.running():
            for name in ("a.csv", "b.csv"):
                self.world.write_output(job, name, b"great\npoor\n")
            self.world.end(job, self.status, FailureReason="ClientError: 400: no number")


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> BatchWorld:
    return BatchWorld(cloud, invoke)


@pytest.fixture
def scoring(world: BatchWorld, monkeypatch: pytest.MonkeyPatch) -> Scoring:
    world.approve(world.register(1))
    found = Scoring(world)
    monkeypatch.setattr(options.Options, "target", lambda self: found)
    return found


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main.app, ["batch", *arguments])


def test_a_file_is_uploaded_scored_and_its_results_written(scoring: Scoring, tmp_path: Path) -> None:
    file, answers = tmp_path / "a.csv", tmp_path / "answers.csv"
    file.write_text("good\nbad\n")
    found = call("run", PIPELINE, str(file), "--out", str(answers))
    assert found.exit_code == 0, found.exception
    assert "scored 2 rows by v1:" in " ".join(found.stdout.split())
    assert answers.read_text() == "great\npoor\n"
    again = json.loads(call("run", PIPELINE, "a.csv", "--json").stdout)
    assert (again["transform_id"], again["rows"]) == ("reviews-batch-00001", 2)
    assert len(scoring.world.transforms()) == 1, "the same input and model: once"


def test_an_object_elsewhere_is_copied_and_one_below_the_prefix_taken_as_it_is(scoring: Scoring) -> None:
    scoring.cloud.objects.put("elsewhere", "deep/b.csv", b"good\nbad\n")
    copied = json.loads(call("run", PIPELINE, "s3://elsewhere/deep/b.csv", "--json").stdout)
    assert copied["key"] == f"batch/{PIPELINE}/b.csv"
    there = f"s3://{fakes.DATA_BUCKET}/batch/{PIPELINE}/b.csv"
    taken = json.loads(call("run", PIPELINE, there, "--json").stdout)
    assert taken["version_id"] == copied["version_id"]


def test_a_file_that_cannot_be_scored_says_why_and_what_to_do(scoring: Scoring, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("bad\n")
    scoring.status = "Failed"
    failed = call("run", PIPELINE, str(tmp_path / "a.csv"))
    assert isinstance(failed.exception, CommandError)
    assert "no number" in str(failed.exception)
    assert f"sluice batch run {PIPELINE} batch/{PIPELINE}/a.csv" in failed.exception.hint
    # The same again is tried: it may have been the world's fault.
    scoring.status = "Completed"
    assert call("run", PIPELINE, f"batch/{PIPELINE}/a.csv").exit_code == 0


@pytest.mark.parametrize(
    ("source", "said"), [("nothing.csv", "neither a file"), ("s3://elsewhere/a.csv", "there is no object")]
)
def test_what_is_not_there_is_said(scoring: Scoring, source: str, said: str) -> None:
    assert said in str(call("run", PIPELINE, source).exception)


def test_a_pipeline_with_endpoints_names_what_asks_them(
    cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: Any = Hearing(BatchWorld(cloud, invoke, PIPELINE_YAML), "BatchRequested", "transform_batch")
    monkeypatch.setattr(options.Options, "target", lambda self: found)
    error = call("run", PIPELINE, "a.csv").exception
    assert isinstance(error, CommandError)
    assert "sluice predict" in error.hint


def test_list_shows_what_scored_what_where_and_what_waits(scoring: Scoring, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("good\nbad\n")
    call("run", PIPELINE, str(tmp_path / "a.csv"))
    scoring.world.upload("c.csv", b"")
    scoring.world.upload("d.csv")
    scoring.world.upload("e.csv")
    shown = call("list", PIPELINE)
    said = " ".join(shown.output.split())
    assert "v1 on production scores what is uploaded below batch/reviews/" in said
    assert "waits 1 file until reviews-batch-00002 ends" in said
    assert "reviews-batch-00001 completed v1 1 2" in said
    as_json = json.loads(call("list", PIPELINE, "--json", "--limit", "1").stdout)
    assert [each["transform_id"] for each in as_json["transforms"]] == ["reviews-batch-00002"]
    assert as_json["waiting"][0]["key"] == f"batch/{PIPELINE}/e.csv"


def test_a_schedule_is_shown(world: BatchWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    world.push(BATCH.replace("batch: {}", "batch: {every_s: 3600}"))
    world.approve(world.register(1))
    found = Scoring(world)
    monkeypatch.setattr(options.Options, "target", lambda self: found)
    (tmp_path / "a.csv").write_text("good\nbad\n")
    call("run", PIPELINE, str(tmp_path / "a.csv"))
    world.upload("b.csv")
    assert f"waits 1 file until {world.cloud.now.at[:10]}" in " ".join(call("list", PIPELINE).output.split())


def test_status_why_models_and_predict_say_that_there_is_no_endpoint(scoring: Scoring) -> None:
    status = " ".join(CliRunner().invoke(main.app, ["status", PIPELINE]).output.split())
    assert f"production: v1 scores batches (`sluice batch list {PIPELINE}`)" in status
    assert "missing" not in status
    why = CliRunner().invoke(main.app, ["why", PIPELINE])
    assert "without an endpoint: it scores batches" in " ".join(why.output.split()), why.exception
    models = CliRunner().invoke(main.app, ["models", PIPELINE])
    assert "production (scores batches)" in " ".join(models.output.split()), models.exception
    error = CliRunner().invoke(main.app, ["predict", PIPELINE, "[]"]).exception
    assert isinstance(error, CommandError)
    assert f"sluice batch run {PIPELINE} FILE" in error.hint
