"""`sluice start`, `retry` and `stop`: runs by hand."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sluice.domain import wording
from sluice.domain.money import money
from sluice.services.build import costs
from sluice.services.build.wishes import Wanted
from sluice.services.views import reuse
from sluice_cli import log_streams, lookup, outlook, starting, stopping, waiting
from sluice_cli.build_commands import RUN_EXITS
from sluice_cli.options import Json, Pipeline, Reason, RunName, Wait, example, show
from sluice_cli.output import duration, err, escape, following, hint, out, short
from sluice_cli.run_page import print_explained, print_reuse, print_run
from sluice_cli.target import Target

_SHOWN = 10

run_app = typer.Typer()
NoCache = Annotated[bool, typer.Option("--no-cache", help="Compute every step anew.")]
ExplainCache = Annotated[
    bool, typer.Option("--explain-cache", help="With --wait: say of each step why it was computed.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would run.")]


@run_app.command(epilog=example("sluice start reviews-sentiment -p train.hyperparameters.alpha=0.1 --wait"))
def start(
    context: typer.Context,
    pipeline: Pipeline = None,
    given: Annotated[
        list[str] | None,
        typer.Option("-p", "--set", metavar="PATH=VALUE", help="A value in place of the project's."),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Build on this data set version, or the one with these first digits.")
    ] = None,
    no_cache: NoCache = False,
    dry_run: DryRun = False,
    wait: Wait = False,
    explain_cache: ExplainCache = False,
    as_json: Json = False,
) -> None:
    """Start a run of the pipeline's project, with values of its own if you like.

    It waits for no quiet period, cooldown or budget, and is never skipped as nothing new. A pipeline has one
    run at a time: with --wait it starts when that has ended, and is followed to its own end.

    With --wait it exits with 1 if the run failed, and with 3 if the data or the model were rejected.
    """
    target = context.obj.target()
    name = lookup.the_pipeline(target, pipeline)
    values = starting.read_overrides(target, name, given or [])
    version = lookup.the_dataset_version(target, name, dataset)["dataset_version"] if dataset else None
    wanted = starting.wish(target, name, overrides=values, dataset_version=version, is_uncached=no_cache)
    _run(target, wanted, dry_run=dry_run, wait=wait, explains=explain_cache, as_json=as_json)


@run_app.command(epilog=example("sluice retry reviews-sentiment-00004 --wait"))
def retry(
    context: typer.Context,
    run: RunName,
    no_cache: NoCache = False,
    dry_run: DryRun = False,
    wait: Wait = False,
    explain_cache: ExplainCache = False,
    as_json: Json = False,
) -> None:
    """Start a failed or stopped run again: a new run with its project, values and data.

    Steps that had finished are not computed again. It is refused if their outputs are gone, or if the data
    have changed since.

    With --wait it exits with 1 if the run failed, and with 3 if the data or the model were rejected.
    """
    target = context.obj.target()
    former = lookup.named_run(target, run)
    wanted = starting.wish(target, former.pipeline, retry_of=former.run_id, is_uncached=no_cache)
    _run(target, wanted, dry_run=dry_run, wait=wait, explains=explain_cache, as_json=as_json)


def _run(target: Target, wanted: Wanted, *, dry_run: bool, wait: bool, explains: bool, as_json: bool) -> None:
    if explains and not wait:
        raise typer.BadParameter("--explain-cache needs --wait: what is used is known at the run's end")
    planned = {
        **starting.planned(target, wanted, foresees=dry_run),
        "costs": {
            **costs.outlook(target.cloud, wanted.pipeline),
            "packages": costs.packages(target.cloud, wanted.pipeline),
        },
    }
    if dry_run:
        if by_steps := planned["foreseen"]["estimate"]:
            planned["costs"] = {**planned["costs"], "estimate": {**by_steps, "is_by_steps": True}}
        show(planned, as_json, lambda: _print_plan(planned))
        return
    with err.status("asking for a run") as status:
        run_id = starting.ask(
            target, wanted, waits=wait, say=lambda why: err.print(f"[dim]waiting: {escape(why)}[/]")
        )
        result: dict[str, Any] = {**planned, "run_id": run_id}
        if wait:
            ended = waiting.run_end(target, wanted.pipeline, run_id, following(status, run_id))
            result["run"] = log_streams.with_log_tails(target, ended)
        if explains:
            result["reuse"] = reuse.explain(target.cloud, wanted.pipeline, run_id)

    def text() -> None:
        out.print(f"[green]started[/] {run_id} ({escape(str(planned['cause']))})")
        _print_values(planned)
        _print_costs(planned)
        if not wait:
            hint(f"next: `sluice run {run_id}` shows it, `sluice stop {run_id}` ends it")
            return
        print_run(result["run"])
        if explains:
            print_explained(result["run"], result["reuse"])

    show(result, as_json, text)
    if wait and (code := RUN_EXITS.get(result["run"]["status"])):
        raise typer.Exit(code)


def _print_plan(planned: dict[str, Any]) -> None:
    out.print(f"[bold]{planned['pipeline']}[/] would run ({escape(str(planned['cause']))})")
    version = planned["dataset_version"]
    data = f"data set {short(version)}" if version else "the data that are there"
    out.print(f"  project {short(planned['project_version'])}, {data}")
    _print_values(planned)
    if planned["parameters"] is None:
        _print_candidates(planned["candidates"])
    else:
        out.print(f"  a pipeline of SageMaker, with {escape(wording.assigned(planned['parameters']))}")
    print_reuse(planned["foreseen"]["steps"], indent="  ")
    _print_costs(planned)
    if planned["in_flight"]:
        out.print(f"  [yellow]•[/] {planned['in_flight']} is in flight: it would have to end first")
    hint("next: the same without --dry-run starts it")


def _print_candidates(found: list[dict[str, Any]]) -> None:
    count = len(found)
    out.print(f"  {count} candidate{'' if count == 1 else 's'}:")
    for candidate in found[:_SHOWN]:
        out.print(f"    {escape(wording.assigned(candidate) or 'no hyperparameters')}")
    if count > _SHOWN:
        out.print(f"    and {count - _SHOWN} more")


def _print_costs(planned: dict[str, Any]) -> None:
    """Say what it costs, and that the budget which holds builds back does not hold this one."""
    told = {**planned["costs"], "held_back": None}
    for line in outlook.lines(told, "this run", uses_cache=planned["uses_cache"]):
        out.print(f"  {line}")
    if said := outlook.saving(planned["costs"], planned.get("foreseen")):
        out.print(f"  {said}")
    if held := planned["costs"]["held_back"]:
        out.print(f"  [yellow]•[/] started by hand, though it is over the {escape(held)}")


def _print_values(planned: dict[str, Any]) -> None:
    for path, value in planned["overrides"].items():
        out.print(f"  {escape(path)} = {escape(wording.written(value))}")
    for warning in planned["warnings"]:
        out.print(f"  [yellow]•[/] {escape(warning)}")


@run_app.command(epilog=example('sluice stop reviews-sentiment-00004 -m "wrong data"'))
def stop(context: typer.Context, run: RunName, reason: Reason = "", as_json: Json = False) -> None:
    """Stop a run and its jobs. Its data wait for the next build, or for `sluice retry`."""
    target = context.obj.target()
    run_id = lookup.named_run(target, run).run_id
    with err.status(f"stopping {run_id}"):
        found = stopping.stop(target, run_id, reason)

    def text() -> None:
        print_run(found)
        took = duration(found.get("started_at"), found.get("ended_at"))
        out.print(f"  it ran for {took} and cost {money(found['cost']['usd'])} at list prices")

    show(found, as_json, text)
