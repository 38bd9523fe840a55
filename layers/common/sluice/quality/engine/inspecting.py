"""Count with DuckDB what breaks the checks of a data contract.

Text files are read once, into a table with their columns' types; Parquet files are read in place. The same
expressions serve both. Messages name objects, columns and row numbers, never a value: DuckDB's own messages
quote rows, so they are not passed on. Values of violating cells are returned separately.

After `inspect`, the relation DATA serves further questions: all rows, with their columns' types; values of
another type are NULL. A contract's query sees no other file, no network and no setting.
"""

# ruff: noqa: S608 - table functions take no bound values: `text` and `identifier` quote what goes into SQL

from __future__ import annotations

import math
import shutil
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from itertools import accumulate, groupby
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import duckdb

from sluice.domain.config import patterns
from sluice.domain.config.checks import KINDS
from sluice.domain.config.models import Data
from sluice.lazy import dataclass
from sluice.quality.engine.database import STATEMENT_ERRORS, Database, EngineLimitError
from sluice.quality.engine.files import Storage, Table, head, open_table
from sluice.quality.engine.limits import COLUMNS_MAX, UnreadableError
from sluice.quality.engine.reader import (
    Part,
    Reader,
    Rejected,
    Tell,
    rejected,
    tell_nobody,
    with_line_ends_alike,
)
from sluice.quality.engine.sql import (
    ABSENT,
    Cell,
    condition,
    identifier,
    is_beyond_doubles,
    is_of_rows,
    listed,
    scaled,
)
from sluice.quality.engine.store import Store
from sluice.quality.engine.tally import Inspection, Tally
from sluice.quality.engine.whole import Whole
from sluice.quality.validation import (
    EXAMPLES_MAX,
    VALUE_MAX,
    Check,
    DataFile,
    RowRef,
    checks,
    twins,
    unreadable,
)

_Read = TypeVar("_Read")
DATA = "data"
# Conditions in one statement: planning time grows with their square, but each statement splits text again.
_CONDITIONS_MAX = 100
_CONDITIONS_MAX_OF_TEXT = 400
# Store text of more than this share of the memory in a file: within DuckDB it may take a multiple.
_IN_MEMORY_SHARE = 0.33
# Memory for a column while it is stored, even with few rows: several vectors of 2048 strings.
_COLUMN_BYTES = 10 * 2048 * 16
_STORE_FILE = "cells.duckdb"
_REPEATED = "repeated"
_SQL_MAX_S = 60.0
# Share of the free storage; DuckDB spills to the rest.
_INFLATED_SHARE = 0.5
_BOUNDS, _STD = frozenset({"min", "max"}), "stddev_pop"


