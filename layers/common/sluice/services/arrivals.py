"""Find and move arrivals in the catalog: the state of an arrival decides the one place where it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from sluice.catalog import keys
from sluice.catalog.changes import CHANGES_MAX, Change, Delete, Put, Update
from sluice.domain.data.arrivals import Arrival
from sluice.domain.failures import ConflictError

if TYPE_CHECKING:
    from sluice.domain.config.models import CompleteWhen
    from sluice.domain.data.siblings import Read
    from sluice.ports import Cloud, Item

# Items of one page: reading page by page takes no more memory than this.
PAGE = 1000
# For more keys than this, read a range and select from it.
_KEYS_MAX = 1000
# Parallel reads and writes: a version may have thousands of objects.
_AT_A_TIME = 8
_MOVES = (CHANGES_MAX - 1) // 2
_Each = TypeVar("_Each")
_Found = TypeVar("_Found")


def on_each(items: Iterable[_Each], act: Callable[[_Each], _Found]) -> list[_Found]:
    """Act on many items of the catalog, several at a time."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return list(pool.map(act, items))


def find(cloud: Cloud, pipeline: str, key: str, version_id: str) -> Item | None:
    """Return the arrival of an object version in whatever state."""
    for state in keys.STATES:
        if item := cloud.catalog.get(keys.arrival_key(state, pipeline, key, version_id)):
            return item
    return None


def waiting(cloud: Cloud, pipeline: str) -> list[Item]:
    """Return what no ended run has settled: new objects, markers, and what a running build took up."""
    return cloud.catalog.query(keys.partition(pipeline), keys.WAITING)


def stream(cloud: Cloud, pipeline: str, prefix: str) -> Iterator[Item]:
    """Yield the arrivals whose sort keys have a prefix, read page by page."""
    yield from _paged(partial(cloud.catalog.query, keys.partition(pipeline), prefix, limit=PAGE))


def _paged(query: Callable[..., list[Item]]) -> Iterator[Item]:
    page = query()
    while page:
        yield from page
        page = query(after=page[-1]["sk"]) if len(page) == PAGE else []


@dataclass(frozen=True)
class Page:
    """Some arrivals, and the sort key after which the next page begins; None after the last one."""

    items: Sequence[Item]
    after: str | None


def page(cloud: Cloud, pipeline: str, states: Sequence[str], after: str | None, limit: int) -> Page:
    """Return arrivals ordered by state and then by key."""
    items: list[Item] = []
    at = next((number for number, state in enumerate(states) if (after or "").startswith(state)), 0)
    for state in states[at:]:
        begins = after if after is not None and after.startswith(state) else None
        room = limit + 1 - len(items)
        items += cloud.catalog.query(keys.partition(pipeline), state, after=begins, limit=room)
        if len(items) > limit:
            return Page(items[:limit], items[limit - 1]["sk"])
    return Page(items, None)


def beside(
    cloud: Cloud,
    pipeline: str,
    complete_when: CompleteWhen,
    waiting: Sequence[Arrival],
    read: Read,
    *,
    whole: bool = False,
) -> list[Arrival]:
    """Return what the rule of batches needs besides what waits; `whole` adds the batches' settled objects."""
    from sluice.domain.data import siblings

    return siblings.find(complete_when, waiting, _Known(cloud, pipeline), read, whole=whole)


@dataclass(frozen=True)
class _Known:
    """Reads from the catalog what `siblings` asks for."""

    cloud: Cloud
    pipeline: str

    def versions(self, keys: Collection[str]) -> Iterator[Arrival]:
        return map(Arrival.of, versions(self.cloud, self.pipeline, keys))

    def set_aside(self, folder: str) -> Iterator[Arrival]:
        return map(Arrival.of, stream(self.cloud, self.pipeline, f"{keys.QUARANTINED}{folder}"))

    def settled(self, folder: str) -> Iterator[Arrival]:
        return map(Arrival.of, stream(self.cloud, self.pipeline, f"{keys.SETTLED}{folder}"))


def versions(cloud: Cloud, pipeline: str, wanted: Collection[str]) -> Iterator[Item]:
    """Yield all versions of objects that no longer wait."""
    if len(wanted) <= _KEYS_MAX:
        prefixes = [
            keys.versions_prefix(state, key)
            for key in sorted(wanted)
            for state in (keys.SETTLED, keys.QUARANTINED)
        ]
        pages = on_each(prefixes, lambda prefix: [*stream(cloud, pipeline, prefix)])
        found: Iterator[Item] = (item for page in pages for item in page)
    else:
        found = _between(cloud, pipeline, wanted)
    # Another object's key may have the same prefix, including the sign that ends keys.
    return (item for item in found if item["key"] in wanted)


