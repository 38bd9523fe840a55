"""A stage without an endpoint: transform jobs score files with the released model, and these are watched."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from e2e.loop import TINY, Loop, rows
from e2e.test_monitoring import MONITOR, PREDICTIONS, judged
from monitored import truth
from sluice.services.views import batches, history, notices
from sluice_cli import main, waiting

pytestmark = pytest.mark.thorough
SERVE = (
    "{script: src/inference.py, sample: sample.json, content_type: text/csv, accept: text/csv, "
    "compute: {batch: {}}}"
)
# A transform sends many lines at once.
INFERENCE = """
import json
import pathlib


def model_fn(model_dir):
    return json.loads((pathlib.Path(model_dir) / "model.json").read_text())["threshold"]


def input_fn(body, content_type):
    text = body.decode() if isinstance(body, bytes) else body
    return [float(line) for line in text.splitlines() if line]


def predict_fn(data, threshold):
    return [int(x > threshold) for x in data]


def output_fn(prediction, accept):
    return "".join(f"{each}\\n" for each in prediction), "text/csv"
"""


def command(loop: Loop, *words: str) -> Result:
    return CliRunner().invoke(main.app, ["--stack", loop.target.stack, *words])


def drop(loop: Loop, name: str, body: bytes) -> None:
    """Upload a file to be scored, as any program does."""
    bucket = loop.target.outputs["DataBucketName"]
    loop.target.client("s3").put_object(Bucket=bucket, Key=f"batch/{loop.pipeline}/{name}", Body=body)


def scored(loop: Loop, name: str, *, nudge: bool = False) -> dict[str, Any]:
    """Wait for the end of the transform that took a file."""
    key, last = f"batch/{loop.pipeline}/{name}", time.monotonic()

    def look() -> dict[str, Any] | None:
        nonlocal last
        if nudge and time.monotonic() - last > 2:
            loop.reconcile()
            last = time.monotonic()
        ended = [each for each in shown(loop)["transforms"] if each["status"] != "running"]
        return next((each for each in ended if [key] == [put["key"] for put in each["inputs"]]), None)

    return waiting.until(look, timeout_s=120, what=f"{name} to be scored")


def shown(loop: Loop) -> dict[str, Any]:
    return batches.batches(loop.target.cloud, loop.pipeline)


def columns(count: int, name: str) -> tuple[list[float], bytes]:
    draw = random.Random(name)  # noqa: S311
    xs = [round(draw.uniform(0, 100), 3) for _ in range(count)]
    return xs, "".join(f"{x}\n" for x in xs).encode()


@pytest.mark.timeout(600)
def test_files_are_scored_by_what_is_released_and_watched_like_requests(loop: Loop, tmp_path: Path) -> None:
    evaluate = (TINY / "src/evaluate.py").read_text() + PREDICTIONS
    text = loop.configure(serve=SERVE) + MONITOR
    loop.push(pipeline=text, inference=INFERENCE, evaluate=evaluate, sample="10\n90\n")
    assert loop.run_after("part-1.csv", rows(400, seed=1))["status"] == "registered"
    released = loop.release_after(1)
    assert released["status"] == "released", released
    assert loop.target.cloud.endpoints.describe_endpoint(loop.endpoint_name) is None

    # A person's file: uploaded, scored, fetched. The same again costs nothing.
    xs, body = columns(200, "usual")
    file, answers = tmp_path / "usual.csv", tmp_path / "answers.csv"
    file.write_bytes(body)
    ran = command(loop, "batch", "run", loop.pipeline, str(file), "--out", str(answers), "--json")
    assert ran.exit_code == 0, (ran.output, ran.exception)
    result = json.loads(ran.stdout)
    assert (result["rows"], result["package_version"], result["faults"]) == (200, 1, [])
    predicted = answers.read_text().split()
    assert sum(int(y) == (x > 50) for x, y in zip(xs, predicted, strict=True)) > 150
    again = command(loop, "batch", "run", loop.pipeline, "usual.csv", "--json")
    assert json.loads(again.stdout)["transform_id"] == result["transform_id"]

    # What a program drops is scored although every event of S3 and of SageMaker is lost.
    for source in ("aws.s3", "aws.sagemaker"):
        loop.deliver(source, 0)
    drop(loop, "lost/day.csv", columns(5, "lost")[1])
    assert scored(loop, "lost/day.csv", nudge=True)["rows"] == 5
    loop.deliver_normally()

    # A file that is not what the model reads is set aside, told with the reason, and holds up no other.
    before = len(shown(loop)["transforms"])
    drop(loop, "bad.csv", b"no number\n")
    drop(loop, "good.csv", b"1\n99\n")
    assert scored(loop, "good.csv")["status"] == "completed"
    told = waiting.until(lambda: batch_notice(loop), timeout_s=120, what="a person to be told")
    assert f"batch list {loop.pipeline}" in told["command"]
    listed = " ".join(command(loop, "batch", "list", loop.pipeline).output.split())
    assert f"set aside batch/{loop.pipeline}/bad.csv: row 1: x is 'no number', and no number" in listed
    assert len(shown(loop)["transforms"]) == before + 1
    ran = command(loop, "batch", "run", loop.pipeline, "bad.csv")
    assert ran.exit_code == 1
    assert "x is 'no number'" in str(ran.exception)

    # Rows and answers are watched, and labels find them by the file's name.
    _, found = judged(loop, 207)
    assert not any("data" in (each.get("reasons") or {}) for each in found["windows"])
    wrong = ",".join(str(1 - int(y)) for y in predicted)
    bucket, key = loop.target.outputs["DataBucketName"], f"ground-truth/{loop.pipeline}/labels.jsonl"
    loop.target.client("s3").put_object(Bucket=bucket, Key=key, Body=truth([("usual.csv", wrong)]))
    waiting.until(lambda: "decay" in loop.events() or None, timeout_s=120, what="decay to be found")

    # The next version scores what comes next, and a rejection brings the former back.
    assert loop.run_after("part-2.csv", rows(400, seed=2))["status"] == "registered"
    assert loop.release_after(2)["status"] == "released"
    second = command(loop, "batch", "run", loop.pipeline, "usual.csv", "--json")
    assert json.loads(second.stdout)["package_version"] == 2
    assert loop.release_after(2, "Rejected")["status"] == "released"
    drop(loop, "after.csv", b"1\n99\n")
    assert scored(loop, "after.csv")["package_version"] == 1
    status = command(loop, "status", loop.pipeline)
    assert "v1 scores batches" in " ".join(status.output.split()), status.output
    assert command(loop, "why", loop.pipeline).exit_code == 0
    served = history.history(loop.target.cloud, loop.pipeline)
    assert served


def batch_notice(loop: Loop) -> dict[str, Any] | None:
    found = notices.notices(loop.target.cloud, 50)
    return next((each for each in found if each["kind"] == "batch_failed"), None)
