"""`sluice pin`: keep what serves on a stage, whatever alarms and new versions say."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sluice.services import releasing
from sluice.services.views import stages
from sluice_cli import bus, lookup, waiting
from sluice_cli.errors import EXIT_USAGE, CommandError
from sluice_cli.options import Json, Pipeline, Reason, example, show
from sluice_cli.output import err, hint, out
from sluice_cli.target import Target

RECORDED_S = 60
pin_app = typer.Typer()


@pin_app.command(epilog=example("sluice pin reviews-sentiment -m 'the campaign runs until Monday'"))
def pin(
    context: typer.Context,
    pipeline: Pipeline = None,
    stage: Annotated[str, typer.Option(help="The stage whose live version is pinned.")] = "production",
    reason: Reason = "",
    off: Annotated[bool, typer.Option("--off", help="Let go of it.")] = False,
    as_json: Json = False,
) -> None:
    """Keep what serves on a stage: alarms only call a person, and no new version is released there."""
    target = context.obj.target()
    name = lookup.the_pipeline(target, pipeline)
    live = _live(target, name, stage)
    changed = off == (_pinned(live) is not None)
    if changed:
        with err.status("waiting for the record"):
            _record(target, name, live, reason, is_on=not off)
    held = _live(target, name, stage)["hold"] if not off else None
    result = {
        "pipeline": name,
        "stage": stage,
        "version": live["live_version"],
        "pinned": not off,
        "hold": held,
    }

    def text() -> None:
        version = f"v{live['live_version']} on {stage}"
        was = "" if changed else ("was not pinned" if off else "was pinned before")
        out.print("[green]let go[/]" if off else "[green]pinned[/]", version, was)
        if off:
            hint(f"next: `sluice approve {name}/VERSION` releases what was approved meanwhile")
        else:
            hint(f"next: `sluice pin {name} --stage {stage} --off` lets go of it")

    show(result, as_json, text)


def _live(target: Target, pipeline: str, stage: str) -> dict[str, Any]:
    """Return the stage's row; raises CommandError if nothing serves there, or something is on its way."""
    serving = {row["stage"]: row for row in stages.stages(target.cloud, pipeline)}
    found = serving.get(stage)
    if found is None or found["live"] is None:
        listed = ", ".join(name for name, row in serving.items() if row["live"]) or "on none"
        raise CommandError(
            f"nothing serves on a stage {stage!r} of {pipeline}",
            hint=f"Stages where something does: {listed}.",
            exit_code=EXIT_USAGE,
        )
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

    waiting.until(look, timeout_s=RECORDED_S, what="the stack to record it")
