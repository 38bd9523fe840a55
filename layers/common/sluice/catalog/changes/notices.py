"""Changes of notices: each thing that happened is told once, each trouble when it begins and when it ends."""

from __future__ import annotations

from sluice.catalog import keys
from sluice.catalog.changes.base import Put, Update
from sluice.catalog.records.notices import SENT, WAITING, Channel, Notice, Trouble


def write_notice(notice: Notice) -> Put:
    """Write what is to be told, if it was not written before."""
    return Put(notice.item())


def follow_trouble(seen: Trouble | None, now: Trouble) -> Put | Update:
    """Note that a trouble begins or is over, if nobody noted anything about it since it was read."""
    if seen is None:
        return Put(now.item())
    listed = keys.listed(keys.TROUBLES, now.name) if now.is_open else {"gsi1pk": None, "gsi1sk": None}
    changed = {"at": now.at, "is_open": now.is_open, **listed}
    return Update(keys.trouble_key(now.name), changed, {"at": seen.at, "is_open": seen.is_open})


def tell(key: str, at: str) -> Update:
    """Note that a notice went to the topic, and to the queue of webhooks."""
    return Update(keys.notice_key(key), {"told_at": at, "topic": SENT}, {"told_at": None})


def deliver(key: str, channel: Channel, outcome: str) -> Update:
    """Note what became of a notice on a channel."""
    return Update(keys.notice_key(key), {channel: outcome}, when={})


def await_channel(key: str, channel: Channel) -> Update:
    """Note that a channel is to post a notice."""
    return Update(keys.notice_key(key), {channel: WAITING}, {channel: None})
