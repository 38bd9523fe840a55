"""Note who has to hear an event of ours, and that they did: else `reconcile` puts it on the bus again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sluice.catalog import keys
from sluice.catalog.changes import announcements as changes
from sluice.catalog.records.announcements import Announcement
from sluice.domain import lost_events
from sluice.domain.lost_events import LostEvent
from sluice.domain.times import from_iso

if TYPE_CHECKING:
    from sluice.catalog.records.announcements import Receiver
    from sluice.ports import Cloud

# As long as somebody may want to see whether an event was heard.
_KEPT = timedelta(days=7)


def expect(cloud: Cloud, detail_type: str, detail: Mapping[str, Any]) -> None:
    """Note which functions have to hear an event that is about to be announced."""
    for receiver in lost_events.receivers(detail_type, detail):
        made = _made(cloud, receiver, detail_type, detail)
        expires_at = int((from_iso(cloud.now()) + _KEPT).timestamp())
        cloud.catalog.apply(changes.announce(replace(made, expires_at=expires_at)))


def hear(cloud: Cloud, receiver: Receiver, detail_type: str, detail: Mapping[str, Any]) -> None:
    """Note that a function has done what follows from an event, if it has to hear it."""
    if receiver in lost_events.receivers(detail_type, detail):
        cloud.catalog.apply(changes.hear(_made(cloud, receiver, detail_type, detail), cloud.now()))


def _made(cloud: Cloud, receiver: Receiver, detail_type: str, detail: Mapping[str, Any]) -> Announcement:
    return Announcement.make(receiver, detail_type, detail, str(lost_events.again_at(cloud.now(), 0)))


def find_unheard(cloud: Cloud) -> Iterator[LostEvent | None]:
    """Yield what a function should have heard by now; its next repetition is noted before."""
    for item in cloud.catalog.listing(keys.UNHEARD):
        seen, now = Announcement.of(item), cloud.now()
        following = lost_events.again_at(now, seen.repeats + 1)
        is_due = seen.again_at <= now and cloud.catalog.apply(changes.repeat(seen, following))
        yield LostEvent(seen.detail_type, json.loads(seen.detail)) if is_due else None
