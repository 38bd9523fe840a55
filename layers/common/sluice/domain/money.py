"""Write amounts of money, and tell the months that they are counted by."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

_CENT = 0.01


def money(usd: float | None) -> str:
    """Write dollars for people: cents from a cent on, two significant digits below, `unknown` for None."""
    if usd is None:
        return "unknown"
    if usd == 0 or usd >= _CENT:
        return f"${usd:,.2f}"
    rounded = float(f"{usd:.1e}")
    return money(rounded) if rounded >= _CENT else f"${rounded:.{1 - math.floor(math.log10(rounded))}f}"


def month_of(at: datetime) -> str:
    """Return the month (UTC) that a time belongs to, as `2026-03`."""
    return f"{at.astimezone(UTC):%Y-%m}"


def next_month(at: datetime) -> datetime:
    """Return when the next month (UTC) begins."""
    first = at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)
