"""Read a data set's files in parts that are queried together, and note what could not be read.

Small text files with the same header are stored and queried together, as a statement takes milliseconds even
for few rows. Parquet files, and text with too many columns to store in memory, are read in place.
"""

# ruff: noqa: S608 - relations come from `files`, which quotes what goes into SQL

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from sluice.domain import wording
from sluice.domain.config.models import Data
from sluice.lazy import dataclass
from sluice.quality.engine.database import Database
from sluice.quality.engine.files import REJECTS_MAX, Query, Storage, Table, around_malformed, open_table
from sluice.quality.engine.limits import BeyondLimitError, UnreadableError
from sluice.quality.engine.sql import Cell
from sluice.quality.engine.store import Store
from sluice.quality.validation import DataFile

_FILES_MAX = 100
_SIZE_MAX_BYTES = 8 * 1024 * 1024
_REJECTS = {
    "TOO MANY COLUMNS": "more values than the header",
    "MISSING COLUMNS": "fewer values than the header",
    "UNQUOTED VALUE": "a quote out of place",
    "INVALID ENCODING": "bytes that are no UTF-8",
}
_Read = TypeVar("_Read")
Tell = Callable[[tuple[str, ...]], None]


@dataclass(frozen=True, slots=True)
class Part:
    """Files of one shape, by their numbers, as a relation: SQL for a FROM clause.

    `number` is a row's file, `row` its number there, from 1. `is_text`: each statement reads the text again.
    """

    tables: Mapping[int, Table]
    relation: str
    cells: Mapping[str, Cell]
    number: str
    row: str
    is_text: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """Lines of a file that could not be split into values, all for one reason, which `said` names."""

    said: str
    lines: int


def tell_nobody(keys: tuple[str, ...]) -> None:
    """Ignore what is being read."""


class Reader:
    """Reads the files of a data set once, into a store if there is one."""

    def __init__(
        self,
        database: Database,
        storage: Storage,
        files: Sequence[DataFile],
        data: Data,
        store: Store | None,
        tell: Tell = tell_nobody,
    ) -> None:
        """Make a reader; `tell` gets the keys of what is being read whenever they change."""
        self._tell = tell
        self.unreadable: dict[int, UnreadableError] = {}
        self._reading: tuple[int, ...] = ()
        self._since = time.monotonic()
        self._spent_s: dict[tuple[int, ...], float] = defaultdict(float)
        self._query = database.query
        self._storage = storage
        self._files = files
        self._data = data
        self._is_text = data.format != "parquet"
        self._store = store

    def parts(self) -> Iterator[Part]:
        """Yield the readable parts, each to be queried before the next; the rest is `unreadable`."""
        return self._in_place() if self._store is None else self._stored(self._store)

    def rejected(self, part: Part) -> dict[int, list[Rejected]]:
        """Return the lines that scans of the last part could not split into values."""
        by_path = rejected(self._query)
        found = {number: by_path.get(str(table.file.path)) for number, table in part.tables.items()}
        return {number: kinds for number, kinds in found.items() if kinds}

    def culprits(self, *, max_s: float | None) -> tuple[str, ...]:
        """Return the keys of what is being read; after a timeout only if it took over half of the time."""
        spent_s = self._spent_s[self._reading] + time.monotonic() - self._since
        if max_s is not None and spent_s < max_s / 2:
            return ()
        return self._keys()

    def _read(self, *numbers: int) -> None:
        if numbers != self._reading:
            now = time.monotonic()
            self._spent_s[self._reading] += now - self._since
            self._reading, self._since = numbers, now
            self._tell(self._keys())

    def _keys(self) -> tuple[str, ...]:
        return tuple(self._files[number].key for number in self._reading)

    def _in_place(self) -> Iterator[Part]:
        for number in range(len(self._files)):
            self._read(number)
            drop_rejects(self._query)
            table = self._opened(number, self._probed)
            if table is not None:
                yield Part(
                    {number: table}, table.relation, table.cells, str(number), table.row, self._is_text
                )

    def _stored(self, store: Store) -> Iterator[Part]:
        together = _Together()
        for number, file in enumerate(self._files):
            self._read(number)
            try:
                table: Table | None = self._open(file)
            except BeyondLimitError as error:
                self._give_up(number, error)
                continue
            except UnreadableError:
                table = None
            if table is None or not together.has_room(table):
                yield from self._add(together.take(), store)
            # The others may have used the storage it needs.
            table = table or self._opened(number, self._open)
            if table is not None:
                together.add(number, table)
        yield from self._add(together.take(), store)
        self._read()

    def _open(self, file: DataFile) -> Table:
        return open_table(self._query, file, self._data, self._storage)

    def _probed(self, file: DataFile) -> Table:
        table = self._open(file)
        if self._is_text:
            self._query(f"SELECT count(*) FROM {table.relation}")
        return table

    def _opened(self, number: int, read: Callable[[DataFile], Table]) -> Table | None:
        file = self._files[number]
        try:
            try:
                if not self._is_text:
                    return read(file)
                return with_line_ends_alike(self._storage, file, lambda: read(file))
            except BeyondLimitError:
                raise
            except UnreadableError as error:
                return self._around_malformed(file, error)
        except UnreadableError as error:
            self._give_up(number, error)
            return None

    def _add(self, tables: Mapping[int, Table], store: Store) -> Iterator[Part]:
        """Store files by one statement, or one by one if any of them cannot be read."""
        if not tables:
            return
        try:
            part = self._store_part(tables, store)
        except UnreadableError as error:
            if len(tables) == 1:
                yield from self._add_otherwise(next(iter(tables)), store, error)
            else:
                for number, table in tables.items():
                    yield from self._add({number: table}, store)
        else:
            for number in tables:
                self._storage.release(self._files[number])
            yield part

    def _add_otherwise(self, number: int, store: Store, error: UnreadableError) -> Iterator[Part]:
        """Store a file with unified line ends, or without its malformed lines."""
        file = self._files[number]
        try:
            part = self._unified(number, store)
            if part is None:
                part = self._store_part({number: self._around_malformed(file, error)}, store)
        except UnreadableError as last:
            self._give_up(number, last)
        else:
            self._storage.release(file)
            yield part

    def _unified(self, number: int, store: Store) -> Part | None:
        file = self._files[number]
        if not self._storage.unify(file):
            return None
        try:
            return self._store_part({number: self._open(file)}, store)
        except UnreadableError:
            return None

    def _around_malformed(self, file: DataFile, error: UnreadableError) -> Table:
        table = around_malformed(self._open(file), self._data)
        if table is None:
            raise error
        return table

    def _give_up(self, number: int, error: UnreadableError) -> None:
        self.unreadable[number] = error
        self._storage.release(self._files[number])

    def _store_part(self, tables: Mapping[int, Table], store: Store) -> Part:
        self._read(*tables)
        drop_rejects(self._query)
        relation = store.add(tables)
        names = next(iter(tables.values())).cells.keys()
        cells = {name: cell for name, cell in store.cells.items() if name in names}
        return Part(tables, relation, cells, "object", store.row)


