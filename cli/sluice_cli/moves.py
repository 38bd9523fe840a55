"""What a user does in the acts of the demo, and what is expected to come of it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from sluice_cli import decisions, project, waiting
from sluice_cli.playing import Demo
from sluice_cli.progress import Step
from sluice_cli.target import REPOSITORY

DATA = REPOSITORY / ".sluice/data/reviews"
RUN_TIMEOUT_S = 600
RELEASE_TIMEOUT_S = 300


def upload(demo: Demo, step: Step, name: str) -> dict[str, Any]:
    """Upload one file and follow the run that its arrival starts to its end."""
    return _follow(demo, step, lambda: project.upload(demo.target, demo.pipeline, [DATA / name]))


def push(demo: Demo, step: Step) -> dict[str, Any]:
    """Push the project as it is now, and follow the run that this starts to the version it registers."""
    return registered(demo, _follow(demo, step, lambda: project.push(demo.target, demo.project)))


def _follow(demo: Demo, step: Step, cause: Callable[[], object]) -> dict[str, Any]:
    known = waiting.run_ids(demo.target, demo.pipeline)
    cause()
    return follow_new_run(demo, step, known)


def follow_new_run(demo: Demo, step: Step, known: Collection[str]) -> dict[str, Any]:
    """Follow a run that is not yet known to its end."""
    run_id = waiting.new_run(demo.target, demo.pipeline, known, timeout_s=RUN_TIMEOUT_S)
    run = waiting.run_end(demo.target, demo.pipeline, run_id, step.say, timeout_s=RUN_TIMEOUT_S)
    demo.note(run)
    return run


def registered(demo: Demo, run: dict[str, Any]) -> dict[str, Any]:
    """Expect a run to have registered a version."""
    reasons = "; ".join(run.get("reasons") or [])
    demo.expect(run["status"] == "registered", f"{run['run_id']} ended as {run['status']}: {reasons}")
    return run


def version_of(run: dict[str, Any]) -> int:
    """Return the version number of the package that a run registered."""
    return int(run["model_package_arn"].rpartition("/")[2])


def accuracy(run: dict[str, Any]) -> float:
    """Return the candidate's hold-out accuracy, as the run's evaluation step recorded it."""
    steps = {item["step"]: item for item in run["steps"]}
    return float(steps["evaluate-candidate"]["metrics"]["accuracy"])


def approve(demo: Demo, step: Step, run: dict[str, Any]) -> dict[str, Any]:
    """Approve a run's package in the registry and follow its release to whatever end."""

    def decide() -> None:
        reason = "accuracy and gates look right"
        decisions.approve(demo.target, run["model_package_arn"], reason, step.say)

    return follow_new_release(demo, step, decide, "the release")


def follow_new_release(demo: Demo, step: Step, cause: Callable[[], object], what: str) -> dict[str, Any]:
    """Do what causes a release, and follow that to its end."""
    known = waiting.release_ids(demo.target, demo.pipeline)
    cause()
    return waiting.release_end(
        demo.target, demo.pipeline, known, step.say, timeout_s=RELEASE_TIMEOUT_S, what=what
    )


def release(demo: Demo, step: Step, run: dict[str, Any]) -> None:
    """Approve a run's package and expect it to serve."""
    ended = approve(demo, step, run)
    demo.expect(
        ended["status"] == "released", f"the release ended as {ended['status']}: {ended.get('reasons')}"
    )
    demo.previous_version, demo.live_version = demo.live_version, version_of(run)
    expect_live(demo)
    step.detail = f"v{demo.live_version} serves on {demo.endpoint_name}, verified"


def expect_live(demo: Demo) -> None:
    """Expect the live version to answer."""
    answered = demo.predict(["good"])["model_version"]
    demo.expect(
        str(answered) == str(demo.live_version), f"v{answered} answers instead of v{demo.live_version}"
    )
