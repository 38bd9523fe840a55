"""`sluice candidates` and `compare`: what a run tried, and what differs between runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from sluice.catalog.records.builds import Run
from sluice.domain import wording
from sluice.domain.money import money
from sluice.services.views import candidates, comparison
from sluice_cli import leaderboard, lookup
from sluice_cli.errors import EXIT_USAGE, CommandError
from sluice_cli.leaderboard import value_text
from sluice_cli.options import Json, RunName, example, show
from sluice_cli.output import escape, hint, out, print_table, short, took

candidate_app = typer.Typer()
_GATES = "gates"


def _number(value: Any) -> str:
    return wording.number(value) if _is_number(value) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# How the numbers of a subject are written, and how far two are apart.
_FORMATS: dict[str, Callable[[Any], str]] = {
    "data": _number,
    "metrics": _number,
    "durations": took,
    "cost": money,
}
_DIGESTS = {("data", "version"), ("code", "project"), ("code", "commit")}


@candidate_app.command("candidates", epilog=example("sluice candidates reviews-sentiment-00001"))
def candidates_of_run(
    context: typer.Context,
    named: RunName,
    as_json: Json = False,
) -> None:
    """Rank the candidates of a run, beside the champion: parameters, metrics, duration, cost at list prices.

    The best has the most budget of successive halving, then the best objective, then the least number. The
    champion's metric of training is of its own run; metrics of the hold-out were measured on the same data.
    """
    target = context.obj.target()
    run = lookup.named_run(target, named)
    if run.runs_pipeline:
        raise CommandError(
            f"{run.run_id} ran a pipeline of SageMaker, which has no candidates",
            hint=f"`sluice run {run.run_id}` shows its steps.",
            exit_code=EXIT_USAGE,
        )
    found = candidates.leaderboard(target.cloud, run)
    show(found, as_json, lambda: leaderboard.print_out(found))
    if found["candidates"] and not as_json:
        hint(f"next: `sluice run {run.run_id}` shows the whole run")


@candidate_app.command(epilog=example("sluice compare reviews-sentiment-00001 reviews-sentiment-00002"))
def compare(
    context: typer.Context,
    named: Annotated[
        list[str], typer.Argument(metavar="RUN RUN...", help="Two or more runs; of a pipeline, its newest.")
    ],
    as_json: Json = False,
) -> None:
    """Compare runs: parameters, data, code, metrics, gates, durations and cost; differences come first."""
    target = context.obj.target()
    runs = {run.run_id: run for run in (lookup.named_run(target, each) for each in named)}
    if len(runs) < 2:
        raise _one_run(*runs.values(), is_repeated=len(named) > 1)
    found = comparison.compare(target.cloud, list(runs.values()))

    def text() -> None:
        _print_different(found["different"], found["runs"])
        out.print("")
        _print_same(found["same"])
        last = list(runs.values())[-1]
        tried = f"next: `sluice candidates {last.run_id}` shows what it tried"
        hint(f"next: `sluice run {last.run_id}` shows its steps" if last.runs_pipeline else tried)

    show(found, as_json, text)


def _one_run(run: Run, *, is_repeated: bool) -> CommandError:
    """Refuse a single run, and tell who named it twice that both are the same."""
    alone = f"{run.run_id} is compared with nothing: name another run"
    return CommandError(
        f"{run.run_id} was named each time: name another run" if is_repeated else alone,
        hint=f"`sluice runs {run.pipeline}` lists the runs that it can be compared with.",
        exit_code=EXIT_USAGE,
    )


def _print_different(rows: Sequence[dict[str, Any]], runs: Sequence[str]) -> None:
    """Print a table of what differs; of the gates one of its own, as one may be as wide as the terminal."""
    out.print("[bold]different[/]")
    gates = [row for row in rows if row["subject"] == _GATES]
    others = [row for row in rows if row["subject"] != _GATES]
    if others or not gates:
        print_table(
            ("", "", *runs, *(["change"] if len(runs) == 2 else [])),
            ((row["subject"], row["what"], *_compared(row), *_changes(row)) for row in others),
            empty="  nothing",
        )
    if gates:
        print_table((_GATES, *runs), ((row["what"], *_compared(row)) for row in gates), empty="")


def _print_same(rows: Sequence[dict[str, Any]]) -> None:
    """Print what all runs have alike, each with its value once."""
    out.print("[bold]the same[/]")
    for row in rows:
        value, *_ = _compared(row)
        out.print(f"{row['subject']} {escape(row['what'])}: {escape(value)}")
    if not rows:
        out.print("  nothing")


def _changes(row: dict[str, Any]) -> list[str]:
    return [_change(row)] if len(row["values"]) == 2 else []


def _compared(row: dict[str, Any]) -> list[str]:
    """Write the values of a row; numbers that differ with digits that tell them apart."""
    numbers = [value for value in row["values"] if _is_number(value)]
    apart = dict(zip(numbers, wording.apart(*numbers), strict=True))
    write = short if (row["subject"], row["what"]) in _DIGESTS else _FORMATS.get(row["subject"], value_text)

    def written(value: Any) -> str:
        if value is None:
            return "-"
        return apart[value] if write is _number and _is_number(value) else write(value)

    return [written(value) for value in row["values"]]


def _change(row: dict[str, Any]) -> str:
    """Return the difference of two numbers, with its sign, written as they are."""
    before, after = row["values"]
    if before == after or not all(_is_number(value) for value in row["values"]):
        return ""
    sign = "+" if after > before else "\u2212"
    return sign + _FORMATS.get(row["subject"], wording.number)(abs(after - before))
