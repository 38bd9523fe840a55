"""`sluice pin`: keep what serves on a stage, whatever alarms and new versions say."""

from __future__ import annotations

from typing import Annotated

import typer

from sluice.services import views
from sluice_cli import lookup, pinning
from sluice_cli.options import Json, Pipeline, Reason, example, show
from sluice_cli.output import err, escape, hint, out
from sluice_cli.target import Target

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
    with err.status("waiting for the record"):
        live, changed = pinning.keep(target, name, stage, reason, is_on=not off)
    held = pinning.live_on(target, name, stage)["hold"] if not off else None
    result = {
        "pipeline": name,
        "stage": stage,
        "version": live["live_version"],
        "pinned": not off,
        "hold": held,
    }

    def text() -> None:
        version = f"v{live['live_version']} on {stage}"
        if off:
            out.print(f"[green]let go[/] {version}" if changed else f"{version} was not pinned")
        else:
            out.print("[green]pinned[/]", version, "" if changed else "was pinned before")
        if held and not changed:
            out.print(escape(f"since {held['since']}: {held['reason']}"))
        if off:
            hint(_after(target, name))
        else:
            hint(f"next: `sluice pin {name} --stage {stage} --off` lets go of it")

    show(result, as_json, text)


def _after(target: Target, pipeline: str) -> str:
    """Name the version that waits, which a pin may have kept back, or what shows what serves."""
    for each in views.awaited.decisions(target.cloud, pipeline):
        return f"next: `sluice {each['command']}` releases {each['model']}, which waits"
    return f"next: `sluice status {pipeline}` shows what serves, and what guards it"
