"""The page of a pipeline: what it does now and what waits, its steps as defined, and its newest runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sluice.console import drawings, words
from sluice.console.drawings import Node
from sluice.console.pages import links
from sluice.console.pages.frame import of_pipeline
from sluice.console.pages.run import spans_of
from sluice.console.rendering import IDLE_S, Page
from sluice.domain import wording


def page(view: Mapping[str, Any], now: float) -> Page:
    """Show a pipeline as `views.pipeline_pages.overview` returns it."""
    name = view["pipeline"]
    return of_pipeline(
        name,
        "Overview",
        title=name,
        template="pipeline.html.j2",
        view=view,
        values={
            "pipeline": view,
            "verdict": _verdict(view),
            "serves": ", ".join(
                f"{stage['stage']} serves v{stage['live_version']}"
                for stage in view["stages"]
                if stage["live_version"]
            ),
            "graph": drawings.graph(_columns(view)) if view["definition"] else None,
            "gantt": spans_of(view["runs"], now),
        },
        command=f"status {name}",
        idle_s=IDLE_S,
        is_live=bool(view["in_flight"]) or any(stage["releasing"] for stage in view["stages"]),
    )


def _verdict(view: Mapping[str, Any]) -> tuple[str, str]:
    """Say what matters most of a pipeline: what is wrong, what waits for a person, what runs, what serves."""
    stages = view["stages"]
    firing = sum(alarm["state"] == "ALARM" for stage in stages for alarm in stage["alarms"])
    live = [stage for stage in stages if stage["live_version"]]
    if firing:
        return "bad", f"{wording.count(firing, 'alarm')} {'is' if firing == 1 else 'are'} on"
    if (view["last_run"] or {}).get("status") == "failed":
        return "bad", "the last run failed"
    if any(stage["releasing"] for stage in stages):
        return "busy", "a release is under way"
    if view["in_flight"]:
        return "busy", "a run is under way"
    if view["awaited"]:
        many = len(view["awaited"])
        return "warn", f"{wording.count(many, 'decision')} {'waits' if many == 1 else 'wait'} for you"
    if view["quarantined"]:
        return "warn", "data are set aside"
    return ("good", f"v{live[-1]['live_version']} serves") if live else ("", "nothing serves yet")


def _columns(view: Mapping[str, Any]) -> list[list[Node]]:
    """Draw the steps as the project defines them, and after them its stages with what serves."""
    found = view["definition"]
    serving = {stage["stage"]: stage for stage in view["stages"]}
    checks = found["columns"] + found["checks"]
    columns = [
        [Node("data", found["mode"], "", link=links.pipeline(view["pipeline"], "data"))],
        [Node("validate", words.count_of(checks, "check"), "")],
        *_build(found),
        [Node("gates", words.count_of(found["gates"], "gate"), "")],
        [Node("register", "by a person" if found["approval"] == "manual" else "automatic", "")],
    ]
    return columns + [[_stage(stage, serving.get(stage["stage"]), view)] for stage in found["stages"]]


def _build(found: Mapping[str, Any]) -> list[list[Node]]:
    """Draw what makes a model: scripts, or a pipeline of SageMaker."""
    if found["pipeline"]:
        return [[Node("pipeline", found["pipeline"], "", f"{found['pipeline']}, a pipeline of SageMaker")]]
    trained = words.count_of(found["candidates"], "candidate")
    return [
        [Node("prepare", "script", "")],
        [Node("train", trained, "", f"{trained}, by {found['strategy']}")],
        [Node("evaluate", "with champion", "")],
    ]


def _stage(stage: Mapping[str, Any], serving: Mapping[str, Any] | None, view: Mapping[str, Any]) -> Node:
    name, link = stage["stage"], links.pipeline(view["pipeline"], "releases")
    if serving and serving["releasing"]:
        return Node(name, "deploying", "busy", link=link)
    if serving and serving["live_version"]:
        is_firing = any(alarm["state"] == "ALARM" for alarm in serving["alarms"])
        return Node(name, f"serves v{serving['live_version']}", "bad" if is_firing else "good", link=link)
    return Node(name, "asks a person" if stage["requires_approval"] else "serves nothing", "", link=link)


def compare_page(view: Mapping[str, Any]) -> Page:
    """Show what differs between runs, or the models of them, by subject, and what is the same."""
    runs, models = view["runs"], view.get("models")
    heads = [(name, links.model(name)) for name in models or ()] or [(run, links.run(run)) for run in runs]
    return of_pipeline(
        runs[0].rpartition("-")[0],
        "Models" if models else "Runs",
        title=f"{len(runs)} {'models' if models else 'runs'} compared",
        template="compare.html.j2",
        view=view,
        values={
            "heads": heads,
            "different": _by_subject(view["different"]),
            "same": _by_subject(view["same"]),
            "many": sum(len(rows) for _, rows in _by_subject(view["same"])),
        },
        command=f"compare {' '.join(runs)}",
    )


def _by_subject(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Group rows by subject; where a run has no packages at all, those of the others are only counted."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    counts = next((row["values"] for row in rows if row["what"] == "how many"), ())
    for row in rows:
        is_listed = row["subject"] != "packages" or row["what"] == "how many" or None not in counts
        if is_listed:
            found.setdefault(row["subject"], []).append(row)
    return [*found.items()]


def why_page(view: Mapping[str, Any]) -> Page:
    """Tell the story of what serves, on one page to print."""
    pipeline = view["pipeline"]
    stage = f" --stage {view['stage']}" if view["stage"] else ""
    return of_pipeline(
        pipeline,
        "Why",
        title=f"Why {pipeline} serves what it serves",
        template="why.html.j2",
        view=view,
        values={"why": view},
        command=f"why {pipeline}{stage}",
    )
