"""Pin what serves on a stage, or let go of it, and wait until that is on record."""

from __future__ import annotations

from typing import Any

from sluice.services.release import releasing
from sluice.services.views import stages
from sluice_cli import bus, waiting
from sluice_cli.errors import CommandError, unknown
from sluice_cli.target import Target

RECORDED_S = 60


def keep(
    target: Target, pipeline: str, stage: str, reason: str, *, is_on: bool
) -> tuple[dict[str, Any], bool]:
    """Pin what serves on a stage, or let go of it; returns what serves, and whether that changed anything."""
    live = live_on(target, pipeline, stage)
    changed = is_on != (_pinned(live) is not None)
    if changed:
        _record(target, pipeline, live, reason, is_on=is_on)
    return live, changed


def live_on(target: Target, pipeline: str, stage: str) -> dict[str, Any]:
    """Return the stage's row; raises CommandError if nothing serves there, or something is on its way."""
    serving = {row["stage"]: row for row in stages.stages(target.cloud, pipeline)}
    found = serving.get(stage)
    if found is None or found["live"] is None:
        live = [name for name, row in serving.items() if row["live"]]
        listed = f"Stages where something does: {', '.join(live) or 'on none'}."
        raise unknown(f"nothing serves on a stage {stage!r} of {pipeline}", stage, live, listed)
    if found["releasing"]:
        raise CommandError(
            f"{found['releasing']} is under way on {stage}",
            hint=f"Wait for its end (`sluice status {pipeline}`), then pin what serves.",
        )
    return found


def _pinned(live: dict[str, Any]) -> dict[str, Any] | None:
    hold: dict[str, Any] | None = live["hold"]
    return hold if hold and hold["why"] == "pinned" else None


def _record(target: Target, pipeline: str, live: dict[str, Any], reason: str, *, is_on: bool) -> None:
    actor = target.call("sts", "get_caller_identity")["Arn"]
    what = {"stack": target.stack, "pipeline": pipeline, "stage": live["stage"], "live": live["live"]}
    detail = {**what, "is_on": is_on, "actor": actor, "reason": reason}
    bus.announce(target.client("events"), "StagePinned", detail)

    def look() -> bool | None:
        found = releasing.find_stage(target.cloud, pipeline, live["stage"])
        return True if found and found.is_pinned == is_on else None

    waiting.until(look, timeout_s=RECORDED_S, what="the stack to record it", otherwise=waiting.ASK_AGAIN)
