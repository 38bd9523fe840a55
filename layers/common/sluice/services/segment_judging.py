"""Judge a large data set of mode append by its segments: read those that are not known, and add up.

So a change costs the segments that it touches, and data that are too many for one invocation are read by
several, each of which goes on where the last one stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from sluice.domain.data.datasets import ObjectVersion
from sluice.domain.data.segments import DatasetHead
from sluice.lazy import dataclass
from sluice.quality import run
from sluice.quality.part_results import NeedsWholeError, PartResults
from sluice.quality.run import Outcome
from sluice.quality.validation import DataFile, Violation
from sluice.services import segment_parts
from sluice.services.segment_parts import Asked
from sluice.services.segment_readings import Readings, sample


@dataclass(frozen=True, slots=True)
class Unjudged:
    """So many objects of a version are known by now, and not yet all."""

    known: int
    objects: int


def judge(asked: Asked, head: DatasetHead, former: PartResults | None) -> Outcome | Unjudged:
    """Judge a version by its segments, or by those added to what was found in its parent.

    Raises NeedsWholeError if all are to be read at once: if they must, or if they can and that is better, as
    most are not known or there are so many more that quantiles are to be measured anew.
    """
    fits = asked.fits(head)
    sizes = {each.digest: each.objects for each in head.segments}
    wanted = [*sizes] if former is None else [*head.added]
    start = [] if former is None else [former]
    known = segment_parts.known(asked, wanted)
    edged = segment_parts.edged_by(start, known.values())
    usable = (each for each in known if edged and segment_parts.is_usable(asked, known[each], edged))
    found = {digest: known[digest] for digest in usable}
    lacking = [digest for digest in wanted if digest not in found]
    if fits and 2 * sum(sizes[digest] for digest in lacking) >= head.objects:
        raise NeedsWholeError("most of the data are not known")
    if fits and edged is not None and _outgrown(edged, [*start, *known.values()]):
        raise NeedsWholeError("the data have doubled since their quantiles were taken")
    begun = edged or sample(asked, head)
    if isinstance(begun, Violation):
        return run.refuse([begun], asked.data, asked.title)
    readings = Readings(asked, begun, keeps_edges=not fits)
    read, broken = _read(readings, {digest: sizes[digest] for digest in lacking})
    if broken and not read:
        return run.refuse([broken], asked.data, asked.title)
    if left := lacking[len(read) :]:
        # What broke a limit had the time that the others left: the next invocation begins with it.
        return Unjudged(head.objects - sum(sizes[digest] for digest in left), head.objects)
    found |= read
    outcome = run.conclude(
        segment_parts.between(readings.edged, [*start, *(found[digest] for digest in wanted)]),
        asked.data,
        now=asked.now,
        baseline=asked.baseline,
        title=asked.title,
        keeps_edges=not fits,
    )
    return replace(outcome, object_rows=readings.rows)


def _read(readings: Readings, sizes: Mapping[str, int]) -> tuple[dict[str, PartResults], Violation | None]:
    """Read segments, given with their numbers of objects, while there is time and none breaks a limit."""
    found: dict[str, PartResults] = {}
    for digest, objects in sizes.items():
        if not readings.has_time(objects):
            break
        answer = readings.read(digest)
        if isinstance(answer, Violation):
            return found, answer
        found[digest] = answer
    return found, None


def _outgrown(edged: PartResults, parts: Iterable[PartResults]) -> bool:
    return replace(edged, rows=sum(part.rows for part in parts)).is_outgrown


def keep(
    asked: Asked,
    held: Mapping[str, Sequence[ObjectVersion]],
    files: Sequence[DataFile],
    part: bytes,
    spent_s: float,
) -> None:
    """Keep what is in each segment of a version that was read whole, as far as there is time.

    `files` were read, which took `spent_s`, and `part` was found in them. What is not kept is read when it is
    needed.
    """
    if len(held) == 1:
        segment_parts.write(asked, next(iter(held)), part)
        return
    by_key = {file.key: file for file in files}
    edged = segment_parts.parsed(part, asked.data)
    readings = Readings(asked, edged, keeps_edges=False, spent_s=spent_s, objects=len(files))
    for digest, objects in held.items():
        there = [by_key[obj.key] for obj in objects]
        if not readings.has_time(len(there)):
            return
        try:
            with TemporaryDirectory(dir=asked.folder) as folder:
                found = readings.of_files(there, Path(folder))
        except NeedsWholeError:
            return
        if found.beyond is not None:
            return
        segment_parts.write(asked, digest, found.part)
        readings.objects += len(there)
