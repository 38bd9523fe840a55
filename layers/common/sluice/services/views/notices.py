"""Show what people were told, and what became of it on each channel."""

from __future__ import annotations

from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.notices import CHANNELS, Notice
from sluice.ports import Cloud
from sluice.services.views import narrowed

_SHOWN = ("key", "kind", "pipeline", "at", "title", "reason", "command", "link", "is_over")


def notices(cloud: Cloud, limit: int, after: str | None = None) -> list[dict[str, Any]]:
    """List notices, newest first, from the one behind the key `after` on."""
    last = keys.notice_key(after)["sk"] if after else None
    found = cloud.catalog.query(keys.NOTICES, keys.NOTICE, newest_first=True, after=last, limit=limit)
    return [shown(Notice.of(item)) for item in found]


def page(cloud: Cloud, limit: int, after: str | None = None, pipeline: str | None = None) -> dict[str, Any]:
    """List a page of `notices`, those of a pipeline if one is given; `after` of the answer is where to go on.

    For a pipeline so many are looked at at most, so a page may have fewer than there are.
    """
    found, last = narrowed.page(
        lambda looked_at: notices(cloud, looked_at, after),
        limit,
        (lambda told: told["pipeline"] == pipeline) if pipeline else None,
    )
    return {"pipeline": pipeline or None, "notices": found, "after": last["key"] if last else None}


def notice(cloud: Cloud, key: str) -> dict[str, Any] | None:
    """Return one notice, None if it was not written yet."""
    item = cloud.catalog.get(keys.notice_key(key))
    return shown(Notice.of(item)) if item else None


def shown(told: Notice) -> dict[str, Any]:
    channels = {channel: outcome for channel in CHANNELS if (outcome := told.on(channel)) is not None}
    return {**{name: getattr(told, name) for name in _SHOWN}, "channels": channels}