class _Together:
    """Files that wait to be stored in one statement."""

    def __init__(self) -> None:
        self._tables: dict[int, Table] = {}
        self._size_bytes = 0

    def has_room(self, table: Table) -> bool:
        if not self._tables:
            return True
        return (
            len(self._tables) < _FILES_MAX
            and self._size_bytes + _size_bytes(table) <= _SIZE_MAX_BYTES
            and next(iter(self._tables.values())).shape == table.shape
        )

    def add(self, number: int, table: Table) -> None:
        self._tables[number] = table
        self._size_bytes += _size_bytes(table)

    def take(self) -> Mapping[int, Table]:
        taken, self._tables, self._size_bytes = self._tables, {}, 0
        return taken


def _size_bytes(table: Table) -> int:
    return table.file.path.stat().st_size


def with_line_ends_alike(storage: Storage, file: DataFile, read: Callable[[], _Read]) -> _Read:
    """Read a text file, or a copy with unified line ends if they are mixed."""
    try:
        return read()
    except BeyondLimitError:
        raise
    except UnreadableError:
        if not storage.unify(file):
            raise
        return read()


def drop_rejects(query: Query) -> None:
    """Forget the lines that could not be split into values so far."""
    for name in ("reject_errors", "reject_scans"):
        query(f"DROP TABLE IF EXISTS {name}")


def rejected(query: Query) -> dict[str, list[Rejected]]:
    """Return the lines that scans since `drop_rejects` could not split into values, by file path."""
    if not query("SELECT 1 FROM duckdb_tables() WHERE table_name = 'reject_errors'"):
        return {}
    found: dict[str, list[Rejected]] = defaultdict(list)
    for path, kind, count, line in query(
        "SELECT file_path, error_type::VARCHAR, count(DISTINCT line), min(line) AS first "
        "FROM reject_errors JOIN reject_scans USING (scan_id, file_id) GROUP BY ALL ORDER BY first"
    ):
        many = "at least " if count >= REJECTS_MAX else ""
        how = _REJECTS.get(kind, "values that cannot be told apart")
        said = f"has {many}{wording.count(count, 'line')} with {how}, the first in line {line}"
        found[path].append(Rejected(said, count))
    return found
