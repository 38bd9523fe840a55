"""The page of monitoring: what serves, window by window, with its releases marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sluice.console import drawings
from sluice.console.drawings import Chart
from sluice.console.pages.frame import of_pipeline
from sluice.console.rendering import Page
from sluice.domain import wording
from sluice.domain.times import from_iso

_TONES = {"violated": "bad", "ok": "good"}
_SAID = {
    "ok": ("good", "It does as it should"),
    "violated": ("warn", "The last window was beyond its limits"),
    "not_enough_data": ("", "Too few requests to judge"),
    "no_data": ("", "No requests in the last window"),
}
_NAMES = {
    "drift": "drift of the column that moved most",
    "prediction_drift": "drift of predictions",
    "drifted_columns": "columns that drifted",
}
# At most so many columns are drawn, those that moved most first.
_DRAWN = 6


def page(view: Mapping[str, Any]) -> Page:
    """Show how what serves does, as `views.pipeline_pages.monitoring_page` returns it."""
    pipeline = view["pipeline"]
    return of_pipeline(
        pipeline,
        "Monitoring",
        title=f"Monitoring of {pipeline}",
        template="monitoring.html.j2",
        view=view,
        values={**view, "stages": [_stage(stage, view["history"]) for stage in view["stages"]]},
        command=f"monitor show {pipeline}",
    )


def _stage(stage: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    windows, limits = [*reversed(stage["windows"])], stage["limits"]
    events = [
        (from_iso(row["from"]).timestamp(), f"v{row['version']}")
        for row in history
        if row["stage"] == stage["stage"] and row["from"]
    ]
    figures = {name for each in windows for name in each.get("figures") or {}}
    most = sorted(
        figures, key=lambda name: -max((each.get("figures") or {}).get(name) or 0 for each in windows)
    )
    charts = [
        (
            "predictions in a window",
            _chart("rows", windows, lambda each: each.get("rows"), events, limits["requests"]),
        )
    ]
    charts += [
        (
            _NAMES.get(name, name),
            _chart(
                name,
                windows,
                lambda each, name=name: (each.get("figures") or {}).get(name),
                events,
                limits.get(name, ()),
            ),
        )
        for name in most[:_DRAWN]
    ]
    labels = [*reversed(stage["labels"])]
    quality = _quality(stage, labels, events)
    return {
        **stage,
        "verdict": _verdict(stage),
        "charts": [(name, chart) for name, chart in [*quality, *charts] if chart],
        "reasons": _reasons(stage["windows"]),
    }  # fmt: skip


def _verdict(stage: Mapping[str, Any]) -> tuple[str, str]:
    """Say what was found of what serves: what alarms say, else what came of the newest window."""
    found = [alarm["alarm"].rpartition("--")[2] for alarm in stage["alarms"] if alarm["state"] == "ALARM"]
    if found:
        return "bad", f"{' and '.join(found)} {'was' if len(found) == 1 else 'were'} found".capitalize()
    newest = next((each["status"] for each in stage["windows"]), None)
    return _SAID.get(str(newest), ("", "No window has ended yet"))


def _chart(
    name: str, windows: Sequence[Mapping[str, Any]], value: Any, events: Any, limits: Sequence[float]
) -> Chart | None:
    points = [
        (
            from_iso(each["start"]).timestamp(),
            float(found),
            _said(each, found),
            _TONES.get(each["status"], ""),
        )
        for each in windows
        if (found := value(each)) is not None
    ]
    return drawings.chart(
        name, points, limits=limits, events=events, ends=_ends(windows), span=_span(windows)
    )


def _quality(stage: Mapping[str, Any], labels: Sequence[Mapping[str, Any]], events: Any) -> list[Any]:
    """Draw the quality by labels with its interval; windows that are not mature are estimates."""
    points, bands = [], []
    for each in labels:
        whole = next((part for part in each.get("measured") or () if not part.get("slice")), None)
        if whole is None or whole.get("value") is None:
            continue
        at = from_iso(each["start"]).timestamp()
        said = _said(each, whole["value"]) + ("" if each["is_final"] else ", an estimate until labels are in")
        points.append((at, float(whole["value"]), said, _TONES.get(each["status"], "")))
        if whole.get("interval"):
            low, high = map(float, whole["interval"])
            bands.append((at, low, high))
    name = stage["metric"] or "quality"
    drawn = drawings.chart(
        name,
        points,
        limits=stage["limits"]["quality"],
        events=events,
        bands=bands,
        ends=_ends(labels),
        span=_span(labels),
    )
    return [(f"{name} by labels", drawn)]


def _said(window: Mapping[str, Any], value: float) -> str:
    return f"{window['start'][:16].replace('T', ' ')} UTC: {wording.number(value)} ({window['status']})"


def _ends(windows: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    if not windows:
        return "", ""
    return windows[0]["start"][:16].replace("T", " "), windows[-1]["start"][:16].replace("T", " ") + " UTC"


def _span(windows: Sequence[Mapping[str, Any]]) -> tuple[float, float] | None:
    if not windows:
        return None
    return from_iso(windows[0]["start"]).timestamp(), from_iso(windows[-1]["start"]).timestamp()


def _reasons(windows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return what was wrong with the newest window that had something wrong."""
    worst = next((each for each in windows if each.get("reasons")), None)
    found = (worst or {}).get("reasons") or {}
    return [(concern, reason) for concern, reasons in found.items() for reason in reasons]
