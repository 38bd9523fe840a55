"""Leaves: runs of a segment's objects, a few hundred, each judged by itself.

Where one ends depends on its last key alone. So a change of an object changes one leaf, and a key that comes
or goes at most two. Of segments that follow each other, leaves are those of the union, but for the last of
one and the first of the next, which may be pieces of one.
"""

from __future__ import annotations

import hashlib

from sluice.domain.data import segments
from sluice.domain.data.segment_files import SegmentFile
from sluice.lazy import dataclass

# One key of so many ends a leaf: that of a given object has some 500.
OBJECTS = 256


@dataclass(frozen=True, slots=True)
class Leaf:
    """Objects, as the file of a segment that has only these, and the sha256 of that file."""

    digest: str
    objects: int
    file: SegmentFile


def of(file: SegmentFile) -> list[Leaf]:
    """Divide a segment into its leaves, in order."""
    return [Leaf(segments.digest(run.data), objects, run) for run, objects in file.runs(_is_last)]


def _is_last(key: bytes) -> bool:
    return int.from_bytes(hashlib.sha256(key).digest()[:4], "big") % OBJECTS == 0
