"""What is known of a version by its segments: sums of runs of these, their own parts, leaves of the others.

So of a million objects, of which one changed, a few dozen parts are added up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from sluice.domain.data import leaves
from sluice.lazy import dataclass
from sluice.quality import run
from sluice.quality.part_results import NeedsWholeError, PartResults
from sluice.services.data import segment_leaves, segment_parts
from sluice.services.data.segment_leaves import Divided
from sluice.services.data.segment_parts import Asked


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of segments, in `runs` by name: `sums` of runs and `parts` of segments, counted alike.

    `edged` has the edges of all, None if nothing is known; `divided` are segments that have no part, `rows`
    those of all that is known.
    """

    asked: Asked
    runs: Mapping[str, Sequence[str]]
    edged: PartResults | None
    sums: Mapping[str, PartResults]
    parts: Mapping[str, PartResults]
    divided: Mapping[str, Divided]
    rows: int

    @classmethod
    def of(cls, asked: Asked, digests: Sequence[str], start: Sequence[PartResults], *, fits: bool) -> Known:
        """Look up what is known of segments that are added to what is known at the start.

        If they cannot be read at once, only the first unknown one is divided: it tells where another
        invocation stopped.
        """
        runs = leaves.runs(digests)
        found = segment_parts.known(asked, [name for name, its in runs.items() if len(its) > 1])
        parts = segment_parts.known(asked, _within(runs, found))
        unknown = [digest for digest in _within(runs, found) if digest not in parts]
        divided = segment_leaves.divide(asked, unknown if fits else unknown[:1])
        of_leaves = [part for each in divided.values() for part in each.known.values()]
        edged = segment_parts.edged_by(start, [*found.values(), *parts.values(), *of_leaves])
        rows = sum(part.rows for part in (*start, *found.values(), *parts.values(), *of_leaves))
        if edged is None:
            return cls(asked, runs, None, {}, {}, divided, rows)
        sums = segment_parts.usable(asked, found, edged)
        parts |= segment_parts.known(asked, [d for name in found if name not in sums for d in runs[name]])
        return cls(asked, runs, edged, sums, segment_parts.usable(asked, parts, edged), divided, rows)

    @property
    def lacking(self) -> list[str]:
        """The segments of which not all is known."""
        return [digest for digest in _within(self.runs, self.sums) if digest not in self.parts]

    def lacks(self, sizes: Mapping[str, int]) -> int:
        """Count the objects of which nothing is known, given those of each segment."""
        return sum(sizes[digest] - self._of_leaves(digest) for digest in self.lacking)

    def _of_leaves(self, digest: str) -> int:
        if self.edged is None or digest not in self.divided:
            return 0
        divided = self.divided[digest]
        return divided.objects(segment_parts.usable(self.asked, divided.known, self.edged))

    def summands(self, edged: PartResults, read: Mapping[str, PartResults]) -> list[PartResults]:
        """Return what adds up to all segments, with those that were read; keep the sums of runs."""
        found = {**self.parts, **self.sums, **read}
        for name, its in self.runs.items():
            if name not in found:
                with suppress(NeedsWholeError):
                    parts = segment_parts.between(edged, [found[digest] for digest in its])
                    segment_parts.write(self.asked, name, run.added_up(parts, self.asked.data))
        return [found[each] for name, its in self.runs.items() for each in ([name] if name in found else its)]


def _within(runs: Mapping[str, Sequence[str]], found: Mapping[str, PartResults]) -> list[str]:
    """Return the segments of runs of which no sum was found."""
    return [digest for name, its in runs.items() if name not in found for digest in its]
