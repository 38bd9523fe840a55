"""Query all files of a data set as one relation."""

# ruff: noqa: S608 - expressions come from `sql`, which quotes names and values

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sluice.domain.config.models import Data
from sluice.quality.engine.files import Table
from sluice.quality.engine.sql import keyed, named
from sluice.quality.engine.store import Store


class Whole:
    """All files as one relation."""

    def __init__(
        self, tables: Mapping[int, Table], data: Data, store: Store | None, numbers: range | None = None
    ) -> None:
        """Relate files by their numbers; `numbers` are theirs if the store has others' rows too."""
        self._tables = tables
        self._data = data
        self._columns = data.columns
        self._store = store
        self._numbers = numbers

    def part(self, numbers: range) -> Whole:
        """Return some of the files, to `select` from."""
        tables = {number: table for number, table in self._tables.items() if number in numbers}
        return Whole(tables, self._data, self._store, numbers)

    def key(self, number: int) -> str:
        """Return the object key of a file."""
        return self._tables[number].file.key

    def has(self, columns: Iterable[str]) -> bool:
        """Tell whether some file has each column."""
        return all(any(name in table.cells for table in self._tables.values()) for name in columns)

    def select(self, names: Sequence[str]) -> str:
        """Write SQL for columns of all rows in their types."""
        if self._store is not None:
            return self._store.select(names, self._numbers)
        shapes: dict[tuple[Any, ...], list[Table]] = defaultdict(list)
        for table in self._tables.values():
            shapes[table.shape].append(table)
        selects = [
            f"SELECT {named(same[0].cells, self._columns, names)} "
            f"FROM {same[0].reader([table.file.path for table in same])}"
            for same in shapes.values()
        ]
        return " UNION ALL ".join(selects) or "SELECT 1 AS nothing WHERE false"

    def numbered(self, names: Sequence[str]) -> str:
        """Write the same as k0, k1, ..., with `object`, the row's file, and `row`, its number there."""
        if self._store is not None:
            return self._store.numbered(names)
        return " UNION ALL ".join(
            f"SELECT {number} AS object, {table.row} AS row, "
            f"{keyed(table.cells, self._columns, names)} FROM {table.relation}"
            for number, table in self._tables.items()
        )
