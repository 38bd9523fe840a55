"""Records of what happened: the entries of a pipeline's timeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.base import known
from sluice.lazy import dataclass

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """What happened to something, who did it, and why."""

    # None for what belongs to no pipeline.
    pipeline: str | None
    at: str
    subject: str
    event: str
    actor: str
    detail: str

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Entry:
        return cls(**known(cls, item, pipeline=keys.pipeline_of(item)))

    def item(self) -> Item:
        said = {"subject": self.subject, "event": self.event, "actor": self.actor, "detail": self.detail}
        return {**keys.timeline_key(self.pipeline, self.at, said), "at": self.at, **said}
