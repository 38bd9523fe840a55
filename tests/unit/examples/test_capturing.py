"""The example's serving script writes the records that monitoring reads, where SageMaker captures none."""

from __future__ import annotations

import importlib
import io
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sluice.domain import config
from sluice.domain.monitor.capture import Shape, Traffic
from sluice_local.serving.handlers import InferenceService

EXAMPLE = Path(__file__).parents[3] / "examples" / "reviews"
PLACE = "s3://artifacts/capture/reviews-sentiment/sluice--reviews-sentiment--production/AllTraffic"
BODY = json.dumps({"reviews": ["So good.", "So bad."]}).encode()
ID = "X-Amzn-SageMaker-Inference-Id"


class Scores:
    """A model of which the first review is good."""

    def predict_proba(self, reviews: list[str]) -> Scores:
        self.count = len(reviews)
        return self

    def __getitem__(self, column: Any) -> list[float]:
        return [0.9, 0.2][: self.count]


class S3:
    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []
        self.is_down = False

    def put_object(self, **request: Any) -> None:
        if self.is_down:
            raise ConnectionError("no route")
        self.written.append(request)


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, ModuleType]:
    monkeypatch.syspath_prepend(str(EXAMPLE / "src"))
    for name in ("inference", "capturing"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "joblib", ModuleType("joblib"))
    return importlib.import_module("inference"), importlib.import_module("capturing")


@pytest.fixture
def s3(scripts: tuple[ModuleType, ModuleType], monkeypatch: pytest.MonkeyPatch) -> S3:
    made = S3()
    monkeypatch.setattr(scripts[1], "_s3", lambda: made)
    monkeypatch.setattr(scripts[0], "model_fn", lambda folder: Scores())
    monkeypatch.setenv("SLUICE_CAPTURE_URI", PLACE)
    return made


@pytest.fixture
def service(scripts: tuple[ModuleType, ModuleType], s3: S3) -> InferenceService:
    return InferenceService(scripts[0], "/opt/ml/model")


def ask(service: InferenceService, body: bytes = BODY, inference_id: str = "") -> Any:
    given = {ID: inference_id} if inference_id else {}
    return service.respond(body, {"Content-Type": "application/json", "Accept": "application/json", **given})


def test_monitoring_reads_what_the_script_wrote(service: InferenceService, s3: S3) -> None:
    answer = ask(service, inference_id="order-7")
    assert answer.status == 200
    (written,) = s3.written
    assert written["Bucket"] == "artifacts"
    folder = PLACE.removeprefix("s3://artifacts/")
    assert re.fullmatch(rf"{folder}/\d{{4}}/\d\d/\d\d/\d\d/[^/]+\.jsonl", written["Key"])

    text = (EXAMPLE / "pipeline.yaml").read_text().partition("\nmonitor:")[0]
    watched = text + "\nmonitor:\n  request: {columns: [review]}\n  answer: {prediction: sentiment}\n"
    traffic = Traffic()
    for line in io.BytesIO(written["Body"]):
        traffic.add(line.decode(), Shape.of(config.load(watched)), ignored="sluice--smoke-test")
    assert not traffic.unreadable
    rows = [(each.id, each.row["review"], each.prediction) for each in traffic.rows.values()]
    assert rows == [("order-7#0", "So good.", "great"), ("order-7#1", "So bad.", "other")]


def test_malformed_requests_and_others_answers_are_not_mixed_up(service: InferenceService, s3: S3) -> None:
    assert ask(service, b"{").status == 400
    assert s3.written == []
    ask(service, json.dumps({"reviews": ["Next."]}).encode())
    (written,) = s3.written
    record = json.loads(written["Body"])
    assert "Next." in record["captureData"]["endpointInput"]["data"]
    assert "inferenceId" not in record["eventMetadata"]


def test_a_record_that_cannot_be_written_costs_no_answer(
    service: InferenceService, s3: S3, capsys: pytest.CaptureFixture[str]
) -> None:
    s3.is_down = True
    assert ask(service).status == 200
    assert "a captured record is lost: ConnectionError('no route')" in capsys.readouterr().out


@pytest.mark.parametrize("variable", ["SLUICE_CAPTURE_URI", "SLUICE_CAPTURE_PERCENT"])
def test_nothing_is_written_unless_it_is_wanted(
    service: InferenceService, s3: S3, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "" if variable.endswith("URI") else "0")
    assert ask(service).status == 200
    assert s3.written == []
