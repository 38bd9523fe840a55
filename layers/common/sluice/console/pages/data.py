"""Pages of data: versions with their drift, what arrived or is set aside, a version with its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sluice.console import drawings, words
from sluice.console.drawings import Chart
from sluice.console.pages import links
from sluice.console.pages.frame import of_pipeline
from sluice.console.rendering import Page
from sluice.domain import wording
from sluice.domain.times import from_iso

_COLUMNS_DRAWN = 6


def page(view: Mapping[str, Any]) -> Page:
    """Show a pipeline's data as `views.pipeline_pages.data_page` returns it."""
    pipeline = view["pipeline"]
    return of_pipeline(
        pipeline,
        "Data",
        title=f"Data of {pipeline}",
        template="data.html.j2",
        view=view,
        values={**view, "charts": _charts(view["drift"]), "verdict": _verdict(view)},
        command=f"data list {pipeline}",
    )


def _verdict(view: Mapping[str, Any]) -> tuple[str, str]:
    aside = len(view["quarantined"])
    newest = next(iter(view["versions"]), None) if view["is_newest"] else None
    if aside:
        more = " or more" if view["more_quarantined"] else ""
        return "warn", f"{wording.count(aside, 'object')}{more} {'is' if aside == 1 else 'are'} set aside"
    if view["failed"]:
        return "bad", "Data wait, as the run that took them up failed"
    if not view["is_newest"]:
        return "", "Older data"
    if newest is None:
        return "", "No data yet"
    if newest["status"] == "valid":
        return "good", "The newest data are valid"
    return words.tone(newest["status"]), f"The newest data are {words.status(newest['status'])}"


def arrivals_page(view: Mapping[str, Any]) -> Page:
    """Show what arrived, in one state, and below which key."""
    pipeline = view["pipeline"]
    filtered = " --quarantined" if view["state"] == "quarantined" else ""
    return of_pipeline(
        pipeline,
        "Data",
        title=f"Arrivals of {pipeline}",
        template="arrivals.html.j2",
        view=view,
        values=view,
        command=f"data list {pipeline}{filtered}",
        trail=(
            ("Data", links.pipeline(pipeline, "data")),
            ("Arrivals", links.pipeline(pipeline, "arrivals")),
        ),
    )


def _charts(drift: Sequence[Mapping[str, Any]]) -> list[tuple[str, Chart]]:
    """Draw the drift of each column over versions, those that moved most first; of one version nothing."""
    if len(drift) < 2:
        return []
    oldest_first = [*reversed(drift)]
    names = {name for each in drift for name in each["columns"]}
    most = sorted(names, key=lambda name: -max(each["columns"].get(name) or 0 for each in drift))
    charts = ((name, _chart(name, oldest_first)) for name in most[:_COLUMNS_DRAWN])
    return [(name, chart) for name, chart in charts if chart]


def _chart(name: str, drift: Sequence[Mapping[str, Any]]) -> Chart | None:
    points = [
        (
            from_iso(each["created_at"]).timestamp(),
            float(value),
            f"{words.short(each['dataset_version'])}: {wording.number(value)}",
            "bad" if value > each["max"] else "",
        )
        for each in drift
        if (value := each["columns"].get(name)) is not None
    ]
    ends = (drift[0]["created_at"][:10], drift[-1]["created_at"][:10])
    return drawings.chart(drift[-1]["method"], points, limits=[drift[-1]["max"]], ends=ends)


def version_page(view: Mapping[str, Any]) -> Page:
    """Show a data set version: its report, its objects, and what came from it."""
    pipeline, version = view["pipeline"], view["dataset_version"]
    here = links.pipeline(pipeline, "data", version)
    return of_pipeline(
        pipeline,
        "Data",
        title=f"Data set {words.short(version)}",
        template="version.html.j2",
        view=view,
        values={"version": view, "report": f"{here}/report"},
        command=f"dataset show {pipeline} {words.short(version)}",
        trail=(
            ("Data", links.pipeline(pipeline, "data")),
            (words.short(version), here),
        ),
    )
