"""The acts of the demo in which a model is bad: its canary, its alarm or a person takes it back."""

from __future__ import annotations

import time
from collections.abc import Callable

from sluice.domain.release import alarms
from sluice_cli import decisions, demo_project, lookup, moves, waiting
from sluice_cli.drill import faults, traffic
from sluice_cli.playing import STAGE, Demo, Rollback
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
    _quiet(demo, step)
    start = time.monotonic()
    with (
        faults(demo.target, demo.endpoint_name, described["EndpointConfigName"]),
        traffic(demo.target, lambda: demo.predict(["good"])),
    ):
        _expect_rollback(demo, step, "alarm", lambda: step.say(f"v{failing} answers 500"))
    demo.rollback = Rollback(failing, restored, round(time.monotonic() - start, 2))
    step.detail = f"alarm → v{restored} answers again {demo.rollback.seconds:.1f}s after the first fault"


def _quiet(demo: Demo, step: Step) -> None:
    """Ask what serves until no alarm fires: one that still does, for the canary, is looked at after minutes.

    Where nobody asks, an alarm keeps counting the last answers that it has.
    """
    guarded = alarms.Guarded(demo.target.stack, demo.pipeline, STAGE, demo.endpoint_name)

    def look() -> bool | None:
        described = demo.target.cloud.alarms.describe(guarded.alarm_names).values()
        return all(alarm["StateValue"] != "ALARM" for alarm in described) or None

    if demo.canary_caught:
        step.say("its alarm still counts what the canary answered")
        with traffic(demo.target, lambda: demo.predict(["good"])):
            waiting.until(look, timeout_s=alarms.SETTLES_S, what="the canary's alarm to be over")


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
