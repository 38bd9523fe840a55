"""Search the data bucket for what lost events missed: a page at each call, and all of it once a day.

The catalog holds the progress. A page of the bucket is compared with the same range of the catalog.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.catalog.changes import progress as changes
from sluice.catalog.records.progress import Sweep
from sluice.domain import locations, lost_events
from sluice.domain.locations import BATCH, GROUND_TRUTH
from sluice.domain.times import from_iso, to_iso
from sluice.services.data import arrivals

if TYPE_CHECKING:
    from sluice.catalog.records.arrivals import Arrival
    from sluice.domain.lost_events import LostEvent
    from sluice.ports import Cloud, Item, ObjectHead

PAGE = 1000
# A key may have versions older than its current one in the bucket.
_ITEMS = 2 * PAGE
_LAST = "\U0010ffff"


@contextmanager
def daily(cloud: Cloud, what: str) -> Iterator[bool]:
    """Yield whether the day's first full pass is due; the end of the block marks it as done."""
    today = cloud.now()[:10]
    is_due = _progress(cloud, what).full_on < today
    yield is_due
    if is_due:
        cloud.catalog.apply(changes.finish_full_pass(what, today))


def _progress(cloud: Cloud, what: str) -> Sweep:
    item = cloud.catalog.get(keys.sweep_key(what))
    return Sweep.of(item) if item else Sweep(what)


def unseen(cloud: Cloud, pipelines: Collection[str]) -> Iterator[LostEvent | None]:
    """Yield a lost event for each upload without an arrival, and None for each other, as each takes time.

    An event may still be on its way: to hear of an upload twice does no harm.
    """

    def page(after: str) -> tuple[Iterator[LostEvent | None], str]:
        heads = list(islice(cloud.objects.listing(cloud.data_bucket, "", after=after), PAGE))
        return _unseen(cloud, pipelines, heads), heads[-1].key if len(heads) == PAGE else ""

    return _swept(cloud, "uploads", page)


def deleted(cloud: Cloud, pipeline: str) -> Iterator[LostEvent | None]:
    """Yield lost events of settled objects that were deleted, or restored, unnoticed."""

    def page(after: str) -> tuple[Iterator[LostEvent | None], str]:
        found = arrivals.page(cloud, pipeline, [keys.SETTLED], after or None, PAGE)
        return _deleted(cloud, pipeline, found.items), found.after or ""

    return _swept(cloud, f"deletions of {pipeline}", page)


def _swept(
    cloud: Cloud, what: str, page: Callable[[str], tuple[Iterator[LostEvent | None], str]]
) -> Iterator[LostEvent | None]:
    """Yield what `page` finds: one page a call, but on the first call of a day all pages to the end.

    A caller that stops early gets the same page the next time.
    """
    sweep, today = _progress(cloud, what), cloud.now()[:10]
    if sweep.full_on < today:
        sweep = Sweep(what, full_on=today, is_full=True)
    while True:
        found, after = page(sweep.after)
        yield from found
        sweep = replace(sweep, after=after, is_full=sweep.is_full and bool(after))
        cloud.catalog.apply(changes.record_sweep(sweep))
        if not sweep.is_full:
            return


def _deleted(cloud: Cloud, pipeline: str, settled: Sequence[Arrival]) -> Iterator[LostEvent | None]:
    were_gone = {arrival.key: arrival.gone for arrival in settled}
    if not were_gone:
        return
    # One character less sorts just before the first key.
    listed = cloud.objects.listing(cloud.data_bucket, f"{pipeline}/", after=min(were_gone)[:-1])
    there = {head.key for head in islice(listed, _ITEMS)}
    for key, was_gone in sorted(were_gone.items()):
        # Look up each key beyond the listing.
        is_gone = key not in there and cloud.objects.head(cloud.data_bucket, key) is None
        yield lost_events.object_deleted(cloud.data_bucket, key) if is_gone != was_gone else None


def _unseen(
    cloud: Cloud, pipelines: Collection[str], heads: Sequence[ObjectHead]
) -> Iterator[LostEvent | None]:
    by_owner: dict[str, list[ObjectHead]] = defaultdict(list)
    yesterday = to_iso(from_iso(cloud.now()) - timedelta(days=1))
    for head in heads:
        if head.key.startswith((f"{GROUND_TRUTH}/", f"{BATCH}/")):
            is_new = head.last_modified >= yesterday
            yield _untaken(cloud, pipelines, head) if is_new else None
            continue
        pipeline, _ = locations.parse_key(head.key)
        by_owner[pipeline if pipeline and pipeline in pipelines else ""].append(head)
    for owner, owned in by_owner.items():
        recorded = _recorded(cloud, owner, owned[0].key, owned[-1].key)
        for head in owned:
            is_folder = head.key.endswith("/") and head.size_bytes == 0
            if is_folder or _is_recorded(cloud, owner, head, recorded):
                yield None
            else:
                yield lost_events.object_created(head.bucket, head.key, head.version_id)


def _untaken(cloud: Cloud, pipelines: Collection[str], head: ObjectHead) -> LostEvent | None:
    """Return the lost event of labels or of a batch that no function took.

    Each day's first pass finds those of the day.
    """
    pipeline, name = locations.parse_key(head.key.partition("/")[2])
    if pipeline not in pipelines or not name:
        return None
    if head.key.startswith(f"{BATCH}/"):
        key = keys.input_key(str(pipeline), head.key, head.version_id)
    else:
        received_at = to_iso(from_iso(head.last_modified))
        key = keys.truth_key(str(pipeline), received_at, head.key, head.version_id)
    is_taken = cloud.catalog.get(key) is not None
    return None if is_taken else lost_events.object_created(head.bucket, head.key, head.version_id)


def _recorded(cloud: Cloud, pipeline: str, first: str, last: str) -> set[str]:
    """Return the sort keys in the catalog for a range of keys, up to a few pages."""
    partition = keys.partition(pipeline) if pipeline else keys.UNCLAIMED
    states = keys.STATES if pipeline else (keys.ARRIVALS,)
    found: list[Item] = []
    for state in states:
        span = f"{state}{first}", f"{state}{last}#{_LAST}"
        found += cloud.catalog.query(partition, between=span, limit=_ITEMS)
    return {item["sk"] for item in found}


def _is_recorded(cloud: Cloud, pipeline: str, head: ObjectHead, recorded: Collection[str]) -> bool:
    """Look in the range that was read, else look the key up: ranges are cut, and lack long keys."""
    if not pipeline:
        key = keys.unclaimed_key(head.key, head.version_id)
        return key["sk"] in recorded or cloud.catalog.get(key) is not None
    found = (keys.arrival_key(state, pipeline, head.key, head.version_id) for state in keys.STATES)
    if any(key["sk"] in recorded for key in found):
        return True
    return arrivals.find(cloud, pipeline, head.key, head.version_id) is not None
