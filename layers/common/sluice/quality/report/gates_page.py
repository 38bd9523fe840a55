"""Render gates.json as one HTML page for people, which loads nothing and runs nothing.

All text is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sluice.quality.report import html
from sluice.quality.report.gate_views import SLICES_SHOWN, gate_views


def render(document: Mapping[str, Any]) -> str:
    """Render the page; gates that failed come first."""
    views = gate_views(document)
    champion = document.get("champion")
    return html.template("gates.html.j2").render(
        document=document,
        gates=views,
        failed=sum(not view.passed for view in views),
        champion=champion,
        slices_shown=SLICES_SHOWN,
    )
