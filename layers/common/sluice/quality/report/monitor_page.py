"""Render the verdict about a window of requests or of labels as one HTML page, which loads nothing.

All text is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sluice.lazy import dataclass
from sluice.quality.report import html

_TONES = {"ok": "good", "violated": "bad"}
_TITLES = {
    "ok": "OK",
    "violated": "Violated",
    "not_enough_data": "Not enough data",
    "not_enough_labels": "Not enough labels",
    "no_data": "No data",
    "open": "Open",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of requests or predictions, compared with its baseline."""

    part: str
    name: str
    distance: float | None
    missing: float
    missing_before: float
    new_share: float
    has_drifted: bool
    said: str


def of_window(window: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]], limit: float) -> str:
    """Render a window of requests; `found` are the engine's reports by part: requests, predictions."""
    columns = [column for part, report in found.items() for column in _columns(part, report)]
    facts = {
        "requests": window.get("requests", 0),
        "predictions": window.get("rows", 0),
        "unreadable": window.get("unreadable", 0),
    }
    reasons = [
        (concern, reason) for concern, each in (window.get("reasons") or {}).items() for reason in each
    ]
    compared = [
        f"requests with the training data {str(window['baseline'])[:12]}" if window.get("baseline") else "",
        f"predictions with the {window['predictions_baseline']}"
        if window.get("predictions_baseline")
        else "",
    ]
    return _render(
        window, facts, reasons, sorted(columns, key=lambda c: not c.has_drifted), [], limit, compared
    )


def of_labels(window: Mapping[str, Any], metric: str) -> str:
    """Render a window of labels: the metric in the whole and in slices, with intervals."""
    facts = {"predictions": window.get("rows", 0), "labels": window.get("labelled", 0)}
    reasons = [("quality", reason) for reason in window.get("reasons") or ()]
    compared = [f"{metric} with that on the hold-out data"] if window.get("baseline") else []
    if not window.get("is_final"):
        reasons.insert(0, ("estimate", f"labels are complete only after {_time(window['matures_at'])}"))
    return _render(window, facts, reasons, [], list(window.get("measured") or ()), None, compared)


def _render(
    window: Mapping[str, Any],
    facts: Mapping[str, float],
    reasons: Sequence[tuple[str, str]],
    columns: Sequence[Column],
    measured: Sequence[Mapping[str, Any]],
    limit: float | None,
    compared: Sequence[str],
) -> str:
    status = str(window["status"])
    is_estimate = bool(measured or "labelled" in facts or "matures_at" in window) and not window.get(
        "is_final"
    )
    return html.template("monitor.html.j2").render(
        window=window,
        tone=_TONES.get(status, "warn"),
        title=_TITLES.get(status, status),
        is_estimate=is_estimate and "matures_at" in window,
        span=f"{_time(window['start'])} to {_time(window['ends_at'])}",
        facts=facts,
        reasons=reasons,
        columns=columns,
        measured=measured,
        limit=limit,
        compared=[each for each in compared if each],
    )


def _time(at: str) -> str:
    return f"{at[:19].replace('T', ' ')} UTC"


def _columns(part: str, report: Mapping[str, Any]) -> Iterator[Column]:
    drift = report.get("drift") or {}
    for each in drift.get("columns", ()):
        distance = each["distances"].get(drift["method"]) or {}
        yield Column(
            part=part,
            name=each["column"],
            distance=distance.get("value"),
            missing=each["missing_rate"],
            missing_before=each["baseline_missing_rate"],
            new_share=each["new_share"],
            has_drifted=bool(each["reasons"]),
            said="; ".join(each["reasons"]) or each["note"] or "",
        )
