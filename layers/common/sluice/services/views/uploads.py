"""Show what arrived, page by page, as it may be a million objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.arrivals import Arrival
from sluice.catalog.records.builds import Pipeline
from sluice.ports import Cloud
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


def set_aside(cloud: Cloud, pipeline: Pipeline) -> tuple[int, list[dict[str, Any]]]:
    """Count quarantined objects, up to a page, and return the last that nothing replaced."""
    if not _may_be_aside(cloud, pipeline):
        return 0, []
    found = arrivals.page(cloud, pipeline.name, [keys.QUARANTINED], None, PAGE).items
    last = sorted(found, key=_arrived)[-_SHOWN_ASIDE:]
    return len(found), [*map(shown, _not_replaced(cloud, pipeline.name, last))]


def some_set_aside(cloud: Cloud, pipeline: Pipeline, limit: int = _SHOWN_ASIDE) -> int:
    """Count quarantined objects that nothing replaced, of the first `limit`: enough to say that some wait."""
    return len(quarantined(cloud, pipeline.name, limit=limit).items) if _may_be_aside(cloud, pipeline) else 0


def _may_be_aside(cloud: Cloud, pipeline: Pipeline) -> bool:
    """Tell whether something was ever set aside; an older stack did not note it."""
    return not pipeline.is_glanceable or cloud.catalog.get(keys.aside_key(pipeline.name)) is not None


def counts(cloud: Cloud, pipeline: str, aside: int) -> dict[str, int]:
    """Count arrived objects by status; `aside` is the number of quarantined ones."""
    found: Counter[str] = Counter(arrival.status for arrival in arrivals.waiting(cloud, pipeline))
    found["included"] += arrivals.counted(cloud, pipeline) or 0
    found["quarantined"] = aside
    return {status: count for status, count in found.items() if count}


def newest(cloud: Cloud, pipeline: str, wanted: Collection[str]) -> dict[str, Arrival]:
    """Return the newest arrival of each key."""
    versions = [arrival for arrival in arrivals.waiting(cloud, pipeline) if arrival.key in wanted]
    versions += arrivals.versions(cloud, pipeline, wanted)
    return {arrival.key: arrival for arrival in sorted(versions, key=_arrived)}


def shown(arrival: Arrival) -> dict[str, Any]:
    """Return an arrival for people: its attributes in the catalog, without the table's own."""
    return keys.shown(arrival.item())


def _not_replaced(cloud: Cloud, pipeline: str, found: Sequence[Arrival]) -> list[Arrival]:
    if not found:
        return []
    last = newest(cloud, pipeline, {arrival.key for arrival in found})
    return sorted((arrival for arrival in found if last[arrival.key].place == arrival.place), key=_arrived)


def _arrived(arrival: Arrival) -> str:
    return arrival.arrived_at