class Engine:
    """An engine for one data set, which spills to `temp_dir` and stops after `max_s`."""

    def __init__(
        self,
        memory_limit_mb: int,
        temp_dir: Path,
        *,
        max_s: float | None = None,
        inflated_max_bytes: int | None = None,
    ) -> None:
        if inflated_max_bytes is None:
            inflated_max_bytes = int(shutil.disk_usage(temp_dir.parent).free * _INFLATED_SHARE)
        self._storage = Storage(temp_dir, inflated_max_bytes)
        self._database = Database(memory_limit_mb, temp_dir, max_s=max_s)
        self._leaves: list[Callable[[], Inspection]] = []

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._database.close()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a statement; raises UnreadableError or EngineLimitError."""
        return self._database.query(sql)

    def open(self, file: DataFile, data: Data) -> Table:
        """Open one file as SQL, for questions without a contract; raises UnreadableError."""
        self._database.restrict([file.path])
        return open_table(self.query, file, data, self._storage)

    def head(self, file: DataFile) -> str:
        """Read the beginning of a text file; raises UnreadableError."""
        self._database.restrict([file.path])
        return head(self.query, *self._storage.inflated(file))

    def with_line_ends_alike(self, file: DataFile, read: Callable[[], _Read]) -> _Read:
        """Read a text file, or a copy with unified line ends if they are mixed."""
        return with_line_ends_alike(self._storage, file, read)

    def rejected(self) -> list[str]:
        """Return a sentence for each kind of lines, read so far, that could not be split into values."""
        return [kind.said for kinds in rejected(self.query).values() for kind in kinds]

    def inspect(
        self,
        files: Sequence[DataFile],
        data: Data,
        *,
        now: datetime | None = None,
        tell: Tell = tell_nobody,
        leaf_files: Sequence[int] = (),
    ) -> Inspection:
        """Check every row of every file by the contract; once for an engine. `now` is for freshness.

        `tell` gets the keys of the objects being read, or none, whenever they change. `leaf_files` says
        how many of the files, in their order, each leaf has: see `leaf`. Without it all files are one.
        """
        leaf_files = leaf_files or (len(files),)
        self.now, self._tell = now, tell
        self._database.restrict([file.path for file in files])
        asked = checks(data)
        memory_mb = self._database.memory_limit_mb
        if data.format == "parquet" or len(data.columns) * _COLUMN_BYTES > memory_mb * 1e6:
            return self._inspect(files, data, asked, None, leaf_files)
        size_mb = sum(file.path.stat().st_size for file in files) / 1e6
        if size_mb <= memory_mb * _IN_MEMORY_SHARE:
            store = Store(self._database, data.columns, asked)
            try:
                return self._inspect(files, data, asked, store, leaf_files)
            except EngineLimitError:
                # Inflated or cast, text may have many times its size.
                if self._database.is_time_over:
                    raise
                store.drop()
        file = self._database.temp_dir / _STORE_FILE
        store = Store(self._database, data.columns, asked, file)
        return self._inspect(files, data, asked, store, leaf_files)

    def leaf(self, number: int) -> Inspection:
        """Return what was found in a leaf, to which the relation DATA is confined from now on.

        It has to be one of several, each of which may be asked for once.
        """
        return self._leaves[number]()

    def _inspect(
        self,
        files: Sequence[DataFile],
        data: Data,
        asked: Sequence[Check],
        store: Store | None,
        leaf_files: Sequence[int],
    ) -> Inspection:
        reader = Reader(self._database, self._storage, files, data, store, self._tell)
        errors = dict(self._refused_patterns(asked))
        tallies = [Tally(asked, errors) for _ in leaf_files]
        tally_of = [tally for tally, size in zip(tallies, leaf_files, strict=True) for _ in range(size)]
        tables: dict[int, Table] = {}
        rejects: dict[int, list[Rejected]] = {}
        try:
            for part in reader.parts():
                try:
                    rejects |= self._count(part, reader, asked, errors, tally_of)
                    tables |= {number: table.without_names() for number, table in part.tables.items()}
                except UnreadableError as error:
                    reader.unreadable |= dict.fromkeys(part.tables, error)
        except EngineLimitError as error:
            error.keys = reader.culprits(max_s=self._database.max_s if self._database.is_time_over else None)
            raise
        for number, (file, tally) in enumerate(zip(files, tally_of, strict=True)):
            tally.problems += [
                unreadable(f"{file.key} {kind.said}", kind.lines, object=file.key)
                for kind in rejects.get(number, ())
            ]
            if (wrong := reader.unreadable.get(number)) is not None:
                tally.problems.append(unreadable(f"{file.key} {wrong}", wrong.rows, object=file.key))
        whole = Whole(tables, data, store)
        if len(tallies) == 1:
            return self._measured(whole, tallies[0], asked, data.columns)
        ends = [*accumulate(leaf_files)]
        self._leaves = [
            partial(self._measured, whole.part(range(end - size, end)), tally, asked, data.columns)
            for end, size, tally in zip(ends, leaf_files, tallies, strict=True)
        ]
        return self._measured(whole, Tally.sum(asked, errors, tallies), asked, data.columns)

    def _measured(
        self, whole: Whole, tally: Tally, asked: Sequence[Check], columns: Collection[str]
    ) -> Inspection:
        """Complete what was counted in files by what is measured of their rows together."""
        there = [name for name in columns if whole.has([name])]
        self.query(f"CREATE OR REPLACE VIEW {DATA} AS {whole.select(there)}")
        for check in asked:
            try:
                self._measure(check, whole, tally)
            except UnreadableError as error:
                # No earlier check read this part of the file.
                tally.problems.append(unreadable(f"a file {error}"))
        return tally.inspection(tuple(there))

    @contextmanager
    def guarded(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield the connection for more questions; raises EngineLimitError as `inspect` does."""
        try:
            with self._database.limits():
                yield self._database.connection
        except duckdb.Error as error:
            # The message may quote the data.
            raise EngineLimitError(f"the data could not be profiled ({type(error).__name__})") from None

    # ---------------------------------------------------------------- row by row, in one scan of each part

    def _refused_patterns(self, asked: Sequence[Check]) -> Iterator[tuple[Check, str]]:
        """Yield the checks whose pattern DuckDB refuses: a contract may be older than the rule about them."""
        for check in asked:
            if check.kind == "pattern":
                try:
                    self._database.connection.execute("SELECT regexp_full_match('', ?)", [check.limit])
                except duckdb.Error:
                    problem = patterns.problem(check.limit) or "is none of the validation engine (RE2)"
                    yield check, f"it {problem}"

    def _count(
        self,
        part: Part,
        reader: Reader,
        asked: Sequence[Check],
        errors: Collection[Check],
        tally_of: Sequence[Tally],
    ) -> dict[int, list[Rejected]]:
        """Count the rows that break each check, in the tally of each file, but for checks with errors.

        Returns the lines that could not be split into values.
        """
        missing = {check.column for check in asked if check.kind == "column"} - part.cells.keys()
        conditions = {
            check: condition(check, _cell(part, check.column))
            for check in asked
            if is_of_rows(check) and check.column not in missing and check not in errors
        }
        nothing = {name: cell.missing for name, cell in part.cells.items()}
        counted = self._count_rows(part, {*conditions.values(), *nothing.values()})
        rejected = reader.rejected(part)
        for number, table in part.tables.items():
            rows, counts = counted.get(number, (0, defaultdict(int)))
            tally = tally_of[number]
            tally.rows += rows
            tally.object_rows[table.file.key] = rows
            for name, sql in nothing.items():
                tally.written[name] += rows - counts[sql]
            _count_columns(table, missing, asked, tally)
            for check, sql in conditions.items():
                tally.add(check, table.file.key, counts[sql], [])
        # Row numbers after a malformed line would be wrong.
        known = counted.keys() - rejected.keys()
        for check, sql in conditions.items():
            broken = [number for number in sorted(known) if counted[number][1][sql]]
            for tally, numbers in groupby(broken, key=tally_of.__getitem__):
                if room := tally.room(check):
                    tally.blame(check, {}, self._examples(part, check, sql, [*numbers], room))
        return rejected

    def _count_rows(self, part: Part, conditions: Iterable[str]) -> dict[int, tuple[int, dict[str, int]]]:
        """Count all rows of each file, and those that meet each condition; omits files without rows."""
        rows: dict[int, int] = {}
        counts: dict[int, dict[str, int]] = defaultdict(dict)
        wanted = sorted(conditions)
        only = next(iter(part.tables)) if len(part.tables) == 1 else None
        number, grouped = (part.number, "GROUP BY ALL") if only is None else (str(only), "")
        at_once = _CONDITIONS_MAX_OF_TEXT if part.is_text else _CONDITIONS_MAX
        for start in range(0, max(len(wanted), 1), at_once):
            of_these = wanted[start : start + at_once]
            sums = "".join(f", count_if({condition})" for condition in of_these)
            found = self.query(f"SELECT {number}, count(*){sums} FROM {part.relation} {grouped}")
            for file, all_rows, *met in found:
                rows[file] = all_rows
                # Without rows it is NULL.
                counts[file] |= zip(of_these, (count or 0 for count in met), strict=True)
        return {file: (rows[file], counts[file]) for file in rows}

    def _examples(
        self, part: Part, check: Check, broken: str, known: Collection[int], wanted: int
    ) -> list[RowRef]:
        value = f"left({_cell(part, check.column).text}, {VALUE_MAX + 1})"
        rows = (
            f"SELECT {part.number} AS file, {part.row} AS number, {value} AS value, {broken} AS broken "
            f"FROM {part.relation}"
        )
        found = self.query(
            f"SELECT file, number, value FROM ({rows}) WHERE broken AND file IN ({_numbers(known)}) "
            f"ORDER BY file, number LIMIT {wanted}"
        )
        return [RowRef(part.tables[file].file.key, row, said) for file, row, said in found]

    # ---------------------------------------------------------------- over all files at once

    def _measure(self, check: Check, whole: Whole, tally: Tally) -> None:
        kind = KINDS[check.kind]
        if kind.measure is not None:
            tally.figures[check] = kind.measure(check, _Ask(self, check, whole, tally))
            tally.values[check] = kind.value(tally.figures[check], self.now)

    def moment(self, column: str, aggregate: str) -> float | None:
        """Return an aggregate of a column's numbers, even if their sum exceeds a double's range."""
        ((least, greatest),) = self.query(f"SELECT min({column}), max({column}) FROM {DATA}")
        if aggregate in _BOUNDS or least is None:
            found: float | None = {"min": least, "max": greatest}.get(aggregate)
            return found
        value = self._aggregate(f"{aggregate}({column})")
        if is_beyond_doubles(value, value if aggregate == _STD else None, least, greatest):
            (sql,) = scaled([aggregate], column, max(abs(least), abs(greatest)))
            value = self._aggregate(sql)
        return value

    def _aggregate(self, sql: str) -> float:
        try:
            with self._database.limits():
                ((value,),) = self._database.connection.execute(f"SELECT {sql} FROM {DATA}").fetchall()
        except duckdb.OutOfRangeException:
            return math.inf
        return float(value)

    def count_repeats(self, whole: Whole, check: Check, key: Sequence[str], tally: Tally) -> None:
        """Count rows whose values occurred before, in a separate statement: a grouping that spills."""
        if not whole.has(key):
            return
        names = [f"k{index}" for index, _ in enumerate(key)]
        columns = dict(zip(names, map(identifier, key), strict=True))
        there = " AND ".join(f"{column} IS NOT NULL" for column in columns.values())
        selected = ", ".join(f"{column} AS {name}" for name, column in columns.items())
        self.query(
            f"CREATE OR REPLACE TEMP TABLE {_REPEATED} AS SELECT {selected}, count(*) AS rows "
            f"FROM {DATA} WHERE {there} GROUP BY ALL HAVING count(*) > 1"
        )
        ((repeats,),) = self.query(f"SELECT coalesce(sum(rows) - count(*), 0)::BIGINT FROM {_REPEATED}")
        if not repeats:
            return
        keys, rows = ", ".join(names), whole.numbered(key)
        involved = self.query(
            f"SELECT object, count(*) FROM ({rows}) SEMI JOIN {_REPEATED} USING ({keys}) GROUP BY object"
        )
        few = f"SELECT * FROM {_REPEATED} ORDER BY {keys} LIMIT {EXAMPLES_MAX}"
        value = f"left(CAST(k0 AS VARCHAR), {VALUE_MAX + 1})" if len(key) == 1 else "NULL"
        found = self.query(
            f"SELECT object, row, value FROM (SELECT object, row, {value} AS value, "
            f"row_number() OVER (PARTITION BY {keys} ORDER BY object, row) AS occurrence "
            f"FROM ({rows}) SEMI JOIN ({few}) USING ({keys})) "
            f"WHERE occurrence > 1 ORDER BY object, row LIMIT {EXAMPLES_MAX}"
        )
        tally.count(check, repeats)
        by_object = {whole.key(number): count for number, count in involved}
        tally.blame(check, by_object, [RowRef(whole.key(number), row, said) for number, row, said in found])

    def count_query(self, check: Check, query: str, tally: Tally) -> None:
        """Count the rows that a contract's query returns."""
        wrapped = f"SELECT count(*) FROM (\n{query}\n)"
        try:
            _refuse_statements(query)
            _refuse_statements(wrapped)
            with self._database.within(_SQL_MAX_S), self._database.limits():
                ((rows,),) = self._database.connection.execute(wrapped).fetchall()
            tally.count(check, rows)
        except EngineLimitError:
            if self._database.is_time_over:
                raise
            tally.errors[check] = f"it needs more than {_SQL_MAX_S:.0f} s, or more memory than there is"
        except STATEMENT_ERRORS as error:
            # These errors quote the query; others may quote the data.
            tally.errors[check] = str(error).splitlines()[0]
        except duckdb.PermissionException:
            tally.errors[check] = "it may read nothing but data"
        except duckdb.Error as error:
            tally.errors[check] = f"it failed on these data ({type(error).__name__})"


