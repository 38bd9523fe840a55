"""The acts of the demo. Each uses only the interfaces that a user has."""

from __future__ import annotations

import csv
import time
from typing import Any

from sluice.services.views import uploads
from sluice_cli import project, proofs, reasons, waiting
from sluice_cli.drill import faults, traffic
from sluice_cli.playing import Demo, act
from sluice_cli.progress import Step
from sluice_cli.target import REPOSITORY

EXAMPLE = REPOSITORY / "examples/reviews"
DATA = REPOSITORY / ".sluice/data/reviews"
RUN_TIMEOUT_S = 120
RELEASE_TIMEOUT_S = 90


def play(demo: Demo) -> None:
    """Play the acts, each on what the one before left."""
    with demo.steps.step("push examples/reviews") as step:
        pushed = project.push(demo.target, EXAMPLE)
        demo.pipeline = pushed["pipeline"]
        step.detail = f"{demo.pipeline}, version {pushed['project_version'][:12]}"
    with demo.steps.step("upload part 1: the model trains") as step:
        first = train(demo, step, "part-1.csv")
    with demo.steps.step("approve it: it is released") as step:
        release(demo, step, first)
    with demo.steps.step("ask it about real reviews") as step:
        show_predictions(demo, step, 3)
    with demo.steps.step("upload part 2: a better model") as step:
        second = train(demo, step, "part-2.csv")
        before, after = accuracy(first), accuracy(second)
        demo.expect(after > before, f"the second model is not better: {after:.4f} against {before:.4f}")
    with demo.steps.step("approve it: it is released") as step:
        release(demo, step, second)
    with act(demo, "its candidates, and what the run costs") as step:
        proofs.show_candidates(demo, step, second)
    with act(demo, "start a run with a worse value: the gates refuse it") as step:
        proofs.refuse_worse(demo, step)
    with demo.steps.step("the live model fails: it is rolled back") as step:
        roll_back(demo, step)
    with demo.steps.step("upload a malformed file: it is rejected") as step:
        reject_bad_data(demo, step)
    with act(demo, "what the live model was made of, read again") as step:
        proofs.verify_manifest(demo, step)


def train(demo: Demo, step: Step, name: str) -> dict[str, Any]:
    """Upload one file and follow the run that its arrival starts."""
    known = waiting.run_ids(demo.target, demo.pipeline)
    project.upload(demo.target, demo.pipeline, [DATA / name])
    run_id = waiting.new_run(demo.target, demo.pipeline, known, timeout_s=RUN_TIMEOUT_S)
    run = waiting.run_end(demo.target, demo.pipeline, run_id, step.say, timeout_s=RUN_TIMEOUT_S)
    demo.note(run)
    reasons = "; ".join(run.get("reasons") or [])
    demo.expect(run["status"] == "registered", f"{run_id} ended as {run['status']}: {reasons}")
    step.detail = f"{run_id} registered v{version_of(run)}, accuracy {accuracy(run):.4f}"
    return run


def version_of(run: dict[str, Any]) -> int:
    """Return the version number of the package that a run registered."""
    return int(run["model_package_arn"].rpartition("/")[2])


def accuracy(run: dict[str, Any]) -> float:
    """Return the candidate's hold-out accuracy, as the run's evaluation step recorded it."""
    steps = {item["step"]: item for item in run["steps"]}
    return float(steps["evaluate-candidate"]["metrics"]["accuracy"])


def release(demo: Demo, step: Step, run: dict[str, Any]) -> None:
    """Approve a run's package in the registry and follow the release to its end."""
    known = waiting.release_ids(demo.target, demo.pipeline)
    demo.target.call(
        "sagemaker",
        "update_model_package",
        ModelPackageArn=run["model_package_arn"],
        ModelApprovalStatus="Approved",
        ApprovalDescription="accuracy and gates look right",
    )
    ended = waiting.release_end(demo.target, demo.pipeline, known, step.say, timeout_s=RELEASE_TIMEOUT_S)
    demo.expect(
        ended["status"] == "released", f"the release ended as {ended['status']}: {ended.get('reasons')}"
    )
    demo.previous_version, demo.live_version = demo.live_version, version_of(run)
    answered = demo.predict(["good"])["model_version"]
    demo.expect(
        str(answered) == str(demo.live_version), f"v{answered} answers instead of v{demo.live_version}"
    )
    step.detail = f"v{demo.live_version} serves on {demo.endpoint_name}, verified"


def show_predictions(demo: Demo, step: Step, count: int) -> None:
    """Ask about reviews of the second part, which the live model has not seen."""
    with (DATA / "part-2.csv").open(newline="", encoding="utf-8") as rows:
        reviews = [row["review"] for _, row in zip(range(count), csv.DictReader(rows), strict=False)]
    answer = demo.predict(reviews)
    demo.expect(len(answer["predictions"]) == count, "a prediction is missing")
    (prediction,) = answer["predictions"][:1]
    said = f"{prediction['sentiment']} ({float(prediction['score']):.2f}), says v{answer['model_version']}"
    step.detail = f"{count} asked, the first: “{reviews[0][:40]}…” is {said}"


def roll_back(demo: Demo, step: Step) -> None:
    """Make the live fleet fail under traffic, and wait until the previous version answers again."""
    failing, restored = demo.live_version, demo.previous_version
    known = waiting.release_ids(demo.target, demo.pipeline)
    config = demo.target.call("sagemaker", "describe_endpoint", EndpointName=demo.endpoint_name)[
        "EndpointConfigName"
    ]
    start = time.monotonic()
    with (
        faults(demo.target, demo.endpoint_name, config),
        traffic(demo.target, lambda: demo.predict(["good"])),
    ):
        step.say(f"v{failing} answers 500")
        ended = waiting.release_end(
            demo.target,
            demo.pipeline,
            known,
            step.say,
            timeout_s=RELEASE_TIMEOUT_S,
            what="the alarm to roll back",
        )
        answered = demo.predict(["good"])["model_version"]
    demo.rollback_s = round(time.monotonic() - start, 2)
    demo.expect(
        ended["status"] == "released" and ended["cause"] == "alarm",
        f"{ended['status']}: {ended.get('reasons')}",
    )
    demo.expect(str(answered) == str(restored), f"v{answered} answers instead of v{restored}")
    demo.live_version, demo.previous_version = restored, failing
    step.detail = f"alarm → v{restored} answers again {demo.rollback_s:.1f}s after the first fault"


def reject_bad_data(demo: Demo, step: Step) -> None:
    """Upload a malformed file: its run is rejected with reasons, and the live model keeps answering."""
    known = waiting.run_ids(demo.target, demo.pipeline)
    project.upload(demo.target, demo.pipeline, [DATA / "bad.csv"])
    run_id = waiting.new_run(demo.target, demo.pipeline, known, timeout_s=RUN_TIMEOUT_S)
    run = waiting.run_end(demo.target, demo.pipeline, run_id, step.say, timeout_s=RUN_TIMEOUT_S)
    demo.note(run)
    demo.expect(
        run["status"] == "data_rejected" and bool(run["reasons"]), f"{run_id} ended as {run['status']}"
    )
    answered = demo.predict(["good"])["model_version"]
    demo.expect(
        str(answered) == str(demo.live_version), f"v{answered} answers instead of v{demo.live_version}"
    )
    quarantined = uploads.quarantined(demo.target.cloud, demo.pipeline).items
    demo.rejected = [{"key": each.key, "reason": each.reason} for each in quarantined]
    demo.data_report = f"datasets/{demo.pipeline}/{run['dataset_version']}/report.html"
    step.detail = reasons.first_reasons(run)
