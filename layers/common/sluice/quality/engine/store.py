"""Store text files in DuckDB's columns: read and cast them once, query them often.

The contract's columns are stored with their types. If a cell of a row has another type or breaks a check,
`written` keeps the text of all the row's cells that are not strings; for most rows it is NULL.
"""

# ruff: noqa: S608 - expressions come from `sql`, which quotes names and values

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sluice.domain.config.models import Column
from sluice.quality.engine.database import Database
from sluice.quality.engine.files import Table
from sluice.quality.engine.sql import ABSENT, Cell, condition, is_of_values, keyed, named, sql_type, text
from sluice.quality.validation import Check

# Planning time grows with the square of the casts in a statement, so cells of more columns stay text.
_TYPED_MAX = 200
_FILE = "stored"


class Store:
    """The cells of a data set in one table, in memory or in a file that the database may open."""

    def __init__(
        self,
        database: Database,
        columns: Mapping[str, Column],
        asked: Sequence[Check],
        file: Path | None = None,
    ) -> None:
        """Make a store; `asked` are the checks to come, and `file` is in the database's own folder."""
        self._database = database
        self._columns = columns
        self._asked = [check for check in asked if is_of_values(check)]
        self._is_typed = len(columns) <= _TYPED_MAX
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            database.query(f"ATTACH {text(str(file))} AS {_FILE}")
        self._table = f"{_FILE if file else 'memory'}.cells"
        self._firsts = f"{_FILE if file else 'memory'}.firsts"
        types = "".join(f", v{index} {self._type(column)}" for index, column in enumerate(columns.values()))
        database.query(f"CREATE TABLE {self._table} (object UINTEGER{types}, written VARCHAR[])")
        database.query(f"CREATE TABLE {self._firsts} (object UINTEGER, first BIGINT)")
        self.cells = dict(self._cells())
        self.row = f"rowid - (SELECT first FROM {self._firsts} AS f WHERE f.object = cells.object) + 1"

    def add(self, tables: Mapping[int, Table]) -> str:
        """Read the cells of files of one shape, by their numbers; returns SQL for a FROM clause."""
        table = next(iter(tables.values()))
        paths = [table.file.path for table in tables.values()]
        values = "".join(f"{self._value(name, table)}, " for name in self._columns)
        self._database.query(
            f"INSERT INTO {self._table} SELECT {_number(tables)}, {values}{self._written(table)} "
            f"FROM {table.reader(paths)}"
        )
        relation = f"{self._table} WHERE object BETWEEN {min(tables)} AND {max(tables)}"
        self._database.query(
            f"INSERT INTO {self._firsts} SELECT object, min(rowid) FROM {relation} GROUP BY object"
        )
        return relation

    def select(self, names: Sequence[str], numbers: range | None = None) -> str:
        """Write SQL for columns of all rows, or of files with some numbers, in their types.

        A cell of another type is NULL.
        """
        within = f" WHERE object BETWEEN {numbers[0]} AND {numbers[-1]}" if numbers else ""
        return f"SELECT {named(self.cells, self._columns, names)} FROM {self._table}{within}"

    def numbered(self, names: Sequence[str]) -> str:
        """Write the same as k0, k1, ..., with `object`, the row's file, and `row`, its number there."""
        return (
            f"SELECT object, {self.row} AS row, {keyed(self.cells, self._columns, names)} FROM {self._table}"
        )

    def drop(self) -> None:
        self._database.query(f"DROP TABLE {self._table}")
        self._database.query(f"DROP TABLE {self._firsts}")

    def _type(self, column: Column) -> str:
        return sql_type(column.type) if self._is_typed else "VARCHAR"

    def _value(self, name: str, table: Table) -> str:
        cell, column = table.cells.get(name, ABSENT), self._columns[name]
        return cell.typed(column.type, column.format) if self._is_typed else cell.text

    def _written(self, table: Table) -> str:
        cells = {
            name: table.cells.get(name, ABSENT)
            for name, column in self._columns.items()
            if self._type(column) != "VARCHAR"
        }
        if not cells:
            return "NULL"
        wrong = [
            cell.invalid(self._columns[name].type, self._columns[name].format) for name, cell in cells.items()
        ]
        wrong += [condition(check, cells[check.column]) for check in self._asked if check.column in cells]
        return f"CASE WHEN {' OR '.join(wrong)} THEN [{', '.join(cell.text for cell in cells.values())}] END"

    def _cells(self) -> Iterator[tuple[str, Cell]]:
        place = 0
        for index, (name, column) in enumerate(self._columns.items()):
            native = self._type(column)
            if native == "VARCHAR":
                yield name, Cell(f"v{index}")
            else:
                place += 1
                yield name, Cell(f"v{index}", native, f"written[{place}]")


def _number(tables: Mapping[int, Table]) -> str:
    """Write SQL for the number of a row's file."""
    numbers = list(tables)
    if len(numbers) == 1:
        return str(numbers[0])
    paths = ", ".join(text(str(table.file.path)) for table in tables.values())
    return f"list_extract({numbers}, list_position([{paths}], filename))"
