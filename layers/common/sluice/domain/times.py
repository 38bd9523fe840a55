"""Instants as the catalog spells them: ISO 8601, UTC, milliseconds and Z, so that they sort as text."""

from __future__ import annotations

from datetime import UTC, datetime


def to_iso(at: datetime) -> str:
    """Spell an aware datetime."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_iso(text: str) -> datetime:
    """Read an ISO 8601 instant; one without an offset is UTC."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
