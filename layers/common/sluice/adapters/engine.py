"""The validation engine, DuckDB: counts, in one scan of each file, what breaks the checks of a data contract.

Cells are read as text, or as what a Parquet file says they are, so that one set of expressions serves every
format. Messages name objects, columns and row numbers, never a value: the engine's own messages quote rows
and are not passed on. Values of violating cells are given as such.

After `inspect`, two relations serve whoever asks more of the data: CELLS, as the files have them, and DATA,
as their columns' types, where what is not of its type is NULL. A query of the contract's own sees no other
file, no network and no setting.
"""

# ruff: noqa: S608 - table functions take no bound values: `text` and `identifier` quote what goes into SQL

from __future__ import annotations

import itertools
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb

from sluice.adapters.engine_files import (
    REJECTS_MAX,
    DataFile,
    Storage,
    Table,
    UnreadableError,
    head,
    open_table,
)
from sluice.adapters.engine_sql import ABSENT, ROW_CHECKS, Cell, condition, identifier, listed, sql_type, text
from sluice.domain.config.models import Data
from sluice.domain.validation import (
    EXAMPLES_MAX,
    VALUE_MAX,
    Check,
    Finding,
    RowRef,
    Violation,
    checks,
    unreadable,
)

__all__ = ["CELLS", "DATA", "DataFile", "Engine", "EngineLimitError", "Inspection", "UnreadableError"]

CELLS = "cells"
DATA = "data"
# In one statement: planning takes the square of their number.
_CONDITIONS_MAX = 100
# A file of more columns is wide; and of at most so many bytes, small.
_COLUMNS_MAX = 200
_STORED_MAX_BYTES = 64 * 1024 * 1024
_SQL_MAX_S = 60.0
_INTERRUPT_EVERY_S = 0.1
# Of the free storage: the rest is for what DuckDB spills.
_INFLATED_SHARE = 0.5
_REJECTS = {
    "TOO MANY COLUMNS": "more values than the header",
    "MISSING COLUMNS": "fewer values than the header",
    "UNQUOTED VALUE": "a quote out of place",
    "INVALID ENCODING": "bytes that are no UTF-8",
}
_STATISTICS = {
    "mean": "avg({0})",
    "std": "stddev_pop({0})",
    "minimum": "min({0})",
    "maximum": "max({0})",
}


class EngineLimitError(Exception):
    """The data cannot be checked with the time, memory and storage there are; the message names a way out."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a scan of all files found: readable rows, a finding per check, and what could not be read.

    `object_rows` has the rows of each object that could be opened.
    """

    rows: int
    findings: tuple[Finding, ...]
    problems: tuple[Violation, ...]
    columns: tuple[str, ...] = ()
    object_rows: Mapping[str, int] = field(default_factory=dict)