@dataclass(frozen=True, slots=True)
class _Ask:
    """The data, for the questions of a check."""

    engine: Engine
    check: Check
    whole: Whole
    tally: Tally

    @property
    def now(self) -> datetime | None:
        return self.engine.now

    @property
    def has_column(self) -> bool:
        return not self.lacks([self.check.column or ""])

    def lacks(self, columns: Iterable[str]) -> list[str]:
        return [name for name in columns if not self.whole.has([name])]

    @property
    def column(self) -> str:
        return identifier(self.check.column or "")

    def listed(self, values: Iterable[Any]) -> str:
        return listed(values, self.check.type)

    def one(self, sql: str) -> Any:
        return next((value for (value,) in self.engine.query(sql)), None)

    def all(self, sql: str) -> list[Any]:
        return [value for (value,) in self.engine.query(sql)]

    def counts(self, sql: str) -> list[int]:
        (row,) = self.engine.query(sql)
        return [int(count or 0) for count in row]

    def moment(self, aggregate: str) -> float | None:
        return self.engine.moment(self.column, aggregate)

    def extra_names(self) -> tuple[str, ...]:
        return tuple(sorted(self.tally.extra))

    def count_repeats(self, key: Sequence[str]) -> None:
        self.engine.count_repeats(self.whole, self.check, key, self.tally)

    def count_returned(self, query: str) -> None:
        self.engine.count_query(self.check, query, self.tally)


def _count_columns(table: Table, missing: Set[str | None], asked: Iterable[Check], tally: Tally) -> None:
    """Count the columns that a file lacks, or has besides the contract's."""
    key = table.file.key
    for check in asked:
        if check.kind == "column" and check.column in missing:
            tally.add(check, key, 1, [RowRef(key, 1)])
            near = {*twins(check.column or "", table.names), *tally.values.get(check, ())}
            tally.values[check] = tuple(sorted(near))
        if check.kind == "extra" and (names := set(table.names) - set(check.limit)):
            # Files may have thousands each, all different.
            tally.extra |= set(sorted(names)[: COLUMNS_MAX - len(tally.extra)])
            tally.add(check, key, 1, [])


def _cell(part: Part, column: str | None) -> Cell:
    return part.cells.get(column or "", ABSENT)


def _numbers(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))


def _refuse_statements(sql: str) -> None:
    """Raise ParserException unless it is one SELECT."""
    kinds = [statement.type for statement in duckdb.extract_statements(sql)]
    if kinds != [duckdb.StatementType.SELECT]:
        raise duckdb.ParserException("it is not one SELECT")
