"""Changes of announcements: they are listed until they were heard, and put on the bus again until then."""

from __future__ import annotations

from sluice.catalog import keys
from sluice.catalog.changes.base import Update, overwrite
from sluice.catalog.records.announcements import Announcement

_UNLISTED = {"gsi1pk": None, "gsi1sk": None}


def announce(announcement: Announcement) -> Update:
    """Note that an event is to be heard, also if it was announced before."""
    return overwrite({**announcement.item(), "heard_at": None, "repeats": None})


def hear(announcement: Announcement, at: str) -> Update:
    """Note that an event was heard, if it was announced."""
    return Update(_key(announcement), {"heard_at": at, **_UNLISTED}, {"heard_at": None})


def repeat(seen: Announcement, next_at: str | None) -> Update:
    """Note that an event is put on the bus again, unless it was heard or another did so since it was read."""
    then = {"again_at": next_at} if next_at else _UNLISTED
    when = {"heard_at": None, "again_at": seen.again_at}
    return Update(_key(seen), {"repeats": seen.repeats + 1, **then}, when)


def _key(announcement: Announcement) -> keys.Key:
    return keys.announcement_key(announcement.pipeline, announcement.receiver, announcement.digest)
