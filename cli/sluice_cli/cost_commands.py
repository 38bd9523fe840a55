"""`sluice cost`: what a run costs at list prices, step by step."""

from __future__ import annotations

from typing import Any

import typer

from sluice.domain import wording
from sluice.domain.money import money
from sluice.services.views import costs
from sluice_cli import lookup, outlook
from sluice_cli.options import Json, RunName, example, show
from sluice_cli.output import escape, hint, out, print_table

cost_app = typer.Typer()


@cost_app.command(epilog=example("sluice cost reviews-sentiment-00001"))
def cost(
    context: typer.Context,
    run: RunName,
    as_json: Json = False,
) -> None:
    """Show what a run costs: each job, state transitions, the stack's functions, storage.

    These are list prices on AWS of one date and region, also for a run on the local cloud, which costs
    nothing. What has no price is unknown, and so is the total then. Metrics, which runs share, may cost more
    than a small run on Lambda: docs/deploy.md says how much.
    """
    target = context.obj.target()
    found = costs.run_cost(target.cloud, lookup.named_run(target, run).run_id) or {}
    show(found, as_json, lambda: print_cost(found, is_local=target.is_local))


def print_cost(found: dict[str, Any], *, is_local: bool) -> None:
    """Print a run's cost for people."""
    rows = [
        (step["step"], step["backend"], _seconds(step["billed_s"]), step["used"], money(step["usd"]))
        for step in found["steps"]
    ]
    transitions, rest = found["transitions"], found["functions_and_catalog"]
    rows.append(("state machine", "", "", f"{transitions['count']} transitions", money(transitions["usd"])))
    rows.append(("functions, catalog", "", "", "estimated", money(rest["usd"])))
    print_table(("step", "backend", "billed", "used", "cost"), rows, empty="nothing yet")
    total, so_far = found["usd"], " so far" if found["status"] == "running" else ""
    if total is None:
        out.print(f"[bold]total{so_far}: unknown[/], and {money(found['known_usd'])} for what is known")
        for reason in found["unknown"]:
            out.print(f"  [yellow]•[/] {escape(reason)}")
    else:
        out.print(f"[bold]total{so_far}: {money(total)}[/]")
    if stored := found["storage"]["bytes"]:
        kept = f"{wording.size(stored)} that it wrote costs {money(found['storage']['usd_a_month'])} a month"
        out.print(f"keeping the {kept}")
    prices = found["prices"]
    here = "; it ran here, for nothing" if is_local else ""
    out.print(f"list prices of {prices['region']} as of {prices['as_of']}{here}", style="dim")
    out.print("not in it: endpoints, and the metrics, logs and traces that runs share", style="dim")
    for line in outlook.lines(found["next_run"]):
        out.print(line)
    hint(f"next: `sluice run {found['run_id']}` shows what it did")


def _seconds(billed_s: float | None) -> str:
    return "" if billed_s is None else f"{billed_s:,.1f} s"