def _between(cloud: Cloud, pipeline: str, wanted: Collection[str]) -> Iterator[Item]:
    for state in (keys.SETTLED, keys.QUARANTINED):
        prefixes = sorted(keys.versions_prefix(state, key) for key in wanted)
        span = prefixes[0], f"{prefixes[-1]}\U0010ffff"
        yield from _paged(partial(cloud.catalog.query, keys.partition(pipeline), between=span, limit=PAGE))


def moved(item: Item, state: str, changes: Mapping[str, Any]) -> tuple[Delete, Put]:
    """Return the changes that move an arrival to another state, if it is unchanged since it was read."""
    key = keys.arrival_key(state, keys.pipeline_of(item), item["key"], item["version_id"])
    read = {name: item.get(name) for name in ("status", "dataset_version", "release_request")}
    return Delete(keys.key_of(item), when=read), Put({**item, **changes, **key})


def move(cloud: Cloud, item: Item, state: str, changes: Mapping[str, Any]) -> bool:
    """Move an arrival; False if it has changed since it was read."""
    return cloud.catalog.apply(*moved(item, state, changes))


def set_aside(cloud: Cloud, item: Item, changes: Mapping[str, Any]) -> bool:
    """Quarantine an arrival, and mark its key: it may have overwritten an object of a data set."""
    touched = _touch(cloud, keys.pipeline_of(item), item["key"])
    return cloud.catalog.apply(*moved(item, keys.QUARANTINED, changes), touched)


def touch(cloud: Cloud, pipeline: str, key: str) -> None:
    """Note that a key's object may differ from the last valid data set's, or be gone."""
    cloud.catalog.apply(_touch(cloud, pipeline, key))


def _touch(cloud: Cloud, pipeline: str, key: str) -> Update:
    return Update(keys.touched_key(pipeline, key), {"key": key, "touched_at": cloud.now()})


def touched(cloud: Cloud, pipeline: str) -> set[str]:
    """Return the keys whose objects may differ from the last valid data set's, or be gone."""
    noted = stream(cloud, pipeline, keys.TOUCHED)
    return {item["key"] for item in (*noted, *waiting(cloud, pipeline))}


def forget_touched(cloud: Cloud, pipeline: str, before: str) -> None:
    """Forget keys noted before a run began: the valid data set that it made covers them."""
    noted = [item for item in stream(cloud, pipeline, keys.TOUCHED) if item["touched_at"] < before]
    on_each(
        noted,
        lambda item: cloud.catalog.apply(Delete(keys.key_of(item), {"touched_at": item["touched_at"]})),
    )


def mark_gone(cloud: Cloud, pipeline: str, key: str, is_gone: bool) -> None:
    """Note on a key's settled arrivals whether the bucket still has an object there."""
    for item in stream(cloud, pipeline, keys.versions_prefix(keys.SETTLED, key)):
        if item["key"] == key and item.get("gone", False) != is_gone:
            changes = {"gone": True if is_gone else None}
            cloud.catalog.update(keys.key_of(item), changes, when={"status": item["status"]})


def settle(cloud: Cloud, pipeline: str, is_done: Callable[[Item], bool]) -> None:
    """Move finished arrivals out of what waits, and count them.

    Each transaction counts what it moves, so a retry counts nothing twice.
    """
    items = [*filter(is_done, waiting(cloud, pipeline))]
    while items:
        for at in range(0, len(items), _MOVES):
            settle_these(cloud, pipeline, items[at : at + _MOVES])
        left = [*filter(is_done, waiting(cloud, pipeline))]
        if len(left) >= len(items):
            raise ConflictError(f"{len(left)} arrivals of {pipeline} could not be settled")
        items = left


def settle_these(cloud: Cloud, pipeline: str, items: Sequence[Item]) -> bool:
    """Move and count some arrivals, if they are unchanged since they were read."""
    if not items:
        return True
    key, included = keys.counts_key(pipeline), sum(item["status"] == "included" for item in items)
    counts = cloud.catalog.get(key)
    count: Change = Put({**key, "included": included})
    if counts is not None:
        before = counts["included"]
        count = Update(key, {"included": before + included}, when={"included": before})
    moves = (change for item in items for change in moved(item, keys.SETTLED, {}))
    return cloud.catalog.apply(count, *moves)
