"""`sluice monitor run` and `show`: judge what serves, and show how it does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sluice.domain import wording
from sluice.services import views
from sluice.services.views import monitoring
from sluice_cli import judging, lookup, report
from sluice_cli import target as targets
from sluice_cli.errors import EXIT_FAILED, EXIT_REJECTED, CommandError, unknown
from sluice_cli.groups import group
from sluice_cli.options import Json, Pipeline, example, show
from sluice_cli.output import age, err, escape, hint, lasting, out, print_table, styled
from sluice_cli.target import Target

monitor_app = group("Watch what serves: drift, and decay by late labels.")
Stage = Annotated[str | None, typer.Option(help="Only this stage.")]


@monitor_app.command("run", epilog=example("sluice monitor run reviews-sentiment"))
def run(
    context: typer.Context, pipeline: Pipeline = None, stage: Stage = None, as_json: Json = False
) -> None:
    """Judge now what was captured since the last window, and the labels that are complete.

    Exits with 3 if a window that it judged is violated.
    """
    target = context.obj.target()
    name = lookup.the_pipeline(target, pipeline)
    before = _watched(target, name, stage)
    with err.status("judging what was captured"):
        judging.judge_now(target, name, stage, [each["stage"] for each in before])
    found = monitoring.monitoring(target.cloud, name, stage)
    judged = [_judged(each, earlier) for each, earlier in zip(found, before, strict=False)]
    result = {"pipeline": name, "judged": judged}

    def text() -> None:
        for each in judged:
            _print_judged(each)
        if any(window["status"] == "no_data" for each in judged for window in each["windows"]):
            hint("requests are captured with a delay: what was asked just now is in the next window")
        hint(f"next: `sluice monitor show {name}` shows all windows, and --html the report")

    show(result, as_json, text)
    if any(window["status"] == "violated" for each in judged for window in _all(each)):
        raise typer.Exit(EXIT_REJECTED)


def _all(judged: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all verdicts that count: an estimate does not."""
    return [*judged["windows"], *(each for each in judged["labels"] if each["is_final"])]


