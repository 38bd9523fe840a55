"""Find and unify mixed line ends, as concatenated files have them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_CHUNK_BYTES = 1 << 20


def differ(path: Path) -> bool:
    """Tell whether lines end in more than one of CR, LF and CR LF."""
    both = returns = feeds = 0
    for part in _parts(path):
        both += part.count(b"\r\n")
        returns += part.count(b"\r")
        feeds += part.count(b"\n")
    return sum(map(bool, (both, returns - both, feeds - both))) > 1


def unify(source: Path, target: Path) -> None:
    """Write the text with all lines ending in LF, also within quoted values."""
    with target.open("wb") as unified:
        for part in _parts(source):
            unified.write(part.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))


def _parts(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes in parts that never split a CR LF."""
    held = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            part = held + chunk
            held = b"\r" if part.endswith(b"\r") else b""
            yield part[: len(part) - len(held)]
    yield held
