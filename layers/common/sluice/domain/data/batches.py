"""Group arrivals into batches, by a quiet period, a marker object or a manifest file.

A marker completes all objects in or below its folder that came no later than it; an object belongs to the
nearest marker above it. A manifest file is a JSON list of the objects of a batch, with keys relative to its
own folder and optional sizes and sha256. Markers and manifest files are never data.

A batch is no longer complete if one of its objects is quarantined. With a manifest file it waits until the
object is released or replaced. With a marker it waits until the object is released or the marker comes
again, which completes the folder as it is then. With a quiet period the rest of its batch is a batch.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from sluice.catalog.records.arrivals import Arrival
from sluice.domain.data import listings
from sluice.domain.data.listings import Expected, ManifestError
from sluice.lazy import dataclass

if TYPE_CHECKING:
    from sluice.domain.config.models import CompleteWhen


@dataclass(frozen=True, slots=True)
class Batch:
    """Objects that belong together, oldest first, and sentences on what they lack to be complete."""

    folder: str
    objects: tuple[Arrival, ...]
    completed_at: str = ""
    missing: tuple[str, ...] = ()
    manifest: Arrival | None = None
    heard_at: str = ""

    @property
    def name(self) -> str:
        """The name; names of complete batches sort by time of completion, by S3's clock and then by ours."""
        return f"{self.completed_at}{f'/{self.heard_at}' if self.heard_at else ''} {self.folder}"

    @property
    def waiting(self) -> tuple[Arrival, ...]:
        return tuple(obj for obj in self.objects if obj.is_waiting)

    @property
    def is_ready(self) -> bool:
        """Whether it is complete and has an object that no data set has."""
        return not self.missing and bool(self.waiting)


def assemble(
    complete_when: CompleteWhen, arrivals: Iterable[Arrival], read: Callable[[Arrival], bytes]
) -> list[Batch]:
    """Return the batches that have or expect something new; complete ones in order of completion.

    `read` returns the content of a manifest file. With a quiet period all that waits is one batch, and the
    governor decides when it is complete.
    """
    control = complete_when.control_name
    ordered = in_order(arrivals)
    data = [arrival for arrival in ordered if not arrival.is_control and arrival.name != control]
    controls = [arrival for arrival in ordered if arrival.name == control]
    if complete_when.marker:
        found = _by_marker(complete_when.marker, data, controls)
    elif complete_when.manifest:
        found = _by_manifest(complete_when.manifest, data, controls, read)
    else:
        found = _by_quiet_period(data)
    return sorted(found, key=lambda batch: batch.name)


def in_order(arrivals: Iterable[Arrival]) -> list[Arrival]:
    """Sort arrivals, oldest first; within S3's whole seconds by what else is known."""
    versions: dict[tuple[str, str], list[Arrival]] = defaultdict(list)
    for arrival in arrivals:
        versions[arrival.arrived_at, arrival.key].append(arrival)
    ranked: list[tuple[str, str, str, int, Arrival]] = []
    for (at, key), same in versions.items():
        # A lost event has no sequencer, and reconcile hears of it after the others. What two versions are to
        # each other may not depend on a third, as not all who ask read the same ones.
        same.sort(key=lambda one: (not one.sequencer, one.rank, one.heard_at, one.version_id))
        # Events may come out of order: give a key's versions their heard times in S3's order.
        heard = sorted(arrival.heard_at for arrival in same)
        ranked += ((at, heard[place], key, place, arrival) for place, arrival in enumerate(same))
    return [arrival for *_, arrival in sorted(ranked, key=lambda rank: rank[:4])]


def in_doubt(batches: Sequence[Batch]) -> list[Batch]:
    """Return the complete batches that were completed in the same second as the last, as far as S3 tells."""
    return [batch for batch in batches if batch.completed_at == batches[-1].completed_at]


def ready(batches: Iterable[Batch]) -> list[Batch]:
    return [batch for batch in batches if batch.is_ready]


def incomplete(batches: Iterable[Batch]) -> list[Batch]:
    return [batch for batch in batches if batch.missing]


