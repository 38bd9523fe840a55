"""Say in words what the next run will cost, and what a month's budget holds back."""

from __future__ import annotations

from typing import Any

from sluice.domain.money import money
from sluice_cli.output import escape


def saving(outlook: dict[str, Any], foreseen: dict[str, Any] | None) -> str | None:
    """Say what a run costs that uses what was done before; None if that is unknown, or the same."""
    usd = (outlook.get("estimate") or {}).get("usd")
    saved = foreseen["saved_usd"] if foreseen else None
    return f"with what it uses of former runs about {money(max(0.0, usd - saved))}" if usd and saved else None


def _packages(packages: dict[str, Any]) -> str:
    """Say what the packages cost that the next run is the first to have."""
    price = None if packages["usd"] is None else money(packages["usd"])
    if packages["are_built"]:
        return f"and once {price} for its packages, which it is the first to use on Lambda"
    known = f"about {price}, as the last ones" if price else "a price that is not known yet"
    return f"and once, as its packages for Lambda are still to be built, {known}"


def lines(outlook: dict[str, Any], which: str = "the next run", *, uses_cache: bool = True) -> list[str]:
    """Say what a run costs, by default the next, and what the month has cost; empty if nothing is known.

    An estimate by whole runs is of one that computes all. A run that `uses_cache` may compute less.
    """
    said = []
    expected, month = outlook.get("estimate"), outlook.get("month")
    if expected and expected["usd"] is not None:
        least, most = money(expected["least_usd"]), money(expected["most_usd"])
        span = "" if least == most else f", {least} to {most}"
        if expected.get("is_by_steps"):
            said.append(f"all its steps cost about {money(expected['usd'])} (as former ones{span})")
        else:
            last, kind = expected["runs"], "complete run"
            made_of = f"as the last {kind}" if last == 1 else f"as the last {last} {kind}s{span}"
            whole = " if it computes every step" if uses_cache else ""
            said.append(f"{which} costs about {money(expected['usd'])}{whole} ({made_of}; packages apart)")
    if packages := outlook.get("packages"):
        said.append(_packages(packages))
    if month and month["budget_usd"] is not None:
        unknown = f", and {month['unpriced_runs']} of unknown cost" if month["unpriced_runs"] else ""
        said.append(
            f"{month['month']}: {money(month['spent_usd'])} of {money(month['budget_usd'])} spent{unknown}"
        )
    if held := outlook.get("held_back"):
        said.append(f"[yellow]builds wait[/]: {escape(held)}; `sluice start` starts one all the same")
    return said
