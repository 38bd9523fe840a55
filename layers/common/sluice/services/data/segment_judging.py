"""Judge a data set of mode append by its segments: read those of their leaves that are not known, and add up.

So a change costs the leaves that it touches, and data that are too many for one invocation are read by
several, each of which goes on where the last one stopped.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sluice.domain.data.segments import DatasetHead
from sluice.lazy import dataclass
from sluice.quality import run
from sluice.quality.part_results import NeedsWholeError, PartResults
from sluice.quality.run import Outcome
from sluice.quality.validation import Violation
from sluice.services.data import segment_parts
from sluice.services.data.segment_parts import Asked
from sluice.services.data.segment_readings import Readings, sample
from sluice.services.data.segment_sums import Known


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
    start = [] if former is None else [former]
    known = Known.of(asked, [*sizes] if former is None else head.added, start, fits=fits)
    if fits and 2 * known.lacks(sizes) >= head.objects:
        raise NeedsWholeError("most of the data are not known")
    if fits and known.edged is not None and replace(known.edged, rows=known.rows).is_outgrown:
        raise NeedsWholeError("the data have doubled since their quantiles were taken")
    begun = known.edged or sample(asked, head)
    if isinstance(begun, Violation):
        return run.refuse([begun], asked.data, asked.title)
    readings = Readings(asked, begun, known.divided, keeps_edges=not fits)
    lacking = known.lacking
    read, broken = _read(readings, lacking)
    if broken and not readings.objects:
        return run.refuse([broken], asked.data, asked.title)
    if left := lacking[len(read) :]:
        # What broke a limit had the time that the others left: the next invocation begins with it.
        known_objects = head.objects - sum(sizes[digest] for digest in left) + readings.partial
        return Unjudged(known_objects, head.objects)
    outcome = run.conclude(
        segment_parts.between(readings.edged, [*start, *known.summands(readings.edged, read)]),
        asked.terms,
        title=asked.title,
        keeps_edges=not fits,
    )
    return replace(outcome, object_rows=readings.rows)


def _read(readings: Readings, digests: Iterable[str]) -> tuple[dict[str, PartResults], Violation | None]:
    """Read segments while there is time and none breaks a limit."""
    found: dict[str, PartResults] = {}
    for digest in digests:
        answer = readings.read(digest)
        if isinstance(answer, Violation):
            return found, answer
        if answer is None:
            break
        found[digest] = answer
    return found, None
