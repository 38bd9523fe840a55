"""Show what arrived, page by page, as it may be a million objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.arrivals import Arrival
from sluice.catalog.records.builds import Pipeline
from sluice.domain.failures import MissingError
from sluice.ports import Cloud, Item
from sluice.services.data import arrivals
from sluice.services.data.arrivals import Page
from sluice.services.side_by_side import on_each

# Arrivals on a page.
PAGE = 1000
# The status names so many quarantined objects.
_SHOWN_ASIDE = 20
_STATES = (keys.WAITING, keys.QUARANTINED, keys.SETTLED)
_PREFIXES = {"waiting": keys.WAITING, "quarantined": keys.QUARANTINED, "included": keys.SETTLED}
Keep = Callable[[Cloud, str, Sequence[Arrival]], list[Arrival]]


def page(cloud: Cloud, pipeline: str, after: str | None = None, limit: int = PAGE) -> Page:
    """Return a page of arrivals, the oldest first.

    The first pages hold what waits, the next ones what is quarantined, the last ones what is settled.
    """
    found = arrivals.page(cloud, pipeline, _STATES, after, limit)
    return Page(sorted(found.items, key=_arrived), found.after)


def find(cloud: Cloud, pipeline: str, state: str, wanted: str, after: str | None, limit: int) -> Page:
    """Return a page of the arrivals of one state whose keys begin as wanted, with or without the folder.

    Raises MissingError for an unknown state. A key that is too long for the catalog is found by all of it.
    """
    if state not in _PREFIXES:
        raise MissingError(f"There is no state {state!r} of arrivals: {', '.join(_PREFIXES)}.")
    prefix = _PREFIXES[state]
    if wanted:
        key = wanted if wanted.startswith(f"{pipeline}/") else f"{pipeline}/{wanted}"
        prefix = keys.versions_prefix(prefix, key) if keys.is_long(key) else f"{prefix}{key}"
    begins = after if after and after.startswith(prefix) else None
    items = cloud.catalog.query(keys.partition(pipeline), prefix, after=begins, limit=limit + 1)
    shown = [Arrival.of(item) for item in items[:limit]]
    return Page(shown, items[limit - 1]["sk"] if len(items) > limit else None)


def quarantined(
    cloud: Cloud, pipeline: str, after: str | None = None, limit: int = PAGE, keep: Keep | None = None
) -> Page:
    """Return a page of quarantined objects that no later upload of the same key replaced."""
    found = arrivals.page(cloud, pipeline, [keys.QUARANTINED], after, limit)
    return Page((keep or _not_replaced)(cloud, pipeline, found.items), found.after)


def set_aside(cloud: Cloud, pipeline: Pipeline) -> tuple[int, list[dict[str, Any]]]:
    """Count quarantined objects, up to a page, and return the last that nothing replaced."""
    if not _may_be_aside(cloud, pipeline):
        return 0, []
    found = arrivals.page(cloud, pipeline.name, [keys.QUARANTINED], None, PAGE).items
    last = sorted(found, key=_arrived)[-_SHOWN_ASIDE:]
    return len(found), [*map(shown, _not_replaced(cloud, pipeline.name, last))]


def some_set_aside(cloud: Cloud, pipeline: Pipeline, limit: int = _SHOWN_ASIDE) -> list[Arrival]:
    """Return some quarantined objects that nothing replaced: enough to say that some wait.

    The newest are known by name; only if all of them were replaced, others are looked for.
    """
    if not _may_be_aside(cloud, pipeline):
        return []
    noted = cloud.catalog.get(keys.aside_key(pipeline.name)) or {}
    if (named := aside_keys(pipeline.name, noted)) is not None:
        known = [Arrival.of(item) for item in cloud.catalog.get_all(named) if item]
        if (found := still_aside(cloud, pipeline.name, known)) or not noted.get("has_more"):
            return found
    first = arrivals.page(cloud, pipeline.name, [keys.QUARANTINED], None, limit).items
    return still_aside(cloud, pipeline.name, first)


def has_more_aside(cloud: Cloud, pipeline: str) -> bool:
    """Tell whether more may be set aside than `some_set_aside` returns."""
    noted = cloud.catalog.get(keys.aside_key(pipeline))
    return noted is not None and (noted.get("has_more") or "newest" not in noted)


def aside_keys(pipeline: str, noted: Item) -> list[keys.Key] | None:
    """Return the keys of the objects that a note names; None if it is an older stack's, which names none."""
    named = noted.get("newest")
    return None if named is None else [{"pk": keys.partition(pipeline), "sk": sk} for sk in named]


def still_aside(cloud: Cloud, pipeline: str, found: Sequence[Arrival]) -> list[Arrival]:
    """Keep the quarantined objects that the bucket has as they are: nothing replaced or deleted them."""
    heads = on_each(found, lambda each: cloud.objects.head(cloud.data_bucket, each.key))
    kept = [
        each for each, head in zip(found, heads, strict=True) if head and head.version_id == each.version_id
    ]
    return sorted(kept, key=_arrived)


def _may_be_aside(cloud: Cloud, pipeline: Pipeline) -> bool:
    """Tell whether something was ever set aside; an older stack did not note it."""
    return not pipeline.is_glanceable or cloud.catalog.get(keys.aside_key(pipeline.name)) is not None


def counts(cloud: Cloud, pipeline: str, aside: int) -> dict[str, int]:
    """Count objects by status: see `in_numbers`."""
    return in_numbers(cloud, pipeline, aside)[1]


def in_numbers(cloud: Cloud, pipeline: str, aside: int) -> tuple[dict[str, Any] | None, dict[str, int]]:
    """Return the last valid data set in numbers, as `data_set` does, and the objects' number by status.

    `included` are those of that data set, and not what ever was in one, `building` those that a run took up
    whose data were not judged yet; `aside` is the number of quarantined ones.
    """
    # Read what waits first: what a data set has in between is not lost, and known by the version.
    waiting = arrivals.waiting(cloud, pipeline)
    held = data_set(cloud, pipeline)
    version, objects = (held["dataset_version"], int(held["objects"] or 0)) if held else ("", 0)
    failed = {arrival.failed_run for arrival in waiting if arrival.failed_run}
    found_runs = cloud.catalog.get_all([keys.run_key(pipeline, each) for each in sorted(failed)])
    # What a run took up that failed later waits again, and is in the data set if that run's is the last one.
    same = {keys.run_id_of(run) for run in found_runs if run and run.get("dataset_version") == version}
    found = Counter[str](
        "building" if arrival.is_included else arrival.status
        for arrival in waiting
        if not (arrival.failed_run in same or (arrival.is_included and arrival.dataset_version == version))
    )
    found |= {"included": objects, "quarantined": aside}
    return held, {status: count for status, count in found.items() if count}


def data_set(cloud: Cloud, pipeline: str) -> dict[str, Any] | None:
    """Return the last valid data set in numbers, which the next build begins with; None before the first."""
    item = cloud.catalog.get(keys.pipeline_key(pipeline))
    version = Pipeline.of(item).dataset_version if item else None
    found = cloud.catalog.get(keys.dataset_key(pipeline, version)) if version else None
    if found is None:
        return None
    numbers = {name: found.get(name) for name in ("objects", "rows", "size_bytes", "created_at")}
    return {"dataset_version": version, **numbers}


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
