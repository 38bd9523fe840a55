"""Print the candidates of a run beside the champion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from sluice.domain import wording
from sluice.domain.money import money
from sluice_cli.output import escape, metric, out, print_table, styled, took


def print_out(found: dict[str, Any]) -> None:
    objective, names = found["objective"], found["parameters"]
    others = sorted({name for row in found["candidates"] for name in row["metrics"]} - {objective})
    out.print(f"[bold]{found['run_id']}[/]: {found['strategy']}, {found['direction']} {escape(objective)}")
    rows = [_row(row, names, objective, others) for row in found["candidates"]]
    if champion := found["champion"]:
        rows.append(_champion_row(champion, names, objective, others))
    columns = ("", "candidate", "status", *names, objective, *others, "took", "cost")
    yet = " yet" if found["status"] == "running" else ""
    print_table(columns, rows, empty=f"no candidate was started{yet}")
    for row in found["candidates"]:
        if row["problem"]:
            out.print(f"  [yellow]•[/] {row['step']} {escape(row['problem'])}")
    if found["why"]:
        out.print(f"  chosen: {escape(found['why'])}")
    elif 0 < len(found["candidates"]) < found["planned"]:
        out.print(f"  {found['planned'] - len(found['candidates'])} of {found['planned']} to come, at most")
    _print_evaluations(found)


def _row(
    row: dict[str, Any], names: Sequence[str], objective: str, others: Sequence[str]
) -> tuple[object, ...]:
    mark = Text("✔", style="green") if row["is_chosen"] else str(row["rank"] or "")
    status = "cached" if row["cached"] else styled(row["status"])
    return (mark, row["step"], status, *_measured(row, names, objective, others))


def _champion_row(
    row: dict[str, Any], names: Sequence[str], objective: str, others: Sequence[str]
) -> tuple[object, ...]:
    measured = {"hyperparameters": {}, "metrics": {}, "duration_s": None, "cost_usd": None, **row}
    return (
        Text("♛", style="yellow"),
        champion_name(row),
        "champion",
        *_measured(measured, names, objective, others),
    )


def _measured(
    row: dict[str, Any], names: Sequence[str], objective: str, others: Sequence[str]
) -> tuple[object, ...]:
    return (
        *(value_text(row["hyperparameters"].get(name)) for name in names),
        *(metric_text(row["metrics"].get(name)) for name in (objective, *others)),
        took(row["duration_s"]),
        "" if row["cost_usd"] is None else money(row["cost_usd"]),
    )


def _print_evaluations(found: dict[str, Any]) -> None:
    """Print what the chosen one and the champion scored on the same hold-out."""
    if found["evaluation"]:
        measured = ", ".join(metric(*each) for each in found["evaluation"].items())
        out.print(f"  {found['chosen']} on the hold-out: {escape(measured)}")
    champion = found["champion"] or {}
    if champion.get("evaluation"):
        measured = ", ".join(metric(*each) for each in champion["evaluation"].items())
        out.print(f"  {escape(champion_name(champion))} on the hold-out: {escape(measured)}")
    elif champion.get("problem"):
        out.print(f"  [yellow]•[/] {escape(champion_name(champion))}: {escape(champion['problem'])}")


def champion_name(champion: Mapping[str, Any]) -> str:
    """Name what a run was compared with; which version that was may not be on record."""
    return str(champion["model"] or "a model that is gone")


def value_text(value: Any) -> str:
    """Write a hyperparameter for a table; a dash if there is none."""
    return "-" if value is None else wording.written(value)


def metric_text(value: float | None) -> str:
    """Write a metric for a table; a dash if there is none."""
    return "-" if value is None else wording.number(value)
