"""What serves is watched: drift asks for a build, late labels show decay. The stack enforces its roles."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from e2e.loop import TINY, Loop, rows
from monitored import truth
from sluice.services.views import monitoring, runs
from sluice_cli import main, waiting

# A window ends so long before now, in whole seconds.
SETTLES = timedelta(seconds=7)
# Windows of labels are of one window of requests each, and complete at once.
MONITOR = """\
monitor:
  every_s: 3600
  label_delay: 0s
  quality: {window: 1s, max_loss: 0.1, min_labels: 50}
  retrain_on: [drift]
"""
PREDICTIONS = """
with (root / "evaluation/predictions.csv").open("w") as file:
    file.write("id,label,prediction\\n")
    file.writelines(f"{i},{y},{int(x > threshold)}\\n" for i, (x, y) in enumerate(data))
"""


def command(loop: Loop, *words: str) -> Result:
    return CliRunner().invoke(main.app, ["--stack", loop.target.stack, "monitor", *words, "--json"])


def ask(loop: Loop, low: float, high: float, name: str) -> dict[str, str]:
    """Ask about 200 rows, with inference ids; returns the right labels of each request."""
    draw = random.Random(name)  # noqa: S311
    labels = {}
    for number in range(10):
        xs = [round(draw.uniform(low, high), 3) for _ in range(20)]
        loop.target.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=loop.endpoint_name,
            ContentType="application/json",
            Accept="application/json",
            Body=json.dumps({"x": xs}),
            InferenceId=f"{name}-{number}",
        )
        labels[f"{name}-{number}"] = ",".join(str(int(x > 50)) for x in xs)
    waiting.until(lambda: is_captured(loop, labels), timeout_s=120, what="the requests to be captured")
    return labels


def is_captured(loop: Loop, labels: Mapping[str, str]) -> bool:
    """Tell whether all requests were written long enough ago for one window to take them."""
    bucket = loop.target.outputs["ArtifactBucketName"]
    s3 = loop.target.client("s3")
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"capture/{loop.pipeline}/").get("Contents", [])
    texts = (s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read().decode() for each in listed)
    written = "".join(texts)
    settled = datetime.now(UTC) - max((each["LastModified"] for each in listed), default=datetime.now(UTC))
    return all(f'"{name}"' in written for name in labels) and settled > SETTLES


def judged(loop: Loop, predictions: int) -> tuple[int, dict[str, Any]]:
    """Judge windows until those with all predictions were: SageMaker delivers them when it likes."""
    seen = 0

    def look() -> tuple[int, dict[str, Any]] | None:
        nonlocal seen
        result = command(loop, "run", loop.pipeline)
        assert result.exit_code in (0, 3), (result.output, result.exception)
        for window in json.loads(result.stdout)["judged"][0]["windows"]:
            seen += window.get("rows", 0)
        return (result.exit_code, shown(loop)) if seen >= predictions else None

    return waiting.until(look, timeout_s=120, what="what was captured to be judged", poll_s=3)


def shown(loop: Loop) -> dict[str, Any]:
    (found,) = monitoring.monitoring(loop.target.cloud, loop.pipeline)
    return found


def upload(loop: Loop, labels: Mapping[str, str]) -> None:
    bucket = loop.target.outputs["DataBucketName"]
    key = f"ground-truth/{loop.pipeline}/labels.jsonl"
    loop.target.client("s3").put_object(Bucket=bucket, Key=key, Body=truth(labels.items()))


def labelled(loop: Loop) -> dict[str, Any] | None:
    found = [each for each in shown(loop)["labels"] if each["status"] == "violated"]
    return found[0] if found else None


@pytest.mark.thorough
def test_drift_asks_for_a_build_and_late_labels_show_decay(loop: Loop) -> None:
    evaluate = (TINY / "src/evaluate.py").read_text()
    loop.push(pipeline=loop.configure() + MONITOR, evaluate=evaluate + PREDICTIONS)
    first = loop.run_after("part-1.csv", rows(400, seed=1))
    assert first["status"] == "registered", first
    assert loop.release_after(1)["status"] == "released"

    labels = ask(loop, 0, 100, "usual")
    code, found = judged(loop, 200)
    assert (code, [each["status"] for each in found["windows"] if each.get("rows")]) == (0, ["ok"])
    assert found["windows"][0]["predictions_baseline"] == "hold-out data"

    known = waiting.run_ids(loop.target, loop.pipeline)
    ask(loop, 80, 100, "drifted")
    code, found = judged(loop, 200)
    assert code == 3
    assert any("drift" in (each.get("reasons") or {}) for each in found["windows"])
    run = loop.next_run(known)
    (summary,) = [
        each for each in runs.runs(loop.target.cloud, loop.pipeline) if each["run_id"] == run["run_id"]
    ]
    assert summary["cause"].startswith("monitoring: drift on production: x: ")
    alarm = f"{loop.target.stack}--{loop.pipeline}--production--drift"
    waiting.until(
        lambda: {"alarm": alarm, "state": "ALARM"} in shown(loop)["alarms"] or None,
        timeout_s=120,
        what="the alarm on drift",
    )

    wrong = {name: ",".join(str(1 - int(y)) for y in ys.split(",")) for name, ys in labels.items()}
    upload(loop, wrong)
    window = waiting.until(lambda: labelled(loop), timeout_s=120, what="decay to be found")
    assert window["is_final"]
    assert (window["labelled"], window["rows"]) == (200, 200)
    assert "on the hold-out data" in window["reasons"][0]
    assert {"retrain asked", "labels received", "decay"} <= set(loop.events())
    # Labels are no data: nothing waits, and nothing is built of them.
    assert loop.status()["last_run"]["run_id"] == run["run_id"]
    page = command(loop, "show", loop.pipeline, "--out", str(loop.folder / "page.html"))
    assert page.exit_code == 0, page.output
    assert "Violated" in (loop.folder / "page.html").read_text()
