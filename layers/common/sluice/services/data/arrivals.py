"""Find and move arrivals in the catalog: the state of an arrival decides the one place where it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.catalog.changes import arrivals as changes
from sluice.catalog.records.arrivals import Arrival, Touched, UnclaimedArrival
from sluice.domain.failures import ConflictError
from sluice.lazy import dataclass
from sluice.services.side_by_side import on_each

if TYPE_CHECKING:
    from sluice.domain.config.models import CompleteWhen
    from sluice.domain.data.siblings import Read
    from sluice.ports import Cloud, Item

# Items of one page: reading page by page takes no more memory than this.
PAGE = 1000
# For more keys than this, read a range and select from it.
_KEYS_MAX = 1000
# Whether a key was settled before is asked for so many keys, by so many of its versions.
_ASKED_MAX, _VERSIONS_SEEN = 100, 10


def find(cloud: Cloud, pipeline: str, key: str, version_id: str) -> Arrival | None:
    """Return the arrival of an object version in whatever state."""
    for state in keys.STATES:
        if item := cloud.catalog.get(keys.arrival_key(state, pipeline, key, version_id)):
            return Arrival.of(item)
    return None


def waiting(cloud: Cloud, pipeline: str) -> list[Arrival]:
    """Return what no ended run has settled: new objects, markers, and what a running build took up."""
    return [*map(Arrival.of, cloud.catalog.query(keys.partition(pipeline), keys.WAITING))]


def stream(cloud: Cloud, pipeline: str, prefix: str) -> Iterator[Arrival]:
    """Yield the arrivals whose sort keys have a prefix, read page by page."""
    return map(Arrival.of, items_of(cloud, pipeline, prefix))


def items_of(cloud: Cloud, pipeline: str, prefix: str) -> Iterator[Item]:
    """Yield the items of a pipeline whose sort keys have a prefix, read page by page."""
    return _paged(partial(cloud.catalog.query, keys.partition(pipeline), prefix, limit=PAGE))


def _paged(query: Callable[..., list[Item]]) -> Iterator[Item]:
    page = query()
    while page:
        yield from page
        page = query(after=page[-1]["sk"]) if len(page) == PAGE else []


def unclaimed(cloud: Cloud) -> Iterator[UnclaimedArrival]:
    """Yield what belongs to no pipeline, read page by page."""
    query = partial(cloud.catalog.query, keys.UNCLAIMED, keys.ARRIVALS, limit=PAGE)
    return (arrival for arrival in map(UnclaimedArrival.of, _paged(query)) if arrival.status == "unclaimed")


@dataclass(frozen=True, slots=True)
class Page:
    """Some arrivals, and the sort key after which the next page begins; None after the last one."""

    items: Sequence[Arrival]
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
            return Page([*map(Arrival.of, items[:limit])], items[limit - 1]["sk"])
    return Page([*map(Arrival.of, items)], None)


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


@dataclass(frozen=True, slots=True)
class _Known:
    """Reads from the catalog what `siblings` asks for."""

    cloud: Cloud
    pipeline: str

    def versions(self, keys: Collection[str]) -> Iterator[Arrival]:
        return versions(self.cloud, self.pipeline, keys)

    def set_aside(self, folder: str) -> Iterator[Arrival]:
        return stream(self.cloud, self.pipeline, f"{keys.QUARANTINED}{folder}")

    def settled(self, folder: str) -> Iterator[Arrival]:
        return stream(self.cloud, self.pipeline, f"{keys.SETTLED}{folder}")


def versions(cloud: Cloud, pipeline: str, wanted: Collection[str]) -> Iterator[Arrival]:
    """Yield all versions of objects that no longer wait."""
    if len(wanted) <= _KEYS_MAX:
        prefixes = [
            keys.versions_prefix(state, key)
            for key in sorted(wanted)
            for state in (keys.SETTLED, keys.QUARANTINED)
        ]
        pages = on_each(prefixes, lambda prefix: [*items_of(cloud, pipeline, prefix)])
        found: Iterator[Item] = (item for page in pages for item in page)
    else:
        found = _between(cloud, pipeline, wanted)
    # Another object's key may have the same prefix, including the sign that ends keys.
    return (Arrival.of(item) for item in found if item["key"] in wanted)


def _between(cloud: Cloud, pipeline: str, wanted: Collection[str]) -> Iterator[Item]:
    for state in (keys.SETTLED, keys.QUARANTINED):
        prefixes = sorted(keys.versions_prefix(state, key) for key in wanted)
        span = prefixes[0], f"{prefixes[-1]}\U0010ffff"
        yield from _paged(partial(cloud.catalog.query, keys.partition(pipeline), between=span, limit=PAGE))


def overwritten(cloud: Cloud, pipeline: str, wanted: Collection[str]) -> int | None:
    """Count the keys where a data set had an object that was not deleted since; None for very many keys."""
    if len(wanted) > _ASKED_MAX:
        return None
    return sum(on_each(wanted, lambda key: _is_settled(cloud, pipeline, key)))


def _is_settled(cloud: Cloud, pipeline: str, key: str) -> bool:
    prefix = keys.versions_prefix(keys.SETTLED, key)
    found = cloud.catalog.query(keys.partition(pipeline), prefix, limit=_VERSIONS_SEEN)
    return any(each.key == key and not each.gone for each in map(Arrival.of, found))


def touch(cloud: Cloud, pipeline: str, key: str, *, is_deleted: bool = False) -> None:
    """Note that a key's object may differ from the last valid data set's, or that data were deleted there."""
    cloud.catalog.apply(changes.touch(pipeline, key, cloud.now(), is_deleted=is_deleted))
    if is_deleted:
        _mark_deletions(cloud, pipeline)


def _mark_deletions(cloud: Cloud, pipeline: str) -> None:
    """Note with the pipeline that there are deletions: of many only the first writes to its item."""
    from sluice.catalog.records.builds import Pipeline  # few functions hear of a deletion

    item = cloud.catalog.get(keys.pipeline_key(pipeline))
    if item is not None and not Pipeline.of(item).has_deletions:
        cloud.catalog.apply(changes.mark_deletions(pipeline, True))


def note_aside(cloud: Cloud, arrival: Arrival) -> None:
    """Note that something is about to be set aside, before it is: nobody looks where this was never noted."""
    noted = cloud.catalog.get(keys.aside_key(arrival.pipeline))
    if not cloud.catalog.apply(changes.note_aside(arrival, noted)):
        cloud.catalog.apply(changes.note_more_aside(arrival.pipeline))


def touched(cloud: Cloud, pipeline: str, waiting: Iterable[Arrival]) -> set[str]:
    """Return the keys whose objects may differ from the last valid data set's, or be gone."""
    noted = {each.key for each in _noted(cloud, pipeline)}
    return noted | {arrival.key for arrival in waiting}


