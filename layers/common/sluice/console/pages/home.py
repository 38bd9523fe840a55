"""The home page: what each pipeline serves, what waits for a person, and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sluice.console.rendering import IDLE_S, Page


def page(view: Mapping[str, Any]) -> Page:
    """Show a card for each pipeline; without pipelines the first three commands."""
    cards = [{**card, "tone": _tone(card)} for card in view["pipelines"]]
    waits = sum(len(card["awaited"]) + bool(card["quarantined"]) for card in cards)
    return Page(
        title="Pipelines",
        template="home.html.j2",
        view=view,
        values={
            "cards": cards,
            "waits": waits,
            "firing": sum(len(card["firing"]) for card in cards),
            "wanted": view["wanted"],
            "after": view["after"],
            "total": view["total"],
            "told": view["told"],
        },
        command="status",
        idle_s=IDLE_S,
        is_live=any(card["in_flight"] or card["releasing"] for card in cards),
    )


def _tone(card: Mapping[str, Any]) -> str:
    if card["firing"] or (card["last_run"] or {}).get("status") == "failed":
        return "bad"
    if card["awaited"] or card["quarantined"]:
        return "warn"
    return "good" if any(stage["live_version"] for stage in card["stages"]) else ""


def notices_page(view: Mapping[str, Any]) -> Page:
    """Show what people were told, newest first."""
    return Page(
        title="Notices",
        template="notices.html.j2",
        view=view,
        values=view,
        command="notify list",
        trail=(("Notices", "/notices"),),
    )
