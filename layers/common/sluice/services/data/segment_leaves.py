"""What was found in the leaves of segments lies under their digests, whatever segments these are in.

So of a segment that lost, gained or changed an object the leaf of that is read, and the others are added up.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress

from sluice.domain.data import leaves
from sluice.domain.data.leaves import Leaf
from sluice.domain.data.segments import DatasetHead
from sluice.lazy import dataclass
from sluice.quality import run
from sluice.quality.part_results import NeedsWholeError, PartResults
from sluice.services.building import locations
from sluice.services.data import datasets, segment_parts
from sluice.services.data.segment_parts import Asked
from sluice.services.side_by_side import on_each

_ZIPPED = "application/gzip"


@dataclass(frozen=True, slots=True)
class Divided:
    """The leaves of a segment, and what is known of them, by digest."""

    leaves: Sequence[Leaf]
    known: Mapping[str, PartResults]

    def objects(self, among: Collection[str]) -> int:
        """Count the objects of some leaves."""
        return sum(leaf.objects for leaf in self.leaves if leaf.digest in among)


def divide(asked: Asked, digests: Sequence[str]) -> dict[str, Divided]:
    """Divide segments, and read what is known of their leaves."""
    files = datasets.read_segments(asked.cloud, asked.pipeline, digests)
    divided = {digest: leaves.of(file) for digest, file in files.items()}
    known = _known(asked, (leaf for each in divided.values() for leaf in each))
    return {
        digest: Divided(each, {leaf.digest: known[leaf.digest] for leaf in each if leaf.digest in known})
        for digest, each in divided.items()
    }


def _known(asked: Asked, wanted: Iterable[Leaf]) -> dict[str, PartResults]:
    digests = [*dict.fromkeys(leaf.digest for leaf in wanted)]
    place = locations(asked.cloud, asked.pipeline).leaf_part
    return segment_parts.read_each(asked, digests, place, run.parsed_leaf)


def write(asked: Asked, found: Mapping[str, bytes]) -> None:
    """Store what was found in leaves, by their digests."""
    places, contract = locations(asked.cloud, asked.pipeline), run.parts_contract(asked.data)

    def store(digest: str) -> None:
        asked.cloud.objects.write(places.leaf_part(digest, contract), found[digest], _ZIPPED)

    on_each(found, store)


def keep(asked: Asked, divided: Mapping[str, Sequence[Leaf]], found: Sequence[bytes]) -> None:
    """Keep what was found in the leaves of segments, the first ones of all, and in segments by that.

    What is not kept is read when it is needed.
    """
    left = iter(found)
    for digest, its in divided.items():
        kept = {leaf.digest: part for leaf, part in zip(its, left, strict=False)}
        write(asked, kept)
        if len(kept) < len(its):
            return
        _add_up(asked, digest, kept.values())


def carry(asked: Asked, head: DatasetHead) -> None:
    """Keep what is in segments that small ones were merged into, by that of these ones' leaves.

    A leaf of a merged segment that is no sum of such leaves is read when it is needed.
    """
    there = {each.digest for each in head.segments}
    if head.parent is None or there.issuperset(head.added):
        return
    parent = datasets.find_head(asked.cloud, asked.pipeline, head.parent)
    before = {*(each.digest for each in (parent.segments if parent else ())), *head.added}
    merged = [each.digest for each in head.segments if each.digest not in before]
    known = divide(asked, [*(before - there)])
    pieces = sorted((leaf for each in known.values() for leaf in each.leaves), key=_first)
    parts = {digest: part for each in known.values() for digest, part in each.known.items()}
    for digest, file in datasets.read_segments(asked.cloud, asked.pipeline, merged).items():
        _carry_into(asked, digest, leaves.of(file), pieces, parts)


def _carry_into(
    asked: Asked,
    digest: str,
    whole: Sequence[Leaf],
    pieces: Sequence[Leaf],
    parts: Mapping[str, PartResults],
) -> None:
    firsts = [_first(piece) for piece in pieces]
    found: dict[str, bytes] = {}
    for leaf in whole:
        first, last = leaf.file.ends()
        near = pieces[bisect_left(firsts, first) : bisect_right(firsts, last)]
        # Where a merged segment ends in a leaf, a piece may lie in both halves.
        within = [piece for piece in near if piece.digest in parts and piece.file.ends()[1] <= last]
        summands = [parts[piece.digest] for piece in within]
        edged = segment_parts.edged_by((), summands)
        if edged is None or sum(piece.objects for piece in within) != leaf.objects:
            continue
        if all(segment_parts.is_usable(asked, part, edged) for part in summands):
            with suppress(NeedsWholeError):
                found[leaf.digest] = run.leaf_of(segment_parts.between(edged, summands), asked.data)
    write(asked, found)
    if len(found) == len(whole):
        _add_up(asked, digest, found.values())


def _add_up(asked: Asked, digest: str, found: Iterable[bytes]) -> None:
    """Store what is in a segment by what was found in all of its leaves."""
    parts = [part for each in found if (part := run.parsed_leaf(each, asked.data)) is not None]
    edged = segment_parts.edged_by((), parts)
    if edged is not None and all(segment_parts.is_usable(asked, part, edged) for part in parts):
        with suppress(NeedsWholeError):
            segment_parts.write(asked, digest, run.added_up(segment_parts.between(edged, parts), asked.data))


def _first(leaf: Leaf) -> str:
    return leaf.file.ends()[0]
