"""Which arrivals that wait no longer a rule of batches looks at, so that nobody reads all that ever came.

A batch is told by what waits, and by a few others: the marker that its folder has already, other versions of
what a manifest file lists, what was set aside of the batch. Only what makes a batch the whole data set (mode
replace) needs what is settled of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from sluice.domain.data import batches, listings
from sluice.domain.data.arrivals import Arrival
from sluice.domain.data.listings import ManifestError

if TYPE_CHECKING:
    from sluice.domain.config.models import CompleteWhen

Read = Callable[[Arrival], bytes]


class Known(Protocol):
    """Arrivals that wait no longer, as far as they are asked for."""

    def versions(self, keys: Collection[str]) -> Iterable[Arrival]:
        """All versions of objects."""

    def set_aside(self, folder: str) -> Iterable[Arrival]:
        """What is quarantined in or below a folder; everywhere, if it has no name."""

    def settled(self, folder: str) -> Iterable[Arrival]:
        """What is settled in or below a folder; everywhere, if it has no name."""


def find(
    complete_when: CompleteWhen, waiting: Sequence[Arrival], known: Known, read: Read, *, whole: bool = False
) -> list[Arrival]:
    """What `batches.assemble` needs beside what waits; with `whole`, the settled part of each batch too."""
    if complete_when.marker:
        found = _beside_markers(complete_when, complete_when.marker, waiting, known, read, whole)
    elif complete_when.manifest:
        found = [*known.versions(_listed(complete_when.manifest, waiting, read))]
    else:
        found = [*_of_former_batches(waiting, known)] if whole else []
    waits = set(waiting)
    return [arrival for arrival in dict.fromkeys(found) if arrival not in waits]


def _of_former_batches(waiting: Iterable[Arrival], known: Known) -> Iterator[Arrival]:
    """What a data set holds already of the batches that what waits was taken up with before."""
    former = {arrival.batch for arrival in waiting if arrival.batch}
    if former:
        yield from (arrival for arrival in known.settled("") if arrival.batch in former)


def _listed(name: str, waiting: Iterable[Arrival], read: Read) -> set[str]:
    """The keys of open manifest files, and what they list."""
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
    """The folders that an object lies in, the nearest first."""
    folder = arrival.folder
    while folder:
        yield folder
        folder = folder[: folder.rstrip("/").rfind("/") + 1]


def _held(data: Iterable[Arrival], known: Known) -> Iterator[Arrival]:
    """What was set aside of the batches that what waits was taken up with before."""
    former = {arrival.batch for arrival in data if arrival.batch}
    # With a quiet period, which may have been the rule at that time, a batch has no folder.
    for folder in {batch.partition(" ")[2] for batch in former}:
        yield from (arrival for arrival in known.set_aside(folder) if arrival.batch in former)


def _settled_with(
    complete: Iterable[batches.Batch], name: str, arrivals: Iterable[Arrival], known: Known
) -> Iterator[Arrival]:
    """What is settled and came between a batch's marker and the one before, and the markers further down."""
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
