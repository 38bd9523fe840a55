"""Render the first page of an evidence folder, which loads nothing and runs nothing.

All text is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sluice.quality.report import html


def render(
    stated: Mapping[str, Any],
    *,
    card: Mapping[str, Any],
    approvals: Mapping[str, Any],
    served: Mapping[str, Any],
) -> str:
    """Render the page by the content of statements.json and of three of its files."""
    return html.template("evidence.html.j2").render(
        stated=stated,
        sections=[(name.replace("_", " "), _rows(section)) for name, section in card["card"].items()],
        gaps=card["gaps"],
        decisions=approvals["decisions"],
        quorum=approvals["quorum"],
        served=served["served"],
        releases=served["releases"],
    )


def _rows(section: Any) -> list[tuple[str, str]]:
    """Return a section of the card as names and texts."""
    parts = section if isinstance(section, list) else [section]
    return [(name.replace("_", " "), _text(value)) for part in parts for name, value in part.items()]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
