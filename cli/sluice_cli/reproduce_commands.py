"""`sluice reproduce`: run again from a model's manifest, and compare what comes of it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Annotated, Any

import typer

from sluice.domain.build import reproduction
from sluice.services import building
from sluice.services.data import verifying
from sluice.services.data.verifying import Finding
from sluice.services.views import lineage as views
from sluice_cli import log_streams, lookup, starting, waiting
from sluice_cli.build_commands import RUN_EXITS
from sluice_cli.errors import EXIT_REJECTED, EXIT_USAGE, CommandError
from sluice_cli.options import Json, example, show
from sluice_cli.output import err, escape, following, hint, out, print_table, styled
from sluice_cli.release_commands import MODEL_HELP
from sluice_cli.run_page import print_run
from sluice_cli.target import Target

reproduce_app = typer.Typer()
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it has ended and was compared.")]


@reproduce_app.command(epilog=example("sluice reproduce reviews-sentiment/2"))
def reproduce(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
    tolerance: Annotated[
        float, typer.Option(min=0, help="How far a metric may be from the original's, if the model differs.")
    ] = reproduction.TOLERANCE,
    wait: Wait = True,
    as_json: Json = False,
) -> None:
    """Run again from a model's manifest and compare; nothing is registered, and what serves stays.

    It uses the manifest's project, data set version and chosen hyperparameters. The same files in the model
    are a reproduction; if they differ, each metric must be within the tolerance.

    It exits with 3 if the model was not reproduced, or if an input cannot be had, which it names.
    """
    if not math.isfinite(tolerance):
        raise CommandError("--tolerance is no number", exit_code=EXIT_USAGE)
    target = context.obj.target()
    package, run, stored = views.find_manifest(target.cloud, lookup.model_arn(target, model))
    pipeline = str(package.pipeline)
    if missing := _missing(target, json.loads(stored)):
        _refuse(model, missing, as_json)
    wanted = starting.wish(target, pipeline, reproduces=run.run_id, tolerance=tolerance)
    planned = starting.planned(target, wanted)
    with err.status("asking for a run") as status:
        run_id = starting.ask(
            target, wanted, waits=wait, say=lambda why: err.print(f"[dim]waiting: {escape(why)}[/]")
        )
        result: dict[str, Any] = {**planned, "run_id": run_id, "reproduces": run.run_id}
        if wait:
            ended = waiting.run_end(target, pipeline, run_id, following(status, run_id))
            result["run"] = log_streams.with_log_tails(target, ended)
            step = building.find_step(target.cloud, run_id, reproduction.STEP)
            result["comparison"] = step.detail if step else None
    show(result, as_json, lambda: _print(model, result))
    if wait and (code := RUN_EXITS.get(result["run"]["status"])):
        raise typer.Exit(code)


def _missing(target: Target, document: dict[str, Any]) -> list[Finding]:
    """Read again what the run read; return what differs or is gone."""
    found, checks = verifying.plan_inputs(target.cloud, document)
    with err.status("reading the inputs") as status:
        for finding in verifying.run_all(checks):
            found.append(finding)
            status.update(f"read {len(found)} of {len(checks)} inputs")
    return [finding for finding in found if not finding.is_sound]


def _refuse(model: str, missing: list[Finding], as_json: bool) -> None:
    def text() -> None:
        for finding in missing:
            detail = f": {finding.detail}" if finding.detail else ""
            out.print(
                styled(finding.condition), escape(f"{finding.kind} {finding.name}{detail}"), soft_wrap=True
            )
        out.print("it cannot be reproduced: nothing was started")
        hint(f"next: `sluice manifest verify {model}` says what else has become of it")

    show({"missing": [asdict(finding) for finding in missing]}, as_json, text)
    raise typer.Exit(EXIT_REJECTED)


def _print(model: str, result: dict[str, Any]) -> None:
    if "run" not in result:
        out.print(f"[green]started[/] {result['run_id']} ({escape(str(result['cause']))})")
        hint(f"next: `sluice run {result['run_id']}` shows how it ended")
        return
    comparison = result["comparison"]
    if comparison is None:
        print_run(result["run"])
        return
    out.print(styled(comparison["verdict"]), escape(f"{model} by {result['run_id']}"))
    for reason in comparison["reasons"]:
        out.print(f"  [yellow]•[/] {escape(reason)}")
    print_table(
        ("metric", "original", "reproduced", "within"),
        (
            (
                each["name"],
                *reproduction.shown(each["original"], each["reproduced"]),
                "yes" if each["is_within"] else "no",
            )
            for each in comparison["metrics"]
        ),
        empty="no metrics",
    )
    hint(f"next: `sluice run {result['run_id']}` shows its steps")
