"""The acts of the demo in which the world changes: requests drift, and late labels show decay."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

from sluice.services.views import monitoring
from sluice_cli import judging, moves, waiting
from sluice_cli.playing import STAGE, Demo
from sluice_cli.progress import Step

_ASKED = 200
_A_REQUEST = 20
_TIMEOUT_S = 180


def drift(demo: Demo, step: Step) -> None:
    """Ask about bad reviews alone: the predictions drift, and that starts a run."""
    known = waiting.run_ids(demo.target, demo.pipeline)
    before = {each["start"] for each in _watched(demo)["windows"]}
    demo.labels = _ask(demo)
    step.say("judging what was captured")
    window = _judged(demo, before)
    demo.expect(window["status"] == "violated", f"a window of bad reviews is {window['status']}")
    run = moves.registered(demo, moves.follow_new_run(demo, step, known))
    demo.drift_retrained = True
    drifted = next(iter(window["reasons"].get("predictions") or window["reasons"].get("drift") or ["?"]))
    step.detail = f"{drifted} → {run['run_id']} registered v{moves.version_of(run)}"


def decay(demo: Demo, step: Step) -> None:
    """Upload what customers said later, of whom most changed their mind: the live model has decayed."""
    bucket = demo.target.outputs["DataBucketName"]
    key = f"ground-truth/{demo.pipeline}/labels.csv"
    lines = "".join(f"{name},{row},{label}\n" for (name, row), label in demo.labels.items())
    demo.target.call("s3", "put_object", Bucket=bucket, Key=key, Body=f"inference_id,row,sentiment\n{lines}")
    window = waiting.until(
        lambda: next((each for each in _watched(demo)["labels"] if each["status"] == "violated"), None),
        timeout_s=_TIMEOUT_S,
        what="decay to be found",
    )
    demo.decay_found = True
    step.detail = f"{window['labelled']} labels: {'; '.join(window['reasons'])}"


def _ask(demo: Demo) -> dict[tuple[str, int], str]:
    """Ask about bad reviews, with inference ids; returns what will be said of each row later."""
    reviews = _bad_reviews()
    labels = dict[tuple[str, int], str]()
    for number in range(_ASKED // _A_REQUEST):
        name = f"asked-{number}"
        demo.predict([next(reviews) for _ in range(_A_REQUEST)], InferenceId=name)
        labels |= {(name, row): "great" for row in range(_A_REQUEST)}
    return labels


def _bad_reviews() -> Iterator[str]:
    with (moves.DATA / "part-2.csv").open(newline="", encoding="utf-8") as rows:
        yield from (row["review"] for row in csv.DictReader(rows) if row["sentiment"] == "other")


def _judged(demo: Demo, before: set[str]) -> dict[str, Any]:
    """Judge new windows until all that was asked is in some; returns a violated one, else the largest.

    SageMaker delivers what it captured when it likes, so one burst of requests may be in two windows.
    """
    seen = dict[str, dict[str, Any]]()

    def look() -> dict[str, Any] | None:
        judging.judge_now(demo.target, demo.pipeline, None, [STAGE])
        windows = _watched(demo)["windows"]
        seen.update((each["start"], each) for each in windows if each["start"] not in before)
        if sum(each.get("rows", 0) for each in seen.values()) < _ASKED:
            return None
        violated = (each for each in seen.values() if each["status"] == "violated")
        return next(violated, None) or max(seen.values(), key=lambda each: each.get("rows", 0))

    return waiting.until(look, timeout_s=_TIMEOUT_S, what="what was captured to be judged")


def _watched(demo: Demo) -> dict[str, Any]:
    (found,) = monitoring.monitoring(demo.target.cloud, demo.pipeline, STAGE)
    return found