def _by_quiet_period(data: Sequence[Arrival]) -> Iterator[Batch]:
    """Yield one batch of all that waits, with objects in data sets of the batches it was taken up with."""
    waiting = [arrival for arrival in data if arrival.is_waiting]
    if waiting:
        former = {arrival.batch for arrival in waiting if arrival.batch}
        objects = tuple(obj for obj in data if obj.is_waiting or (obj.is_included and obj.batch in former))
        times = [name.partition(" ")[0].partition("/") for name in former]
        newest = max(
            [(waiting[-1].arrived_at, waiting[-1].heard_at), *((at, heard) for at, _, heard in times)]
        )
        yield Batch("", objects, completed_at=newest[0], heard_at=newest[1])


def _by_marker(name: str, data: Sequence[Arrival], markers: Iterable[Arrival]) -> Iterator[Batch]:
    times: dict[str, list[str]] = defaultdict(list)
    heard: dict[tuple[str, str], str] = {}
    for marker in markers:
        times[marker.folder].append(marker.arrived_at)
        heard.setdefault((marker.folder, marker.arrived_at), marker.heard_at)
    held = _held(data)
    held_until = {batch: max(obj.set_aside_at for obj in objects) for batch, objects in held.items()}
    complete: dict[tuple[str, str], list[Arrival]] = defaultdict(list)
    left: dict[str, list[Arrival]] = defaultdict(list)
    unmarked: list[Arrival] = []
    for arrival in (arrival for arrival in data if arrival.status != "quarantined"):
        since = max(arrival.arrived_at, held_until.get(arrival.batch, "") if arrival.is_waiting else "")
        if (owner := _marker_of(arrival, times, since)) is not None:
            complete[owner].append(arrival)
        elif arrival.is_waiting and arrival.batch in held:
            left[arrival.batch].append(arrival)
        elif arrival.is_waiting:
            unmarked.append(arrival)
    for (folder, at), objects in complete.items():
        if any(obj.is_waiting for obj in objects):
            yield Batch(folder, tuple(objects), completed_at=at, heard_at=heard[folder, at])
    newest = {arrival.key: arrival for arrival in data}
    for batch, objects in left.items():
        yield _left(batch, objects, {obj: newest[obj.key] for obj in held[batch]}, name)
    yield from _uncompleted(unmarked, lambda folder: f"{folder}{name} is missing")


def _held(data: Iterable[Arrival]) -> dict[str, list[Arrival]]:
    """Return the quarantined objects of each batch by its name: their batches are incomplete."""
    held: dict[str, list[Arrival]] = defaultdict(list)
    for arrival in data:
        if arrival.status == "quarantined" and arrival.set_aside_at:
            held[arrival.batch].append(arrival)
    return held


def _left(batch: str, objects: Sequence[Arrival], held: Mapping[Arrival, Arrival], name: str) -> Batch:
    """Return the rest of a batch; `held` has the newest version of each of its quarantined objects."""
    # Under a quiet period, which may have been the rule at that time, a batch has no folder.
    folder = batch.partition(" ")[2] or objects[0].folder
    missing = dict.fromkeys(_awaited(obj, newest, f"{folder}{name}") for obj, newest in held.items())
    return Batch(folder, tuple(objects), missing=tuple(missing))


def _awaited(set_aside: Arrival, newest: Arrival, marker: str) -> str:
    """Say in a sentence what completes a batch without the object."""
    if newest != set_aside:
        return f"{marker} is missing"
    return f"{set_aside.key} is quarantined until it is released, or {marker} comes again: {set_aside.reason}"


def _marker_of(arrival: Arrival, times: Mapping[str, Sequence[str]], since: str) -> tuple[str, str] | None:
    """Return the first marker since a time in the nearest folder above the arrival that has one."""
    folder = arrival.folder
    while folder:
        known = times.get(folder, ())
        index = bisect_left(known, since)
        if index < len(known):
            return folder, known[index]
        folder = folder[: folder.rstrip("/").rfind("/") + 1]
    return None


