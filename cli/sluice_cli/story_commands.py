"""`sluice history`, `timeline` and `why`: what served when, what happened, and why what serves does so."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sluice.services import timeline as timelines
from sluice.services import views
from sluice_cli import lookup, story_page
from sluice_cli.errors import EXIT_REJECTED, EXIT_USAGE, CommandError
from sluice_cli.moments import TIME_HELP, a_time, shown
from sluice_cli.options import PAGE, Json, Limit, Pipeline, example, hint_more, show
from sluice_cli.output import escape, hint, out, print_table, short, styled
from sluice_cli.release_commands import MODEL_HELP
from sluice_cli.target import Target

story_app = typer.Typer()
_KEPT = 20
_STAGE = "production"


@story_app.command(
    epilog=example("sluice history reviews-sentiment --stage production --at 2026-11-29T08:30")
)
def history(
    context: typer.Context,
    pipeline: Pipeline = None,
    stage: Annotated[str | None, typer.Option(help="Only this stage; default: all.")] = None,
    at: Annotated[str | None, typer.Option(help=f"What served then. {TIME_HELP}")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many of a stage at most.")] = _KEPT,
    as_json: Json = False,
) -> None:
    """Say which version served when, by the releases; with --at, what served at a time in the past.

    Exits with 3 if nothing served then.
    """
    target = context.obj.target()
    name = lookup.the_pipeline(target, pipeline)
    wanted = _stage(target, name, stage) if stage else None
    cloud = target.cloud
    if at is None:
        rows = views.history.history(cloud, name, wanted, limit)
        show(rows, as_json, lambda: _print_history(name, rows))
        return
    time = a_time(at)
    if time > cloud.now():
        raise CommandError(f"{shown(time)} UTC is yet to come", hint=TIME_HELP, exit_code=EXIT_USAGE)
    rows = views.history.at(cloud, name, time, wanted)
    show(rows, as_json, lambda: _print_then(name, time, rows))
    if all(row["version"] is None for row in rows):
        raise typer.Exit(EXIT_REJECTED)


def _stage(target: Target, pipeline: str, stage: str) -> str:
    """Return a stage's name; raises CommandError, which lists the stages, if nothing was released to it."""
    return str(lookup.stage_row(target, pipeline, stage)["stage"])


def _print_history(pipeline: str, rows: list[dict[str, Any]]) -> None:
    print_table(
        ("stage", "model", "from (UTC)", "until", "became", "cause", "by"),
        (
            (
                row["stage"],
                row["model"],
                shown(row["from"]),
                shown(row["until"]) or "now",
                styled(row["status"]),
                f"rollback, {row['cause']}" if row["is_rollback"] else row["cause"],
                row["actor"],
            )
            for row in rows
        ),
        empty=f"nothing was released yet: `sluice approve {pipeline}` releases a model",
    )
    if rows:
        hint(f"next: `sluice why {pipeline} --stage {rows[0]['stage']}` tells the story of what serves")


def _print_then(pipeline: str, time: str, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if row["version"] is None:
            out.print(f"{row['stage']}: nothing served at {shown(time)} UTC")
            continue
        until = f"until {shown(row['until'])}" if row["until"] else "and still does"
        out.print(
            f"{row['stage']}: {escape(row['model'])} served at {shown(time)} UTC,"
            f" from {shown(row['from'])} {until} ({row['release_id']})"
        )
    if not rows:
        out.print(f"nothing was ever released of {pipeline}")


@story_app.command(epilog=example("sluice timeline reviews-sentiment --since 7d"))
def timeline(
    context: typer.Context,
    pipeline: Pipeline = None,
    since: Annotated[str | None, typer.Option(help=f"From then on. {TIME_HELP}")] = None,
    limit: Limit = PAGE,
    after: Annotated[str | None, typer.Option(help="Continue behind the entry with this id.")] = None,
    as_json: Json = False,
) -> None:
    """List all that happened to a pipeline, newest first: what, to what, why and who."""
    target = context.obj.target()
    name = lookup.the_pipeline(target, pipeline)
    begin = a_time(since) if since else ""
    found = timelines.page(target.cloud, name, begin, after, limit)

    def text() -> None:
        for entry in found:
            _print_entry(entry)
        if not found:
            out.print("nothing happened yet" if not since else f"nothing happened since {shown(begin)} UTC")
        same = f"timeline {name}" + (f" --since {begin}" if since else "")
        hint_more(same, found, limit, lambda entry: str(entry["id"]))

    show(found, as_json, text)


def _print_entry(entry: dict[str, Any]) -> None:
    subject = entry["subject"]
    subject = short(subject) if len(subject) == 64 else subject
    by = "" if entry.get("actor") in (None, "sluice") else f" by {entry['actor']}"
    out.print(f"{shown(entry['at'])}  [bold]{escape(entry['event'])}[/]  {escape(subject + by)}")
    for line in str(entry.get("detail") or "").splitlines():
        out.print(f"    {escape(line)}", style="dim")


@story_app.command(epilog=example("sluice why reviews-sentiment --stage production"))
def why(
    context: typer.Context,
    pipeline: Annotated[
        str | None, typer.Argument(help=f"The pipeline, or a version that serves: {MODEL_HELP}")
    ] = None,
    stage: Annotated[
        str | None, typer.Option(help=f"The stage; default: {_STAGE}, or where the version serves.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell why a version serves: data, run, candidates, gates, approvals, releases, and what came since.

    Exits with 3 if nothing serves there, or the version that was named does not, or if the endpoint serves
    something else than what was released.
    """
    target = context.obj.target()
    name, wanted = lookup.the_stage(target, pipeline, stage, _STAGE)
    found = views.story.why(target.cloud, name, _stage(target, name, wanted))
    assert found is not None  # noqa: S101 (the stage was found)
    show(found, as_json, lambda: story_page.print_story(found))
    if found["serves"] is None or found["deviation"]:
        raise typer.Exit(EXIT_REJECTED)
