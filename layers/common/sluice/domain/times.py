"""Write times as the catalog does: ISO 8601, UTC, milliseconds and Z, so that they sort as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def to_iso(at: datetime) -> str:
    """Write an aware datetime."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_event(at: str | float | None) -> str | None:
    """Normalize an event's time: AWS writes ISO 8601 or epoch milliseconds, as a number or a string."""
    if at is None:
        return None
    try:
        return to_iso(datetime.fromtimestamp(float(at) / 1000, UTC))
    except ValueError:
        return to_iso(from_iso(str(at)))


def from_iso(text: str) -> datetime:
    """Parse an ISO 8601 time; without an offset it is UTC."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def later(at: str, seconds: float) -> str:
    """Return the time that is so many seconds after another."""
    return to_iso(from_iso(at) + timedelta(seconds=seconds))
