"""Limits of files, checked before a file is loaded: beyond them it would exhaust memory or time."""

from __future__ import annotations

from collections.abc import Iterable

# DuckDB needs some 10 kB for a column of a text file, and up to 100 kB for a key of JSON lines.
COLUMNS_MAX = 10_000
# Users' readers fail beyond it: Python's at some 1000.
NESTING_MAX = 500


class UnreadableError(Exception):
    """A file or a part of it does not have its format, or exceeds a limit; the message says how."""

    def __init__(self, message: str, rows: int = 0) -> None:
        self.rows = rows
        super().__init__(message)


class BeyondLimitError(UnreadableError):
    """A file exceeds a limit, however it is read."""


def refuse_same(names: Iterable[str]) -> None:
    """Raise if two columns have the same name: readers disagree about which one it means."""
    seen: set[str] = set()
    for name in names:
        if name and name in seen:
            raise UnreadableError(f"has the column {name[:80]!r} twice")
        seen.add(name)


def refuse_many_columns(count: int) -> None:
    if count > COLUMNS_MAX:
        raise BeyondLimitError(f"has {count} columns, more than {COLUMNS_MAX}, the most that are read")
