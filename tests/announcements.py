"""Who hears what the stack announces, where no rule delivers it."""

from __future__ import annotations

from typing import Any

import fakes
from sluice.catalog import keys
from sluice.catalog.changes import announcements as changes
from sluice.catalog.records.announcements import Announcement


def unheard(cloud: fakes.Cloud) -> list[Announcement]:
    return [Announcement.of(item) for item in cloud.catalog.listing(keys.UNHEARD)]


def hear_all(cloud: fakes.Cloud) -> None:
    """Note of all that was announced that its function has done what follows from it."""
    for each in unheard(cloud):
        cloud.catalog.apply(changes.hear(each, cloud.now()))


def event(detail_type: str, detail: dict[str, Any], at: str) -> dict[str, Any]:
    """Make the event that a rule delivers."""
    return {"source": "sluice.reconcile", "detail-type": detail_type, "time": at, "detail": detail}
