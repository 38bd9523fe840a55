"""Plan how S3 puts an object together: of parts that it copies from another one, and parts to upload."""

from __future__ import annotations

from collections.abc import Iterable

from sluice.ports import Piece

# The least size that S3 takes of an upload's parts; the last may be smaller.
PART_BYTES_MIN = 5 * 1024**2
# S3 copies at most this much at once.
COPY_BYTES_MAX = 5 * 1024**3

# A range of the other object's bytes to copy, or ranges to read and bytes, which are uploaded together.
Part = range | list[range | Piece]


def plan(size_bytes: int, pieces: Iterable[slice | Piece]) -> list[Part]:
    """Return the parts of an object that consists of bytes and of slices of another object of so many bytes.

    What lies between two cuts and is too small for a part of its own is read, and so is as much as a part
    before lacks: at most ten megabytes for each cut.
    """
    parts: list[Part] = []
    loose: list[range | Piece] = []
    for copied in _joined(range(size_bytes)[each] if isinstance(each, slice) else each for each in pieces):
        if not isinstance(copied, range):
            loose.append(copied)
            continue
        lacking = max(0, PART_BYTES_MIN - sum(map(len, loose))) if loose else 0
        if len(copied) - lacking < PART_BYTES_MIN:
            loose += [copied] if copied else []
            continue
        if lacking:
            loose.append(copied[:lacking])
        parts += [loose] if loose else []
        loose = []
        parts += _copies(copied[lacking:])
    return [*parts, loose] if loose else parts


def _joined(pieces: Iterable[range | Piece]) -> list[range | Piece]:
    """Join ranges that lie together."""
    found: list[range | Piece] = []
    for piece in pieces:
        before = found[-1] if found else b""
        if isinstance(piece, range) and isinstance(before, range) and before.stop == piece.start:
            found[-1] = range(before.start, piece.stop)
        else:
            found.append(piece)
    return found


def _copies(span: range) -> list[range]:
    """Cut a range into such as can be copied, of about equal sizes: none is too small for a part."""
    count = -(-len(span) // COPY_BYTES_MAX)
    return [span[len(span) * at // count : len(span) * (at + 1) // count] for at in range(count)]
