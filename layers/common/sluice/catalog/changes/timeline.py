"""Changes of the timeline, which only grows."""

from __future__ import annotations

from sluice.catalog.changes.base import Put
from sluice.catalog.records.timeline import Entry


def add_entry(entry: Entry) -> Put:
    """Add an entry, once: the same has the same key."""
    return Put(entry.item())
