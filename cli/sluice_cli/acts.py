"""The acts of the demo. Each uses only the interfaces that a user has."""

from __future__ import annotations

import csv
from typing import Any

from sluice.domain import wording
from sluice.services.views import uploads
from sluice_cli import moves, perils, project, proofs, reasons, watching
from sluice_cli.playing import Demo, act
from sluice_cli.progress import Step


def play(demo: Demo) -> None:
    """Play the acts, each on what the one before left."""
    with demo.steps.step("push examples/reviews") as step:
        pushed = project.push(demo.target, demo.project)
        demo.pipeline = pushed["pipeline"]
        step.detail = f"{demo.pipeline}, version {pushed['project_version'][:12]}"
    with demo.steps.step("upload part 1: the model trains") as step:
        first = train(demo, step, "part-1.csv")
    with demo.steps.step("approve it: it is released") as step:
        moves.release(demo, step, first)
    with demo.steps.step("ask it about real reviews") as step:
        show_predictions(demo, step, 3)
    with demo.steps.step("upload part 2: a better model") as step:
        second = train(demo, step, "part-2.csv")
        before, after = moves.accuracy(first), moves.accuracy(second)
        demo.expect(after > before, f"the second model is not better: {after:.4f} against {before:.4f}")
    with demo.steps.step(f"approve it: it is released{'' if demo.is_short else ' by a canary'}") as step:
        moves.release(demo, step, second)
    with act(demo, "its candidates, and what the run costs") as step:
        proofs.show_candidates(demo, step, second)
    with act(demo, "start a run with a worse value: the gates refuse it") as step:
        proofs.refuse_worse(demo, step)
    if not demo.is_short:
        play_watched(demo)
    with demo.steps.step("the live model fails: it is rolled back") as step:
        perils.roll_back(demo, step)
    if not demo.is_short:
        play_rejected(demo)
    with demo.steps.step("upload a malformed file: it is rejected") as step:
        reject_bad_data(demo, step)
    with act(demo, "what the live model was made of, read again") as step:
        proofs.verify_manifest(demo, step)
    with act(demo, "why it serves") as step:
        proofs.tell_why(demo, step)


def play_watched(demo: Demo) -> None:
    """Play what is noticed while a model serves, and while another would."""
    with demo.steps.step("requests drift: it retrains") as step:
        watching.drift(demo, step)
    with demo.steps.step("labels come late: it has decayed") as step:
        watching.decay(demo, step)
    with demo.steps.step("release a bad model: its canary catches it") as step:
        perils.catch_in_canary(demo, step)


def play_rejected(demo: Demo) -> None:
    """Play what a person takes back."""
    with demo.steps.step("push the fix, and approve it") as step:
        perils.release_the_fix(demo, step)
    with demo.steps.step("reject what serves: it is rolled back") as step:
        perils.reject_live(demo, step)


def train(demo: Demo, step: Step, name: str) -> dict[str, Any]:
    """Upload one file and follow the run that its arrival starts."""
    run = moves.registered(demo, moves.upload(demo, step, name))
    step.detail = (
        f"{run['run_id']} registered v{moves.version_of(run)}, accuracy {wording.number(moves.accuracy(run))}"
    )
    return run


def show_predictions(demo: Demo, step: Step, count: int) -> None:
    """Ask about reviews of the second part, which the live model has not seen."""
    with (moves.DATA / "part-2.csv").open(newline="", encoding="utf-8") as rows:
        reviews = [row["review"] for _, row in zip(range(count), csv.DictReader(rows), strict=False)]
    answer = demo.predict(reviews)
    demo.expect(len(answer["predictions"]) == count, "a prediction is missing")
    (prediction,) = answer["predictions"][:1]
    said = f"{prediction['sentiment']} ({float(prediction['score']):.2f}), says v{answer['model_version']}"
    step.detail = f"{count} asked, the first: “{reviews[0][:40]}…” is {said}"


def reject_bad_data(demo: Demo, step: Step) -> None:
    """Upload a malformed file: its run is rejected with reasons, and the live model keeps answering."""
    run = moves.upload(demo, step, "bad.csv")
    demo.expect(
        run["status"] == "data_rejected" and bool(run["reasons"]), f"{run['run_id']} ended as {run['status']}"
    )
    moves.expect_live(demo)
    quarantined = uploads.quarantined(demo.target.cloud, demo.pipeline).items
    demo.rejected = [{"key": each.key, "reason": each.reason} for each in quarantined]
    demo.data_report = f"datasets/{demo.pipeline}/{run['dataset_version']}/report.html"
    step.detail = reasons.first_reasons(run)
