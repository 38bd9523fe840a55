"""Leaves: runs of a segment's objects, a few hundred, each judged by itself.

Where one ends depends on its last key alone. So a change of an object changes one leaf, and a key that comes
or goes at most two. Of segments that follow each other, leaves are those of the union, but for the last of
one and the first of the next, which may be pieces of one. Segments form runs in the same way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from sluice.domain.data import segments
from sluice.domain.data.segment_files import SegmentFile
from sluice.lazy import dataclass

# One key of so many ends a leaf: that of a given object has some 500.
OBJECTS = 256
# One segment of so many ends a run.
SEGMENTS = 8


@dataclass(frozen=True, slots=True)
class Leaf:
    """Objects, as the file of a segment that has only these, and the sha256 of that file."""

    digest: str
    objects: int
    file: SegmentFile


def of(file: SegmentFile) -> list[Leaf]:
    """Divide a segment into its leaves, in order."""
    found = file.runs(lambda key: _is_last(key, OBJECTS))
    return [Leaf(segments.digest(run.data), objects, run) for run, objects in found]


def runs(digests: Sequence[str]) -> dict[str, Sequence[str]]:
    """Divide a version's segments into runs, by name; a run of one segment has the name of that."""
    ends = [at for at, digest in enumerate(digests, start=1) if _is_last(digest.encode(), SEGMENTS)]
    begins = [0, *ends]
    divided = [digests[begin:end] for begin, end in zip(begins, [*ends, len(digests)], strict=True)]
    return {_name(run): run for run in divided if run}


def _name(run: Sequence[str]) -> str:
    return run[0] if len(run) == 1 else hashlib.sha256("".join(run).encode()).hexdigest()


def _is_last(name: bytes, of: int) -> bool:
    return int.from_bytes(hashlib.sha256(name).digest()[:4], "big") % of == 0
