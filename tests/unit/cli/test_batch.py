"""`sluice batch run` has a file scored and shows its results, `sluice batch list` what became of all."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner, Result

import fakes
from batch_world import BATCH, BatchWorld
from command_world import Hearing
from release_world import PIPELINE, PIPELINE_YAML, Invoke
from sluice.domain.times import from_iso, to_iso
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


def test_a_request_that_got_lost_is_said(
    scoring: Scoring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_sleep: None
) -> None:
    (tmp_path / "a.csv").write_text("good\nbad\n")
    hours = itertools.count(step=3600)
    monkeypatch.setattr("sluice_cli.waiting.time.monotonic", lambda: next(hours))
    monkeypatch.setattr(scoring, "put_events", lambda Entries: {"FailedEntryCount": 0})
    for arguments in ([], ["--no-wait"]):
        error = call("run", PIPELINE, str(tmp_path / "a.csv"), *arguments).exception
        assert isinstance(error, CommandError)
        assert "to ask twice does no harm" in error.hint


class Uploading(Scoring):
    """An uploader: S3's event of the upload is heard, and a request is refused."""

    def put_events(self, Entries: list[dict[str, str]]) -> dict[str, Any]:
        detail = json.loads(Entries[0]["Detail"])
        uploaded = {"key": detail["key"], "version-id": detail["version_id"]}
        self.world.invoke(
            "transform_batch", {"detail": {"bucket": {"name": fakes.DATA_BUCKET}, "object": uploaded}}
        )
        self.meanwhile()
        said: Any = {
            "Code": "AccessDeniedException",
            "Message": "not authorized to perform: events:PutEvents",
        }
        raise ClientError({"Error": said}, "PutEvents")


@pytest.fixture
def uploading(world: BatchWorld, monkeypatch: pytest.MonkeyPatch) -> Uploading:
    world.approve(world.register(1))
    found = Uploading(world)
    monkeypatch.setattr(options.Options, "target", lambda self: found)
    return found


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "a.csv").write_text("good\nbad\n")
    return str(tmp_path / "a.csv")


def test_who_may_upload_and_not_ask_has_it_scored_by_the_upload(uploading: Uploading, file: str) -> None:
    found = call("run", PIPELINE, file, "--json")
    assert found.exit_code == 0, found.exception
    assert json.loads(found.stdout)["rows"] == 2
    assert "the upload is scored by itself" in " ".join(found.stderr.split())


def test_where_transforms_have_a_schedule_an_uploader_is_told_when_it_is_scored(
    uploading: Uploading, file: str
) -> None:
    uploading.world.push(BATCH.replace("batch: {}", "batch: {every_s: 3600}"))
    uploading.world.approve(uploading.world.register(2))
    assert call("run", PIPELINE, file, "--json").exit_code == 0, "the first need not wait"
    uploading.cloud.now.at = to_iso(from_iso(uploading.cloud.now.at) + timedelta(minutes=20))
    found = call("run", PIPELINE, file, "--json")
    assert found.exit_code == 0, found.exception
    said = json.loads(found.stdout)
    assert (said["status"], said["due_at"]) == ("waiting", "2026-11-24T10:00:00.000Z")
    error = call("run", PIPELINE, file, "--out", f"{file}.out").exception
    assert isinstance(error, CommandError)
    assert (error.exit_code, "2026-11-24T10:00" in str(error)) == (1, True)


def test_an_uploader_has_nothing_scored_again_but_by_another_upload(uploading: Uploading, file: str) -> None:
    uploading.status = "Failed"
    assert call("run", PIPELINE, file).exit_code == 1
    error = call("run", PIPELINE, "a.csv").exception
    assert isinstance(error, CommandError)
    assert "may not have batch/reviews/a.csv scored again" in str(error)
    assert "Upload the file once more" in error.hint
    uploading.status = "Completed"
    assert call("run", PIPELINE, file).exit_code == 0


def test_results_that_an_uploader_may_not_read_are_named(
    uploading: Uploading, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(uri: str) -> bytes:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "GetObject")

    assert call("run", PIPELINE, file).exit_code == 0
    monkeypatch.setattr(uploading.cloud.objects, "read", refused)
    error = call("run", PIPELINE, "a.csv", "--out", f"{file}.out").exception
    assert isinstance(error, CommandError)
    assert (error.exit_code, "is scored" in str(error), "/transforms/" in str(error)) == (1, True, True)


def test_a_pipeline_with_endpoints_names_what_asks_them(
    cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: Any = Hearing(BatchWorld(cloud, invoke, PIPELINE_YAML), "BatchRequested", "transform_batch")
    monkeypatch.setattr(options.Options, "target", lambda self: found)
    error = call("run", PIPELINE, "a.csv").exception
    assert isinstance(error, CommandError)
    assert "sluice predict" in error.hint


def test_list_says_what_would_score_the_first_file(
    scoring: Scoring,
) -> None:
    assert f"`sluice batch run {PIPELINE} FILE` does" in call("list", PIPELINE).output


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