def _uncompleted(objects: Iterable[Arrival], why: Callable[[str], str]) -> Iterator[Batch]:
    """Yield the objects that nothing completes, by folder; `why` says what a folder lacks."""
    by_folder: dict[str, list[Arrival]] = defaultdict(list)
    for obj in objects:
        by_folder[obj.folder].append(obj)
    for folder, found in by_folder.items():
        yield Batch(folder, tuple(found), missing=(why(folder),))


# ------------------------------------------------------------------------------------------- manifest files


def _by_manifest(
    name: str,
    data: Sequence[Arrival],
    manifests: Sequence[Arrival],
    read: Callable[[Arrival], bytes],
) -> Iterator[Batch]:
    versions: dict[str, list[Arrival]] = defaultdict(list)
    for arrival in data:
        versions[arrival.key].append(arrival)
    held: set[Arrival] = set()
    # Read only open manifest files: one that was taken up is finished.
    for manifest in (manifest for manifest in manifests if manifest.is_waiting):
        same = (other for other in manifests if other.folder == manifest.folder)
        replaced_at = min((other.arrived_at for other in same if other.replaces(manifest)), default=None)
        if batch := _listed(manifest, read, versions, replaced_at):
            held.update(batch.objects)
            yield batch
    unlisted = (obj for obj in data if obj.is_waiting and obj not in held)
    yield from _uncompleted(unlisted, lambda folder: f"no {folder}{name} lists this")


def _listed(
    manifest: Arrival,
    read: Callable[[Arrival], bytes],
    versions: Mapping[str, Sequence[Arrival]],
    replaced_at: str | None,
) -> Batch | None:
    """Return a manifest file's batch; None if a newer file replaced it before its list was complete."""
    try:
        entries = listings.entries(manifest, read)
    except ManifestError as error:
        batch = Batch(manifest.folder, (), missing=(f"{manifest.key} {error}",), manifest=manifest)
        return None if replaced_at else batch
    batch = _gathered(manifest, entries, versions)
    if replaced_at is None:
        return batch
    return None if batch.missing or not _were_there(entries, versions, replaced_at) else batch


def _were_there(
    entries: Iterable[Expected], versions: Mapping[str, Sequence[Arrival]], replaced_at: str
) -> bool:
    """Tell whether all listed objects had arrived by then, even if they were rejected since."""
    return all(
        any(
            obj.arrived_at <= replaced_at and not entry.difference(obj) for obj in versions.get(entry.key, ())
        )
        for entry in entries
    )


def _gathered(
    manifest: Arrival, entries: Iterable[Expected], versions: Mapping[str, Sequence[Arrival]]
) -> Batch:
    """Return the batch of the newest fitting version of each listed object, and those before."""
    objects: list[Arrival] = []
    missing: list[str] = []
    for entry in entries:
        known = versions.get(entry.key, ())
        if fitting := _fitting(entry, known):
            before = (obj for obj in known if not obj.replaces(fitting[-1]))
            objects += (obj for obj in before if obj.status != "quarantined")
        else:
            objects += (obj for obj in known if obj.is_waiting)
            missing.append(_lack(entry, known))
    completed_at, heard_at = max((obj.arrived_at, obj.heard_at) for obj in (manifest, *objects))
    return Batch(manifest.folder, tuple(objects), completed_at, tuple(missing), manifest, heard_at)


def _fitting(entry: Expected, known: Sequence[Arrival]) -> list[Arrival]:
    """Return the versions that are as listed; none if the bucket now has a later, quarantined one."""
    usable = (arrival for arrival in known if arrival.status != "quarantined")
    fitting = [arrival for arrival in usable if entry.difference(arrival) is None]
    bad = (obj for obj in known if obj.status == "quarantined")
    return [] if fitting and any(obj.replaces(fitting[-1]) for obj in bad) else fitting


def _lack(entry: Expected, known: Sequence[Arrival]) -> str:
    """Say in a sentence why a listed object is missing."""
    if not known:
        return f"{entry.key} is missing"
    if known[-1].status == "quarantined":
        return f"{entry.key} is quarantined: {known[-1].reason}"
    return str(entry.difference(known[-1]))