class Engine:
    """One DuckDB in memory, for one data set; it spills to `temp_dir` and ends its work after `max_s`."""

    def __init__(
        self,
        memory_limit_mb: int,
        temp_dir: Path,
        *,
        max_s: float | None = None,
        inflated_max_bytes: int | None = None,
    ) -> None:
        self._temp_dir = temp_dir
        if inflated_max_bytes is None:
            inflated_max_bytes = int(shutil.disk_usage(temp_dir.parent).free * _INFLATED_SHARE)
        self._storage = Storage(temp_dir, inflated_max_bytes)
        self.connection = duckdb.connect(
            config={
                "memory_limit": f"{memory_limit_mb}MB",
                "temp_directory": str(temp_dir),
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "python_enable_replacements": "false",
            }
        )
        self._is_restricted = False
        self._numbers = itertools.count()
        self._clock = _Watchdog(self.connection, max_s)

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._clock.stop()
        self.connection.close()

    def open(self, file: DataFile, data: Data) -> Table:
        """One file as SQL, for questions without a contract; raises UnreadableError."""
        self._restrict([file])
        return open_table(self.query, file, data, self._storage)

    def head(self, file: DataFile) -> str:
        """How a text file begins; raises UnreadableError."""
        self._restrict([file])
        return head(self.query, *self._storage.inflated(file))

    def rejected(self) -> list[str]:
        """What of the files read since could not be split into values, a sentence for each kind."""
        return [said for said, _ in self._rejected()]

    def inspect(self, files: Sequence[DataFile], data: Data) -> Inspection:
        """Hold every row of every file against the contract; once for an engine."""
        self._restrict(files)
        asked = checks(data)
        tally = _Tally(asked)
        tables = []
        for file in files:
            try:
                table = open_table(self.query, file, data, self._storage)
                tables.append(self._count(table, asked, tally))
            except UnreadableError as error:
                tally.problems.append(unreadable(f"{file.key} {error}", error.rows))
        columns = [name for name in data.columns if any(name in table.cells for table in tables)]
        self._create_relations(tables, data, columns)
        for check in asked:
            try:
                self._measure(check, tables, tally)
            except UnreadableError as error:
                # A part of a file that no earlier check had to read.
                tally.problems.append(unreadable(f"a file {error}"))
        return tally.inspection(tuple(columns))

    @contextmanager
    def guarded(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The connection, for more questions about the data; raises EngineLimitError as `inspect` does."""
        try:
            with self._limits():
                yield self.connection
        except duckdb.Error as error:
            # It may quote the data.
            raise EngineLimitError(f"the data could not be profiled ({type(error).__name__})") from None

    def _restrict(self, files: Sequence[DataFile]) -> None:
        """From now on only these files can be read; the first call counts."""
        if self._is_restricted:
            return
        self._is_restricted = True
        paths = ", ".join(text(str(file.path)) for file in files)
        self.connection.execute(f"SET allowed_paths = [{paths}]")
        self.connection.execute(f"SET allowed_directories = [{text(f'{self._temp_dir}/')}]")
        self.connection.execute("SET enable_external_access = false")
        self.connection.execute("SET lock_configuration = true")

    # ---------------------------------------------------------------- row by row, in one scan of each file

    def _count(self, table: Table, asked: Sequence[Check], tally: _Tally) -> Table:
        """Count what breaks each check of rows; returns the table as it is best read from now on."""
        self._drop_rejects()
        if len(table.cells) > _COLUMNS_MAX and table.file.path.stat().st_size <= _STORED_MAX_BYTES:
            table = self._stored(table)
        missing = {check.column for check in asked if check.kind == "column"} - table.cells.keys()
        conditions = {
            check: condition(check, _cell(table, check.column))
            for check in asked
            if check.kind in ROW_CHECKS and check.column not in missing
        }
        rows, broken = self._count_broken(table, list(conditions.values()))
        rejected = self._rejected()
        tally.rows += rows
        tally.object_rows[table.file.key] = rows
        tally.problems += [unreadable(f"{table.file.key} {said}", count) for said, count in rejected]
        for check in asked:
            if check.kind == "column" and check.column in missing:
                tally.add(check, 1, [RowRef(table.file.key, 1)])
            if check.kind == "extra":
                tally.extra |= set(table.names) - set(check.limit)
        for check, count in zip(conditions, broken, strict=True):
            # The numbers of rows after a malformed line would be wrong.
            wanted = 0 if rejected else min(count, tally.room(check))
            tally.add(check, count, self._examples(table, check, conditions[check], wanted))
        return table

    def _stored(self, table: Table) -> Table:
        """A wide file in DuckDB's own columns, if memory allows: it is read a few columns at a time."""
        name = f"stored_{next(self._numbers)}"
        values = ", ".join(f"{cell.raw} AS v{index}" for index, cell in enumerate(table.cells.values()))
        try:
            self.query(f"CREATE TEMP TABLE {name} AS SELECT {values} FROM {table.relation}")
        except EngineLimitError:
            if self._clock.is_over:
                raise
            return table
        cells = {
            column: Cell(f"v{index}", cell.native) for index, (column, cell) in enumerate(table.cells.items())
        }
        return replace(table, reader=lambda _: name, cells=cells, shape=(name,))

    def _count_broken(self, table: Table, conditions: Sequence[str]) -> tuple[int, list[int]]:
        """All rows, and those that meet each condition; what was malformed is in the rejects after it."""
        rows, broken = 0, list[int]()
        for start in range(0, max(len(conditions), 1), _CONDITIONS_MAX):
            part = conditions[start : start + _CONDITIONS_MAX]
            counts = "".join(f", count(*) FILTER (WHERE {condition})" for condition in part)
            ((rows, *counted),) = self.query(f"SELECT count(*){counts} FROM {table.relation}")
            broken += counted
        return rows, broken

    def _examples(self, table: Table, check: Check, broken: str, wanted: int) -> list[RowRef]:
        if not wanted:
            return []
        value = f"left({_cell(table, check.column).text}, {VALUE_MAX + 1})"
        rows = (
            f"SELECT row_number() OVER () AS row, {value} AS value, {broken} AS broken FROM {table.relation}"
        )
        found = self.query(f"SELECT row, value FROM ({rows}) WHERE broken ORDER BY row LIMIT {wanted}")
        return [RowRef(table.file.key, row, value) for row, value in found]

    def _drop_rejects(self) -> None:
        for name in ("reject_errors", "reject_scans"):
            self.connection.execute(f"DROP TABLE IF EXISTS {name}")

    def _rejected(self) -> list[tuple[str, int]]:
        """What the last scan could not split into values: a sentence and a count for each kind."""
        known = self.query("SELECT 1 FROM duckdb_tables() WHERE table_name = 'reject_errors'")
        if not known:
            return []
        kinds = self.query(
            "SELECT error_type::VARCHAR, count(DISTINCT line), min(line) FROM reject_errors "
            "GROUP BY ALL ORDER BY min(line)"
        )
        return [
            (
                f"has {'at least ' if count >= REJECTS_MAX else ''}{count} lines with "
                f"{_REJECTS.get(kind, 'values that cannot be told apart')}, the first in line {line}",
                count,
            )
            for kind, count, line in kinds
        ]

    # ---------------------------------------------------------------- over all files at once

    def _create_relations(self, tables: Sequence[Table], data: Data, columns: Sequence[str]) -> None:
        shapes: dict[tuple[Any, ...], list[Table]] = defaultdict(list)
        for table in tables:
            shapes[table.shape].append(table)
        same = list(shapes.values())
        for name, typed in ((CELLS, False), (DATA, True)):
            selects = [_select(tables, data, columns, typed=typed) for tables in same]
            body = " UNION ALL ".join(selects) or "SELECT 1 AS nothing WHERE false"
            self.connection.execute(f"CREATE VIEW {name} AS {body}")

    def _measure(self, check: Check, tables: Sequence[Table], tally: _Tally) -> None:
        known = any(check.column in table.cells for table in tables)
        match check.kind:
            case "sql":
                self._count_query(check, tally)
            case "unique":
                self._count_repeats(tables, check, [check.column or ""], tally)
            case "key":
                self._count_repeats(tables, check, check.limit, tally)
            case "extra":
                tally.values[check] = tuple(sorted(tally.extra))
            case "uniqueness" | "distinct_count" | "allowed_share" | "freshness" | "quantile" if known:
                tally.values[check] = self._whole_column(check)
            case "mean" | "std" | "minimum" | "maximum" if known:
                tally.values[check] = self._statistic(check)
            case "distinct_count":
                tally.values[check] = 0

    def _whole_column(self, check: Check) -> Any:
        """A figure that must see each value, in a statement of its own that spills."""
        column = identifier(check.column or "")
        there = f"{DATA} WHERE {column} IS NOT NULL"
        match check.kind:
            case "distinct_count":
                sql = f"SELECT count(*) FROM (SELECT DISTINCT {column} FROM {there})"
            case "uniqueness":
                sql = f"SELECT count(*) / sum(n) FROM (SELECT count(*) AS n FROM {there} GROUP BY {column})"
            case "allowed_share":
                among = f"count(*) FILTER (WHERE {column} IN ({listed(check.argument, check.type)}))"
                sql = f"SELECT {among} / nullif(count(*), 0) FROM {there}"
            case "freshness":
                sql = f"SELECT strftime(max({column}), '%Y-%m-%dT%H:%M:%S') FROM {DATA}"
            case _:
                # The nearest rank; a sort spills where an aggregate would hold all values in memory.
                ((count,),) = self.query(f"SELECT count(*) FROM {there}")
                rank = max(0, -int(-check.argument * count // 1) - 1)
                sql = f"SELECT {column} FROM {there} ORDER BY {column} LIMIT 1 OFFSET {rank}"
        return next((value for (value,) in self.query(sql)), None)

    def _statistic(self, check: Check) -> float | None:
        aggregate = _STATISTICS[check.kind].format(identifier(check.column or ""))
        try:
            with self._limits():
                value: float | None = self.connection.execute(f"SELECT {aggregate} FROM {DATA}").fetchall()[
                    0
                ][0]
        except duckdb.OutOfRangeException:
            return float("inf")
        return value

    def _count_repeats(
        self, tables: Sequence[Table], check: Check, key: Sequence[str], tally: _Tally
    ) -> None:
        """Rows whose values occurred before, in a statement of its own: a grouping that spills."""
        if not all(any(column in table.cells for table in tables) for column in key):
            return
        columns = ", ".join(map(identifier, key))
        there = " AND ".join(f"{identifier(column)} IS NOT NULL" for column in key)
        groups = f"SELECT {columns}, count(*) AS n FROM {CELLS} WHERE {there} GROUP BY {columns} HAVING n > 1"
        ((repeats,),) = self.query(f"SELECT coalesce(sum(n) - count(*), 0)::BIGINT FROM ({groups})")
        examples = self._repeated_rows(tables, key, groups) if repeats else []
        tally.add(check, repeats, examples)

    def _repeated_rows(self, tables: Sequence[Table], key: Sequence[str], groups: str) -> list[RowRef]:
        columns = ", ".join(map(identifier, key))
        rows = " UNION ALL ".join(
            f"SELECT {index} AS file, row_number() OVER () AS row, "
            + ", ".join(f"{_cell(table, column).raw} AS {identifier(column)}" for column in key)
            + f" FROM {table.relation}"
            for index, table in enumerate(tables)
        )
        value = f"left(CAST({columns} AS VARCHAR), {VALUE_MAX + 1})" if len(key) == 1 else "NULL"
        found = self.query(
            f"WITH repeated AS ({groups} ORDER BY {columns} LIMIT {EXAMPLES_MAX}), "
            f"numbered AS (SELECT file, row, {value} AS value, "
            f"row_number() OVER (PARTITION BY {columns} ORDER BY file, row) AS occurrence "
            f"FROM ({rows}) SEMI JOIN repeated USING ({columns})) "
            "SELECT file, row, value FROM numbered WHERE occurrence > 1 "
            f"ORDER BY file, row LIMIT {EXAMPLES_MAX}"
        )
        return [RowRef(tables[file].file.key, row, value) for file, row, value in found]

    def _count_query(self, check: Check, tally: _Tally) -> None:
        """Count the rows that a query of the contract's own returns."""
        wrapped = f"SELECT count(*) FROM (\n{check.argument}\n)"
        try:
            _refuse_statements(check.argument)
            _refuse_statements(wrapped)
            with self._clock.within(_SQL_MAX_S), self._limits():
                ((rows,),) = self.connection.execute(wrapped).fetchall()
            tally.add(check, rows, [])
        except EngineLimitError:
            if self._clock.is_over:
                raise
            tally.errors[check] = f"it needs more than {_SQL_MAX_S:.0f} s, or more memory than there is"
        except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException) as error:
            # These quote the query; all others may quote the data.
            tally.errors[check] = str(error).splitlines()[0]
        except duckdb.Error as error:
            tally.errors[check] = f"it failed on these data ({type(error).__name__})"

    # ---------------------------------------------------------------- limits

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a statement; raises UnreadableError, or EngineLimitError."""
        try:
            with self._limits():
                rows: list[tuple[Any, ...]] = self.connection.execute(sql).fetchall()
        except duckdb.Error as error:
            raise UnreadableError("cannot be read: it is not of the format the contract names") from error
        return rows

    @contextmanager
    def _limits(self) -> Iterator[None]:
        try:
            yield
        except duckdb.InterruptException:
            raise EngineLimitError(
                f"the data could not be checked within {self._clock.max_s:.0f} s: give the function more "
                "memory, and so more processors, or the pipeline smaller data sets"
            ) from None
        except duckdb.OutOfMemoryException:
            raise EngineLimitError(
                "checking the data needs more than the memory and ephemeral storage there are: give the "
                "function more of them (MemorySize, EphemeralStorage), or the pipeline smaller data sets"
            ) from None


class _Watchdog:
    """Interrupts a connection when its time is over, and again should it go on."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, max_s: float | None) -> None:
        self.max_s = max_s if max_s is not None else float("inf")
        self._connection = connection
        self._end = self._now_end = time.monotonic() + self.max_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._end

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """A shorter time for what is done meanwhile."""
        self._now_end = min(self._end, time.monotonic() + seconds)
        try:
            yield
        finally:
            self._now_end = self._end

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(_INTERRUPT_EVERY_S):
            if time.monotonic() >= self._now_end:
                self._connection.interrupt()


class _Tally:
    """Findings as they add up over the files."""

    def __init__(self, asked: Iterable[Check]) -> None:
        self.rows = 0
        self.object_rows: dict[str, int] = {}
        self.problems: list[Violation] = []
        self.extra: set[str] = set()
        self.values: dict[Check, Any] = {}
        self.errors: dict[Check, str] = {}
        self._checks = tuple(asked)
        self._counts: dict[Check, int] = defaultdict(int)
        self._examples: dict[Check, list[RowRef]] = defaultdict(list)

    def add(self, check: Check, rows: int, examples: Iterable[RowRef]) -> None:
        self._counts[check] += rows
        self._examples[check] += list(examples)[: self.room(check)]

    def room(self, check: Check) -> int:
        """How many more examples of the check are wanted."""
        return EXAMPLES_MAX - len(self._examples[check])

    def inspection(self, columns: tuple[str, ...]) -> Inspection:
        findings = tuple(
            Finding(
                check,
                self._counts[check],
                tuple(self._examples[check]),
                self.values.get(check),
                self.errors.get(check),
            )
            for check in self._checks
        )
        return Inspection(self.rows, findings, tuple(self.problems), columns, self.object_rows)


def _cell(table: Table, column: str | None) -> Cell:
    return table.cells.get(column or "", ABSENT)


def _select(tables: Sequence[Table], data: Data, columns: Sequence[str], *, typed: bool) -> str:
    """Tables of one shape as one SELECT of the columns, in the contract's names."""
    cells: Mapping[str, Cell] = tables[0].cells
    values = []
    for name in columns:
        cell, column = cells.get(name, ABSENT), data.columns[name]
        if typed:
            value = f"CAST({cell.typed(column.type, column.format)} AS {sql_type(column.type)})"
        elif column.format is not None:
            # In ISO 8601, so that nobody else need know the contract's own spelling.
            value = f"coalesce(CAST({cell.typed(column.type, column.format)} AS VARCHAR), {cell.text})"
        else:
            value = cell.raw
        values.append(f"{value} AS {identifier(name)}")
    relation = tables[0].reader([table.file.path for table in tables])
    return f"SELECT {', '.join(values) or '1 AS nothing'} FROM {relation}"


def _refuse_statements(sql: str) -> None:
    """Raise ParserException unless it is one SELECT."""
    kinds = [statement.type for statement in duckdb.extract_statements(sql)]
    if kinds != [duckdb.StatementType.SELECT]:
        raise duckdb.ParserException("it is not one SELECT")
