"""Pages of releases: stages from left to right, and a rollback that names both versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sluice.console import drawings, words
from sluice.console.drawings import Node, Spans
from sluice.console.pages import links
from sluice.console.pages.frame import of_pipeline
from sluice.console.rendering import IDLE_S, Page
from sluice.domain import wording
from sluice.domain.times import from_iso

# So many promotions are listed.
_LISTED = 12
# Alarms are on shares and microseconds.
_UNITS = {"error-rate": (100, "%"), "p99-latency": (0.001, "ms")}


def page(view: Mapping[str, Any]) -> Page:
    """Show a pipeline's stages as `views.pipeline_pages.release_page` returns them."""
    pipeline = view["pipeline"]
    now = from_iso(view["now"]).timestamp()
    stages = [_stage(stage, view, now) for stage in view["stages"]]
    served = _served(view, now)
    return of_pipeline(
        pipeline,
        "Releases",
        title=f"Releases of {pipeline}",
        template="releases.html.j2",
        view=view,
        values={
            **view,
            "stages": stages,
            "verdict": _verdict(stages),
            "graph": drawings.graph([[_node(stage)] for stage in stages]) if len(stages) > 1 else None,
            "served": served,
            "lanes": drawings.lanes(served),
            "promoted": sorted(view["history"], key=lambda row: str(row["from"]), reverse=True)[:_LISTED],
        },
        command=f"status {pipeline}",
        idle_s=IDLE_S,
        is_live=any(stage["releasing"] or stage["bakes_for_s"] for stage in stages),
    )


def _verdict(stages: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Say what matters most: what fires, then what changes, then what serves furthest."""
    firing = sum(len(stage["firing"]) for stage in stages)
    busy = next((stage["stage"] for stage in stages if stage["releasing"]), None)
    live = [stage for stage in stages if stage.get("live_version")]
    if busy:
        return "busy", f"A release to {busy} is under way"
    if not live:
        return "", "Nothing serves yet"
    serves = f"{live[-1]['stage']} serves v{live[-1]['live_version']}"
    if firing:
        return "bad", f"{serves}, and {wording.count(firing, 'alarm')} {'is' if firing == 1 else 'are'} on"
    if any(stage["bakes_for_s"] for stage in live):
        return "busy", f"{serves}, and is being watched"
    return "good", serves


def _stage(stage: Mapping[str, Any], view: Mapping[str, Any], now: float) -> dict[str, Any]:
    until, since = stage.get("bake_until"), stage.get("promoted_at")
    left = from_iso(until).timestamp() - now if until else 0
    whole = from_iso(until).timestamp() - from_iso(since).timestamp() if until and since else 0
    return {
        **stage,
        "bakes_for_s": max(left, 0),
        "baked": 1 - max(left, 0) / whole if whole > 0 else 1,
        "awaited": [each for each in view["awaited"] if each["stage"] == stage["stage"]],
        "roll_back": links.pipeline(view["pipeline"], "releases", stage["stage"], "rollback"),
        "alarms": sorted(map(_alarm, stage["alarms"]), key=lambda alarm: alarm["state"] != "ALARM"),
        "firing": [alarm for alarm in stage["alarms"] if alarm["state"] == "ALARM"],
    }


def _alarm(alarm: Mapping[str, Any]) -> dict[str, Any]:
    """Draw what an alarm judged in the last hour against its limit, in a unit that people think in."""
    what = alarm["alarm"].rpartition("--")[2]
    factor, unit = _UNITS.get(what, (1, ""))
    limit = None if alarm["limit"] is None else alarm["limit"] * factor
    points = [(from_iso(each["at"]), each["value"] * factor) for each in alarm["values"]]
    drawn = [
        (at.timestamp(), value, f"{at:%H:%M} UTC: {wording.number(value)} {unit}", _judged(value, limit))
        for at, value in points
    ]
    ends = (f"{points[0][0]:%H:%M}", f"{points[-1][0]:%H:%M} UTC") if points else ("", "")
    return {
        **alarm,
        "what": what,
        "unit": unit,
        "limit": limit,
        "last": points[-1][1] if points else None,
        "chart": drawings.chart(what, drawn, limits=[] if limit is None else [limit], ends=ends),
    }


def _judged(value: float, limit: float | None) -> str:
    return "bad" if limit is not None and value > limit else ""


def _node(stage: Mapping[str, Any]) -> Node:
    if stage["releasing"]:
        return Node(stage["stage"], "deploying", "busy")
    if not stage.get("live_version"):
        return Node(stage["stage"], "serves nothing", "")
    tone = "bad" if stage["firing"] else "good"
    return Node(stage["stage"], f"serves v{stage['live_version']}", tone)


def _served(view: Mapping[str, Any], now: float) -> Spans:
    """Draw what served when, by stage, on one axis, oldest first."""
    rows = [row for row in reversed(view["history"]) if row["from"]]
    return drawings.spans(
        [
            (
                row["stage"],
                f"v{row['version']}: {words.status(row['status'])}",
                words.tone(row["status"]),
                from_iso(row["from"]).timestamp(),
                from_iso(row["until"]).timestamp() if row["until"] else None,
                links.model(row["model"]) if row["model"] else "",
            )
            for row in rows
        ],
        now,
    )


def rollback_page(view: Mapping[str, Any]) -> Page:
    """Ask whether a stage shall be rolled back, and say from what to what."""
    pipeline, stage = view["pipeline"], view["stage"]
    return of_pipeline(
        pipeline,
        "Releases",
        title=f"Roll {stage} back",
        template="rollback.html.j2",
        view=view,
        values={"rollback": view},
        command=f"rollback {pipeline} --stage {stage}",
        trail=(("Releases", links.pipeline(pipeline, "releases")),),
    )
