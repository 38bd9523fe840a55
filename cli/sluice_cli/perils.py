"""The acts of the demo in which a model is bad: its canary, its alarm or a person takes it back."""

from __future__ import annotations

import time
from collections.abc import Callable

from sluice.domain.release import alarms
from sluice_cli import decisions, demo_project, lookup, moves
from sluice_cli.drill import faults, traffic
from sluice_cli.playing import Demo, Rollback
from sluice_cli.progress import Step

_LONG = "It tastes great. " * 40


def catch_in_canary(demo: Demo, step: Step) -> None:
    """Release a model that fails on long reviews: its canary raises the alarm, and the live one stays."""
    demo_project.break_model(demo.project)
    bad = moves.push(demo, step)
    start = time.monotonic()
    with traffic(demo.target, lambda: demo.predict([_LONG])):
        ended = moves.approve(demo, step, bad)
    version = moves.version_of(bad)
    demo.expect(ended["status"] == "failed", f"v{version} ended as {ended['status']}, and it fails")
    moves.expect_live(demo)
    demo.canary_caught = True
    step.detail = f"v{version} was taken back {time.monotonic() - start:.1f}s after its approval"


def roll_back(demo: Demo, step: Step) -> None:
    """Make the live fleet fail under traffic, and wait until the previous version answers again."""
    failing, restored = demo.live_version, demo.previous_version
    described = demo.target.call("sagemaker", "describe_endpoint", EndpointName=demo.endpoint_name)
    start = time.monotonic()
    with (
        faults(demo.target, demo.endpoint_name, described["EndpointConfigName"]),
        traffic(demo.target, lambda: demo.predict(["good"])),
    ):
        # If it fired for the canary, the stack looks again once it counts no more of that.
        settling = f"; its alarm has just fired, and settles within {alarms.SETTLES_S} s"
        said = f"v{failing} answers 500{settling if demo.canary_caught else ''}"
        _expect_rollback(demo, step, "alarm", lambda: step.say(said))
    demo.rollback = Rollback(failing, restored, round(time.monotonic() - start, 2))
    step.detail = f"alarm → v{restored} answers again {demo.rollback.seconds:.1f}s after the first fault"


def release_the_fix(demo: Demo, step: Step) -> None:
    """Push the fix of what the canary caught, and release what is built of it."""
    demo_project.mend_model(demo.project)
    moves.release(demo, step, moves.push(demo, step))


def reject_live(demo: Demo, step: Step) -> None:
    """Reject the version that serves: the one before serves again."""
    rejected, restored = demo.live_version, demo.previous_version
    arn = lookup.model_arn(demo.target, f"{demo.pipeline}/{rejected}")
    _expect_rollback(
        demo, step, "rejection", lambda: decisions.reject(demo.target, arn, "customers complain")
    )
    demo.rejection_rolled_back = True
    step.detail = f"v{rejected} is rejected → v{restored} answers again"


def _expect_rollback(demo: Demo, step: Step, cause: str, do: Callable[[], object]) -> None:
    ended = moves.follow_new_release(demo, step, do, "the rollback")
    demo.expect(
        (ended["status"], ended["cause"]) == ("released", cause), f"{ended['status']}: {ended.get('reasons')}"
    )
    demo.live_version, demo.previous_version = demo.previous_version, demo.live_version
    moves.expect_live(demo)
