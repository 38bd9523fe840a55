"""Show what arrived, page by page, as it may be a million objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sluice.catalog import keys
from sluice.ports import Cloud, Item
from sluice.services import arrivals
from sluice.services.arrivals import Page

# Arrivals on a page.
PAGE = 1000
# The status names so many quarantined objects.
_SHOWN_ASIDE = 20
_STATES = (keys.WAITING, keys.QUARANTINED, keys.SETTLED)


def page(cloud: Cloud, pipeline: str, after: str | None = None, limit: int = PAGE) -> Page:
    """Return a page of arrivals: first what waits, then the quarantined, then the settled; oldest first."""
    found = arrivals.page(cloud, pipeline, _STATES, after, limit)
    return Page(sorted(found.items, key=_arrived), found.after)


def quarantined(cloud: Cloud, pipeline: str, after: str | None = None, limit: int = PAGE) -> Page:
    """Return a page of quarantined objects that no later upload of the same key replaced."""
    found = arrivals.page(cloud, pipeline, [keys.QUARANTINED], after, limit)
    return Page(_not_replaced(cloud, pipeline, found.items), found.after)


def set_aside(cloud: Cloud, pipeline: str) -> tuple[int, list[dict[str, Any]]]:
    """Count quarantined objects, up to a page, and return the last that nothing replaced."""
    items = arrivals.page(cloud, pipeline, [keys.QUARANTINED], None, PAGE).items
    last = sorted(items, key=_arrived)[-_SHOWN_ASIDE:]
    return len(items), [keys.shown(item) for item in _not_replaced(cloud, pipeline, last)]


def counts(cloud: Cloud, pipeline: str, aside: int) -> dict[str, int]:
    """Count arrived objects by status; `aside` is the number of quarantined ones."""
    found = Counter(item["status"] for item in arrivals.waiting(cloud, pipeline))
    settled = cloud.catalog.get(keys.counts_key(pipeline)) or {}
    found["included"] += settled.get("included", 0)
    found["quarantined"] = aside
    return {status: count for status, count in found.items() if count}


def newest(cloud: Cloud, pipeline: str, wanted: Collection[str]) -> dict[str, Item]:
    """Return the newest arrival of each key."""
    versions = [item for item in arrivals.waiting(cloud, pipeline) if item["key"] in wanted]
    versions += arrivals.versions(cloud, pipeline, wanted)
    return {item["key"]: item for item in sorted(versions, key=_arrived)}


def _not_replaced(cloud: Cloud, pipeline: str, items: Sequence[Item]) -> list[Item]:
    if not items:
        return []
    last = newest(cloud, pipeline, {item["key"] for item in items})
    return sorted((item for item in items if last[item["key"]]["sk"] == item["sk"]), key=_arrived)


def _arrived(item: Mapping[str, Any]) -> str:
    return str(item["arrived_at"])
