"""Records of what people were told: notices, and troubles that last until they are over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from sluice.catalog import keys
from sluice.catalog.records.base import attributes, known
from sluice.lazy import dataclass

Item = dict[str, Any]
Kind = Literal[
    "approval_awaited",
    "data_rejected",
    "run_failed",
    "release_failed",
    "release_refused",
    "rolled_back",
    "rollback_failed",
    "rollback_impossible",
    "drift",
    "decay",
    "budget_reached",
    "batch_failed",
    "dead_letters",
    "alarm",
    "endpoint_deviated",
    "test",
]
# Where a notice goes: the topic, which e-mail and programs subscribe to, and webhooks.
Channel = Literal["topic", "slack", "teams"]
CHANNELS: tuple[Channel, ...] = ("topic", "slack", "teams")
WEBHOOKS: tuple[Channel, ...] = ("slack", "teams")
WAITING = "waiting"
SENT = "sent"
_TROUBLE_OF_ALARM = "alarm "


@dataclass(frozen=True, slots=True)
class Notice:
    """One message that a person can act on: a sentence, the reason, the next command, a link."""

    # Of what happened and when, not of the event that told it: however often that comes, the key is the same.
    key: str
    kind: Kind
    at: str
    title: str
    reason: str = ""
    command: str | None = None
    link: str | None = None
    pipeline: str | None = None
    # What lasts until it is over: it is told when it begins and when it ends.
    trouble: str | None = None
    is_over: bool = False
    told_at: str | None = None
    # What became of it on each channel: waiting, sent, or why not; absent if the channel is not configured.
    topic: str | None = None
    slack: str | None = None
    teams: str | None = None
    expires_at: int | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Notice:
        return cls(**known(cls, item, key=keys.notice_of(item)))

    def item(self) -> Item:
        return {**keys.notice_key(self.key), **attributes(self, "key")}

    def on(self, channel: Channel) -> str | None:
        """Return what became of it on a channel."""
        return {"topic": self.topic, "slack": self.slack, "teams": self.teams}[channel]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that lasts: since when, or when it was over."""

    name: str
    at: str
    is_open: bool

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Trouble:
        return cls(**known(cls, item))

    def item(self) -> Item:
        """Return the item; while it lasts it is listed, for `reconcile` to look at."""
        listed = keys.listed(keys.TROUBLES, self.name) if self.is_open else {}
        # False is an answer here, not the absence of one.
        said = {"name": self.name, "at": self.at, "is_open": self.is_open}
        return {**keys.trouble_key(self.name), **listed, **said}


def trouble_of_alarm(name: str) -> str:
    """Return the name of the trouble that an alarm tells of."""
    return f"{_TROUBLE_OF_ALARM}{name}"


def alarm_of(trouble: str) -> str | None:
    """Return the alarm that a trouble is of, if it is of one."""
    return trouble.removeprefix(_TROUBLE_OF_ALARM) if trouble.startswith(_TROUBLE_OF_ALARM) else None
