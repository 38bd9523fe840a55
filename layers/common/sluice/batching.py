"""What the functions that gather data do alike: find batches, ask for builds, set data aside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from sluice import wiring
from sluice.domain import batches
from sluice.domain import catalog as keys
from sluice.domain.batches import Arrival, Batch
from sluice.domain.times import from_iso, to_iso
from sluice.ports import BUILD_REQUEST_DELAY_MAX_S, Item

if TYPE_CHECKING:
    from sluice.domain.config.models import CompleteWhen

# Clocks of two machines differ by less.
_SKEW_S = 1
# Writes at a time: a version may be thousands of objects.
_WRITERS = 8


def arrival_items(pipeline: str) -> list[Item]:
    return wiring.catalog().query(keys.partition(pipeline), "ARRIVAL#")


def find(complete_when: CompleteWhen, arrivals: Iterable[Arrival]) -> list[Batch]:
    """The batches of what arrived; reads the manifest files that are open."""
    return batches.assemble(complete_when, arrivals, _read)


def _read(arrival: Arrival) -> bytes:
    chunks = wiring.objects().chunks(wiring.data_bucket(), arrival.key, arrival.version_id)
    return b"".join(chunks)


def ask_once(pipeline: str, item: Item, delay_s: int) -> None:
    """Ask for a build after a delay, unless the pipeline's item says that somebody is going to ask.

    That request comes after what the caller has written, so it sees it: a thousand uploads ask a few times.
    """
    soon = to_iso(from_iso(wiring.now()) + timedelta(seconds=_SKEW_S))
    if item.get("asks_at", "") <= soon:
        ask_later(pipeline, delay_s)


def ask_later(pipeline: str, delay_s: int) -> None:
    """Ask for a build after a delay; requests that come before are not needed, and not considered.

    A delay beyond what SQS allows is cut: whoever asks too early is told to ask again.
    The message comes before the note of it, so that a crash in between repeats it rather than loses it.
    """
    delay_s = min(delay_s, BUILD_REQUEST_DELAY_MAX_S)
    at = to_iso(from_iso(wiring.now()) + timedelta(seconds=delay_s))
    wiring.build_requests().send(pipeline, delay_s, at)
    wiring.catalog().update(keys.pipeline_key(pipeline), {"asks_at": at})


def quarantine(pipeline: str, dataset_version: str, reasons: Sequence[str]) -> None:
    """Set aside what a rejected version took up: it is in no later one until it is released or replaced.

    The object stays where it is, under a tag. The manifest file that listed it is open again, and so shows
    what its batch waits for.
    """
    from concurrent.futures import ThreadPoolExecutor

    reason = "; ".join(reasons)
    held = [item for item in arrival_items(pipeline) if item.get("dataset_version") == dataset_version]
    with ThreadPoolExecutor(_WRITERS) as pool:
        list(pool.map(lambda item: _set_aside(item, reason), held))


def _set_aside(item: Item, reason: str) -> None:
    catalog, key = wiring.catalog(), {"pk": item["pk"], "sk": item["sk"]}
    when = {"status": "included", "dataset_version": item["dataset_version"]}
    if item.get("is_control"):
        catalog.update(key, {"status": batches.CONTROL}, when=when)
        return
    catalog.update(key, {"status": "quarantined", "reason": reason}, when=when)
    if (catalog.get(key) or {}).get("status") == "quarantined":
        tags = {"sluice:status": "quarantined"}
        wiring.objects().tag(wiring.data_bucket(), item["key"], item["version_id"], tags)
