"""Note and read a pipeline's timeline: what happened, who did it, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.catalog.changes.timeline import add_entry
from sluice.catalog.records.timeline import Entry
from sluice.domain import failures

if TYPE_CHECKING:
    from sluice.catalog.changes import Put
    from sluice.ports import Cloud, Item

# An event that more than its writer knows by name.
DATA_DELETED = "data deleted"
_ACTOR = "sluice"
_DETAIL_MAX = 4000


def note(
    cloud: Cloud, pipeline: str | None, at: str, subject: str, event: str, detail: str, actor: str = _ACTOR
) -> None:
    """Add an entry to the pipeline's timeline; repeating it changes nothing."""
    add(cloud, entry_of(pipeline, at, subject, event, detail, actor))


def noting(pipeline: str | None, at: str, subject: str, event: str, detail: str, actor: str = _ACTOR) -> Put:
    """Return the change that `note` applies, to be written with others."""
    return add_entry(entry_of(pipeline, at, subject, event, detail, actor))


def add(cloud: Cloud, entry: Entry) -> None:
    cloud.catalog.apply(add_entry(entry))


def entry_of(
    pipeline: str | None, at: str, subject: str, event: str, detail: str, actor: str = _ACTOR
) -> Entry:
    """Make an entry, to tell by it whether something was done before."""
    return Entry(pipeline, at, subject, event, actor, failures.cut(detail, _DETAIL_MAX))


def is_noted(cloud: Cloud, entry: Entry) -> bool:
    return cloud.catalog.get(keys.key_of(entry.item())) is not None


def newest(cloud: Cloud, pipeline: str, limit: int) -> list[Entry]:
    """Return the newest entries, newest first."""
    found = cloud.catalog.query(keys.partition(pipeline), keys.TIMELINE, newest_first=True, limit=limit)
    return [*map(Entry.of, found)]


def entries_of(cloud: Cloud, pipeline: str, subject: str, since: str, until: str) -> list[Item]:
    """Return what happened to a subject within a time span, oldest first."""
    span = f"{keys.TIMELINE}{since}", f"{keys.TIMELINE}{until}~"
    found = cloud.catalog.query(keys.partition(pipeline), between=span)
    return [keys.shown(entry) for entry in found if entry["subject"] == subject]


def page(
    cloud: Cloud, pipeline: str, since: str = "", after: str | None = None, limit: int | None = None
) -> list[Item]:
    """Return a page, newest first, each entry with its `id`; `after` is an id to go on behind."""
    behind = f"{keys.TIMELINE}{after}" if after else None
    found = cloud.catalog.query(
        keys.partition(pipeline),
        between=keys.timeline_since(since),
        after=behind,
        newest_first=True,
        limit=limit,
    )
    return [{"id": keys.timeline_id_of(entry), **keys.shown(entry)} for entry in found]


def entries(cloud: Cloud, pipeline: str, limit: int | None = None) -> list[Item]:
    """Return the pipeline's timeline, oldest first; `limit` keeps the newest."""
    found = cloud.catalog.query(keys.partition(pipeline), keys.TIMELINE, newest_first=True, limit=limit)
    return [keys.shown(entry) for entry in reversed(found)]
