"""Write the page about a window, from the documents that its verdict left."""

from __future__ import annotations

import json
from typing import Any

from sluice.catalog.records.monitoring import LabelWindow, Window
from sluice.quality.report import monitor_page
from sluice.quality.run import REPORT, REPORT_PAGE
from sluice.services.monitoring.requests import PARTS
from sluice.services.monitoring.watched import Watched

_TYPE = "text/html; charset=utf-8"


def write_window(watched: Watched, window: Window) -> None:
    """Draw a window of requests; one without any has no page."""
    if window.folder_uri is None:
        return
    found = {part: report for part in PARTS if (report := _report(watched, f"{window.folder_uri}{part}/"))}
    shown = {"pipeline": window.pipeline, "stage": window.stage, "start": window.start, **window.item()}
    page = monitor_page.of_window(shown, found, watched.monitor.drift.max)
    watched.cloud.objects.write(f"{window.folder_uri}{REPORT_PAGE}", page.encode(), _TYPE)


def write_labels(watched: Watched, window: LabelWindow) -> None:
    """Draw a window of labels, once it was judged."""
    if window.folder_uri is None:
        return
    shown = {
        "pipeline": window.pipeline,
        "stage": window.stage,
        "start": window.start,
        "status": window.status,
        **window.item(),
    }
    page = monitor_page.of_labels(shown, watched.monitor.quality.metric)
    watched.cloud.objects.write(f"{window.folder_uri}{REPORT_PAGE}", page.encode(), _TYPE)


def _report(watched: Watched, folder_uri: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(watched.cloud.objects.read(f"{folder_uri}{REPORT}"))
    except FileNotFoundError:
        return None
    return found
