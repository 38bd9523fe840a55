"""Read times as people type them: a date, a time, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from sluice.domain.times import from_iso, to_iso
from sluice_cli.errors import EXIT_USAGE, CommandError

TIME_HELP = "A time such as 2026-11-29, 2026-11-29T08:30 (UTC), or 90m, 12h, 7d ago."
_AGO = re.compile(r"(\d{1,6})\s*([mhdw])(?:\s+ago)?")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def a_time(text: str, now: datetime | None = None) -> str:
    """Return a typed time as the catalog writes it; raises CommandError if it is none."""
    if ago := _AGO.fullmatch(text.strip()):
        return to_iso((now or datetime.now(UTC)) - timedelta(**{_UNITS[ago[2]]: int(ago[1])}))
    try:
        return to_iso(from_iso(text.strip()))
    except (ValueError, OverflowError):
        raise CommandError(f"{text!r} is no time", hint=TIME_HELP, exit_code=EXIT_USAGE) from None


def shown(iso: str | None) -> str:
    """Write a time of the catalog for people, to the second, in UTC."""
    return f"{iso[:10]} {iso[11:19]}" if iso else ""
