"""Shorten the reasons of a run or a release to one line."""

from __future__ import annotations

from typing import Any


def first_reasons(item: dict[str, Any], count: int = 1) -> str:
    """Return the first reasons of a run or release in one line."""
    reasons = item.get("reasons") or []
    more = f" (+{len(reasons) - count})" if len(reasons) > count else ""
    return "; ".join(brief(str(reason)) for reason in reasons[:count]) + more


def brief(reason: str) -> str:
    """Shorten a reason to one line: of a traceback keep the first line and the one that says why."""
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    saying = [line for line in lines[1:] if not line.startswith(("Command ", "ExitCode "))]
    if len(saying) < 2:
        return " ".join(lines)
    last = saying[-1].rstrip('"')
    return f"{lines[0]} […] {last}"
