"""Shorten the reasons of a run or a release to one line."""

from __future__ import annotations

from typing import Any

from sluice.domain.failures import brief
from sluice.domain.wording import shorten

# `sluice run` has all of it.
_SHOWN = 300


def first_reasons(item: dict[str, Any], count: int = 1) -> str:
    """Return the first reasons of a run or release in one line."""
    reasons = item.get("reasons") or []
    more = f" (+{len(reasons) - count})" if len(reasons) > count else ""
    return "; ".join(shorten(brief(str(reason)), _SHOWN) for reason in reasons[:count]) + more
