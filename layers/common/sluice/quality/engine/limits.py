"""What a file may be at most: held before it is loaded, as what is beyond it takes all there is and more."""

from __future__ import annotations

from collections.abc import Iterable

# DuckDB takes some 10 kB for a column of a text file, and up to 100 kB for a key of JSON lines.
COLUMNS_MAX = 10_000
# Readers of users fail beyond it: Python's own at some 1000.
NESTING_MAX = 500


class UnreadableError(Exception):
    """A file, or a part of it, is not of its format or beyond a limit; the message says how."""

    def __init__(self, message: str, rows: int = 0) -> None:
        self.rows = rows
        super().__init__(message)


class BeyondLimitError(UnreadableError):
    """A file is beyond a limit, however it is read."""


def refuse_same(names: Iterable[str]) -> None:
    """Raise if two columns have a name in common: readers do not agree on which one it is."""
    seen: set[str] = set()
    for name in names:
        if name and name in seen:
            raise UnreadableError(f"has the column {name[:80]!r} twice")
        seen.add(name)


def refuse_many_columns(count: int) -> None:
    if count > COLUMNS_MAX:
        raise BeyondLimitError(f"has {count} columns, more than {COLUMNS_MAX}, the most that are read")