def _noted(cloud: Cloud, pipeline: str) -> Iterator[Touched]:
    return map(Touched.of, items_of(cloud, pipeline, keys.TOUCHED))


def deleted(cloud: Cloud, pipeline: str, waiting: Iterable[Arrival] = (), limit: int = PAGE) -> list[str]:
    """Return keys whose data were deleted since the last valid data set, and for which nothing waits anew."""
    noted = cloud.catalog.query(keys.partition(pipeline), keys.TOUCHED, limit=limit)
    found = {each.key for each in map(Touched.of, noted) if each.deleted}
    return sorted(found - {arrival.key for arrival in waiting}) if found else []


def forget_touched(cloud: Cloud, pipeline: str, before: str) -> None:
    """Forget keys noted before a run began: the valid data set that it made covers them."""
    noted = [each for each in _noted(cloud, pipeline) if each.touched_at < before]
    if any(each.deleted for each in noted):
        cloud.catalog.apply(changes.mark_deletions(pipeline, False))
        # Whoever notes a deletion looks at the mark after that, so one of the two sees the other.
        if any(each.deleted and each.touched_at >= before for each in _noted(cloud, pipeline)):
            cloud.catalog.apply(changes.mark_deletions(pipeline, True))
    on_each(noted, lambda each: cloud.catalog.apply(changes.forget_touched(each)))


def taken_up(cloud: Cloud, pipeline: str, key: str) -> list[Arrival]:
    """Return the arrivals of a key that a data set may hold: settled ones, and those that a run took up."""
    found = [
        arrival
        for state in (keys.WAITING, keys.SETTLED)
        for arrival in stream(cloud, pipeline, keys.versions_prefix(state, key))
    ]
    return [each for each in found if each.key == key and (each.is_included or each.failed_run)]


def mark_gone(cloud: Cloud, found: Iterable[Arrival], *, is_gone: bool) -> None:
    """Note on settled arrivals whether the bucket still has an object under their key."""
    for arrival in found:
        if arrival.state == keys.SETTLED and arrival.gone != is_gone:
            cloud.catalog.apply(changes.mark_gone(arrival, is_gone))


def settle(cloud: Cloud, pipeline: str, waits: Iterable[Arrival], is_done: Callable[[Arrival], bool]) -> None:
    """Move finished arrivals out of what waits, and count them."""
    found = [*filter(is_done, waits)]
    while found:
        parts = [found[at : at + changes.SETTLED_MAX] for at in range(0, len(found), changes.SETTLED_MAX)]
        if all(settle_these(cloud, pipeline, part) for part in parts):
            return
        left = [*filter(is_done, waiting(cloud, pipeline))]
        if len(left) >= len(found):
            raise ConflictError(f"{len(left)} arrivals of {pipeline} could not be settled")
        found = left


def settle_these(cloud: Cloud, pipeline: str, found: Sequence[Arrival]) -> bool:
    """Move and count some arrivals, if they are unchanged since they were read."""
    return cloud.catalog.apply(*changes.settle(pipeline, found, counted(cloud, pipeline)))


def counted(cloud: Cloud, pipeline: str) -> int | None:
    """Return the number of arrivals that are settled; None before the first."""
    counts = cloud.catalog.get(keys.counts_key(pipeline))
    return None if counts is None else int(counts["included"])
