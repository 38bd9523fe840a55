"""Tell people what happened, once: write the notice, then send it to the topic and to the webhooks' queue."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.catalog.changes import notices as changes
from sluice.catalog.records.notices import SENT, WEBHOOKS, Channel, Notice, Trouble
from sluice.domain.failures import ConflictError
from sluice.domain.notices import bodies
from sluice.domain.notices.webhooks import WebhookError
from sluice.domain.times import from_iso

if TYPE_CHECKING:
    from sluice.ports import Cloud

_KEPT = timedelta(days=90)
_CLAIMS = 5


def tell(cloud: Cloud, made: Notice) -> Notice | None:
    """Tell a notice, unless it was told; returns it if it is told now.

    Only a crash between sending and noting that sends it twice.
    """
    notice = replace(made, expires_at=int((from_iso(cloud.now()) + _KEPT).timestamp()))
    if not _is_to_be_told(cloud, notice):
        return None
    cloud.notices.publish(notice)
    for channel in WEBHOOKS:
        if cloud.notices.has(channel):
            cloud.catalog.apply(changes.await_channel(notice.key, channel))
            cloud.notices.queue(notice.key, channel)
    cloud.catalog.apply(changes.tell(notice.key, cloud.now()))
    return notice


def _is_to_be_told(cloud: Cloud, notice: Notice) -> bool:
    """Write what is to be told, with its trouble; False if it was told, or the trouble is known."""
    for _ in range(_CLAIMS):
        item = cloud.catalog.get(keys.notice_key(notice.key))
        if item is not None:
            return Notice.of(item).told_at is None
        if notice.trouble is None:
            if cloud.catalog.apply(changes.write_notice(notice)):
                return True
            continue
        seen = _find_trouble(cloud, notice.trouble)
        if _is_known(seen, notice):
            return False
        follow = changes.follow_trouble(seen, Trouble(notice.trouble, notice.at, not notice.is_over))
        if seen is None and notice.is_over:
            # What ended may be told of before what began: then that comes too late to be told.
            if cloud.catalog.apply(follow):
                return False
        elif cloud.catalog.apply(changes.write_notice(notice), follow):
            return True
    raise ConflictError(f"others kept telling of {notice.trouble or notice.key}")


def _is_known(seen: Trouble | None, notice: Notice) -> bool:
    """Tell whether a notice is older than what is known of its trouble, or changes nothing."""
    return seen is not None and (notice.at < seen.at or seen.is_open != notice.is_over)


def _find_trouble(cloud: Cloud, name: str) -> Trouble | None:
    item = cloud.catalog.get(keys.trouble_key(name))
    return Trouble.of(item) if item else None


def post(cloud: Cloud, key: str, channel: Channel) -> None:
    """Post a notice to a channel's webhook, unless it was; raises WebhookError."""
    item = cloud.catalog.get(keys.notice_key(key))
    if item is None or (notice := Notice.of(item)).on(channel) == SENT:
        return
    try:
        cloud.webhooks.post(channel, bodies.webhook(notice, channel))
    except WebhookError as error:
        cloud.catalog.apply(changes.deliver(key, channel, f"failed: {error}"))
        raise
    cloud.catalog.apply(changes.deliver(key, channel, SENT))
