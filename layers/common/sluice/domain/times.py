"""Instants as the catalog spells them: ISO 8601, UTC, milliseconds and Z, so that they sort as text."""

from __future__ import annotations

from datetime import UTC, datetime


def to_iso(at: datetime) -> str:
    """Spell an aware datetime."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_event(at: str | float | None) -> str | None:
    """A time of an event, which AWS spells as ISO 8601 or as epoch milliseconds, in a number or a string."""
    if at is None:
        return None
    try:
        return to_iso(datetime.fromtimestamp(float(at) / 1000, UTC))
    except ValueError:
        return to_iso(from_iso(str(at)))


def from_iso(text: str) -> datetime:
    """Read an ISO 8601 instant; one without an offset is UTC."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
