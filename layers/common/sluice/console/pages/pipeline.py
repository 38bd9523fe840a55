"""The page of a pipeline: what it does now and what waits, its steps as defined, and its newest runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sluice.console import drawings, words
from sluice.console.drawings import Node
from sluice.console.pages import links
from sluice.console.pages.frame import of_pipeline
from sluice.console.pages.run import spans_of
from sluice.console.rendering import IDLE_S, Page


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
            "graph": drawings.graph(_columns(view)) if view["definition"] else None,
            "gantt": spans_of(view["runs"], now),
        },
        command=f"status {name}",
        idle_s=IDLE_S,
        is_live=bool(view["in_flight"]) or any(stage["releasing"] for stage in view["stages"]),
    )


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
        values={**view, "heads": heads},
        command=f"compare {' '.join(runs)}",
    )


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
