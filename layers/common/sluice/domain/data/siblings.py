"""Find the arrivals that a rule of batches needs and that no longer wait, without reading all arrivals.

What waits and a few other arrivals determine a batch: its folder's former marker, other versions of what a
manifest file lists, and the batch's quarantined objects. Only mode replace, where a batch is the whole data
set, needs its settled objects too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from sluice.catalog.records.arrivals import Arrival
from sluice.domain.data import batches, listings
from sluice.domain.data.listings import ManifestError

if TYPE_CHECKING:
    from sluice.domain.config.models import CompleteWhen

Read = Callable[[Arrival], bytes]


class Known(Protocol):
    """Arrivals that no longer wait, read on demand."""

    def versions(self, keys: Collection[str]) -> Iterable[Arrival]:
        """Return all versions of objects."""

    def set_aside(self, folder: str) -> Iterable[Arrival]:
        """Return what is quarantined in or below a folder; an empty name means everywhere."""

    def settled(self, folder: str) -> Iterable[Arrival]:
        """Return what is settled in or below a folder; an empty name means everywhere."""


def find(
    complete_when: CompleteWhen, waiting: Sequence[Arrival], known: Known, read: Read, *, whole: bool = False
) -> list[Arrival]:
    """Return what `batches.assemble` needs besides what waits; `whole` adds settled objects of each batch."""
    if complete_when.marker:
        found = _beside_markers(complete_when, complete_when.marker, waiting, known, read, whole)
    elif complete_when.manifest:
        found = [*known.versions(_listed(complete_when.manifest, waiting, read))]
    else:
        found = [*_of_former_batches(waiting, known)] if whole else []
    waits = set(waiting)
    return [arrival for arrival in dict.fromkeys(found) if arrival not in waits]


def _of_former_batches(waiting: Iterable[Arrival], known: Known) -> Iterator[Arrival]:
    """Yield objects in data sets of the batches that waiting objects were taken up with before."""
    former = {arrival.batch for arrival in waiting if arrival.batch}
    if former:
        yield from (arrival for arrival in known.settled("") if arrival.batch in former)


def _listed(name: str, waiting: Iterable[Arrival], read: Read) -> set[str]:
    """Return the keys of open manifest files, and those that they list."""
    listed: set[str] = set()
    for manifest in waiting:
        if manifest.name == name and manifest.is_waiting:
            listed.add(manifest.key)
            try:
                listed.update(entry.key for entry in listings.entries(manifest, read))
            except ManifestError:
                continue
    return listed


def _beside_markers(
    complete_when: CompleteWhen,
    name: str,
    waiting: Sequence[Arrival],
    known: Known,
    read: Read,
    whole: bool,
) -> list[Arrival]:
    data = [arrival for arrival in waiting if not arrival.is_control and arrival.name != name]
    found = [*known.versions({f"{folder}{name}" for obj in data for folder in _above(obj)})]
    held = [*_held(data, known)]
    found += [*held, *known.versions({arrival.key for arrival in held})]
    if whole:
        complete = batches.ready(batches.assemble(complete_when, [*waiting, *found], read))
        found += _settled_with(complete, name, [*waiting, *found], known)
    return found


def _above(arrival: Arrival) -> Iterator[str]:
    """Yield the folders above an object, the nearest first."""
    folder = arrival.folder
    while folder:
        yield folder
        folder = folder[: folder.rstrip("/").rfind("/") + 1]


def _held(data: Iterable[Arrival], known: Known) -> Iterator[Arrival]:
    """Yield quarantined objects of the batches that waiting objects were taken up with before."""
    former = {arrival.batch for arrival in data if arrival.batch}
    # Under a quiet period, which may have been the rule at that time, a batch has no folder.
    for folder in {batch.partition(" ")[2] for batch in former}:
        yield from (arrival for arrival in known.set_aside(folder) if arrival.batch in former)


def _settled_with(
    complete: Iterable[batches.Batch], name: str, arrivals: Iterable[Arrival], known: Known
) -> Iterator[Arrival]:
    """Yield what is settled and came between a batch's marker and the one before, and the markers below."""
    times: dict[str, list[str]] = defaultdict(list)
    for arrival in arrivals:
        if arrival.name == name:
            times[arrival.folder].append(arrival.arrived_at)
    for batch in complete:
        at = batch.completed_at
        before = max((time for time in times[batch.folder] if time < at), default="")
        for arrival in known.settled(batch.folder):
            if arrival.name == name or before < arrival.arrived_at <= at:
                yield arrival
        yield from (arrival for arrival in known.set_aside(batch.folder) if arrival.name == name)