def _judged(found: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Return the windows that are new, or have another verdict than before."""
    known = {(each["start"], each.get("judged_at")) for each in (*before["windows"], *before["labels"])}

    def new(windows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [each for each in windows if (each["start"], each.get("judged_at")) not in known]

    labels = [each for each in new(found["labels"]) if each["status"] != "open"]
    windows = new(found["windows"])
    return {"stage": found["stage"], "min_rows": found["min_rows"], "windows": windows, "labels": labels}


def _print_judged(judged: dict[str, Any]) -> None:
    for each in reversed(judged["windows"]):
        said, one = predictions(each, judged["min_rows"]), each.get("rows", 0) == 1
        noun = "prediction" if one and " of " not in said else "predictions"
        _print_verdict(f"{judged['stage']}: {said} {noun}", each)
    for each in reversed(judged["labels"]):
        said = f"{judged['stage']}: {wording.count(each.get('labelled', 0), 'label')}"
        _print_verdict(said if each["is_final"] else f"{said}, an estimate", each)
    if not judged["windows"] and not judged["labels"]:
        out.print(f"{judged['stage']}: nothing new to judge")


def predictions(window: dict[str, Any], least: int) -> str:
    """Say how many predictions a window has, of how many it takes for a verdict if there are too few."""
    rows = window.get("rows", 0)
    return f"{rows} of {least}" if window["status"] == "not_enough_data" else str(rows)


def _print_verdict(said: str, window: dict[str, Any]) -> None:
    out.print(said, styled(window["status"]))
    for reason in reasons(window):
        out.print(f"  [yellow]•[/] {escape(reason)}")


def reasons(window: dict[str, Any]) -> list[str]:
    """Return what is wrong with a window, as lines."""
    found = window.get("reasons") or []
    if isinstance(found, dict):
        return [f"{concern}: {each}" for concern, faults in found.items() for each in faults]
    return list(found)


@monitor_app.command("show", epilog=example("sluice monitor show reviews-sentiment"))
def show_monitoring(
    context: typer.Context,
    pipeline: Pipeline = None,
    stage: Stage = None,
    limit: Annotated[int, typer.Option(min=1, help="How many windows at most.")] = monitoring.WINDOWS,
    as_page: Annotated[bool, typer.Option("--html", help="Open the report of the newest window.")] = False,
    output: Annotated[
        Path | None, typer.Option("--out", help="The file to write the page to.", dir_okay=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Show how what serves does: drift of its requests, and its quality by labels."""
    target = context.obj.target()
    name = lookup.the_pipeline(target, pipeline)
    found = _watched(target, name, stage, limit)
    result: dict[str, Any] = {"pipeline": name, "stages": found}
    if as_page or output is not None:
        result["file"] = str(_page(target, name, found, output))

    def text() -> None:
        if "file" in result:
            report.open_page(Path(result["file"]), is_opened=output is None)
            return
        for each in found:
            print_stage(name, each)

    show(result, as_json, text)


def _watched(
    target: Target, pipeline: str, stage: str | None, limit: int = monitoring.WINDOWS
) -> list[dict[str, Any]]:
    """Return the stages that are watched; raises CommandError if none is."""
    if found := monitoring.monitoring(target.cloud, pipeline, stage, limit):
        return found
    serving = [row["stage"] for row in views.stages.stages(target.cloud, pipeline) if row["live"]]
    if stage is not None and stage not in serving:
        listed = f"Stages that serve: {', '.join(serving) or 'none yet'}."
        raise unknown(f"nothing serves on {pipeline}/{stage}", stage, serving, listed, exit_code=EXIT_FAILED)
    if not serving:
        raise CommandError(
            f"nothing of {pipeline} serves yet", hint=f"`sluice approve {pipeline}` releases a model."
        )
    raise CommandError(
        f"the live model of {pipeline} is not watched",
        hint="Add `monitor: {}` to pipeline.yaml, push it, and approve the next model.",
    )


def print_stage(pipeline: str, found: dict[str, Any]) -> None:
    """Print a stage that is watched, for people."""
    out.print(f"[bold]{pipeline}/{found['stage']}[/] serves v{found['live_version']}", end="")
    began = f", the one under way {lasting(found['window_since'])}" if found["window_since"] else ""
    out.print(f", windows of {found['every_s']} s{began or ', none has begun yet'}")
    for alarm in found["alarms"]:
        if alarm["state"] == "ALARM":
            out.print(f"[red]alarm[/] {escape(alarm['alarm'])}")
    print_table(
        ("requests until", "predictions", "status", "drift", "what"),
        [
            (
                age(each["ends_at"]),
                predictions(each, found["min_rows"]),
                styled(each["status"]),
                wording.number((each.get("figures") or {}).get("drift")) if each.get("figures") else "",
                "; ".join(reasons(each)[:1]),
            )
            for each in found["windows"]
        ],
        empty="no window of requests has ended yet",
    )
    print_table(
        ("labels until", "labels", "status", found["metric"], "95 % interval", "what"),
        [_label_row(each) for each in found["labels"]],
        empty="no window of labels yet",
    )
    if found["asked"]:
        out.print(f"asked for a build: {', '.join(found['asked'])}")
    if found["windows"] or found["labels"]:
        hint(f"next: `sluice monitor show {pipeline} --html` opens the report")
    else:
        hint(f"next: `sluice monitor run {pipeline}` judges what was asked until now")
    hint(f"labels of predictions are uploaded below ground-truth/{pipeline}/ of the data bucket")


def _label_row(window: dict[str, Any]) -> tuple[object, ...]:
    whole = (window.get("measured") or [{}])[0]
    interval = whole.get("interval")
    status = styled(window["status"])
    if window["status"] != "open" and not window["is_final"]:
        status.append(" (estimate)")
    return (
        age(window["ends_at"]),
        f"{window.get('labelled', 0)} of {window.get('rows', 0)}",
        status,
        wording.number(whole["value"]) if "value" in whole else "",
        f"{wording.number(interval[0])} to {wording.number(interval[1])}" if interval else "",
        "; ".join(reasons(window)[:1]),
    )


def _page(target: Target, pipeline: str, found: list[dict[str, Any]], output: Path | None) -> Path:
    """Save the page of the newest window that was judged."""
    windows = [(each["stage"], window) for each in found for window in (*each["windows"], *each["labels"])]
    drawn = [(stage, window) for stage, window in windows if window["report_uri"] and window.get("judged_at")]
    if not drawn:
        raise CommandError(
            f"no window of {pipeline} has a report yet",
            hint=f"`sluice monitor run {pipeline}` judges one now.",
        )
    stage, newest = max(drawn, key=lambda each: str(each[1]["judged_at"]))
    file = output or targets.home() / "reports" / f"{pipeline}-{stage}-monitoring.html"
    report.save(file, target.cloud.objects.read(newest["report_uri"]))
    return file
