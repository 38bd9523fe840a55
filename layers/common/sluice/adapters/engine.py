"""The validation engine, DuckDB: counts, in one scan of each file, what breaks the checks of a data contract.

Values are read as text, so that one set of expressions serves every format. What is said of the data names
objects, columns and row numbers, never a value: the engine's own messages quote rows and are not passed on.
"""

# ruff: noqa: S608 - table functions take no bound values: `_text` and `_identifier` quote what goes into SQL

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import duckdb

from sluice.domain.validation import EXAMPLES_MAX, Check, Finding, RowRef, Violation, unreadable

Format = Literal["csv", "parquet", "jsonl"]
# Beyond that many malformed lines a file is simply not what it is said to be.
_REJECTS_MAX = 1000
_LINE_MAX_BYTES = 16 * 1024 * 1024
_TYPED = {
    "string": "{0}",
    # A column of integers that had gaps is written 1.0, 2.0 by many a tool.
    "integer": r"CASE WHEN regexp_full_match(trim({0}), '[+-]?\d+(\.0*)?') THEN TRY_CAST({0} AS DOUBLE) END",
    "number": "CASE WHEN isfinite(TRY_CAST({0} AS DOUBLE)) THEN TRY_CAST({0} AS DOUBLE) END",
    "boolean": "TRY_CAST({0} AS BOOLEAN)",
    "timestamp": "TRY_CAST({0} AS TIMESTAMP)",
}
_CONDITIONS = {
    "required": "{value} IS NULL",
    "completeness": "{value} IS NULL",
    "type": "{value} IS NOT NULL AND {typed} IS NULL",
    "allowed": "{typed} NOT IN ({limit})",
    "min": "{typed} < {limit}",
    "max": "{typed} > {limit}",
    "min_length": "length({value}) < {limit}",
    "max_length": "length({value}) > {limit}",
    "pattern": "NOT regexp_full_match({value}, {limit})",
}
_REJECTS = {
    "TOO MANY COLUMNS": "more values than the header",
    "MISSING COLUMNS": "fewer values than the header",
    "UNQUOTED VALUE": "a quote out of place",
    "INVALID ENCODING": "bytes that are no UTF-8",
    "LINE SIZE OVER MAXIMUM": "more bytes than a line may have",
}


@dataclass(frozen=True, slots=True)
class DataFile:
    """A downloaded object."""

    key: str
    path: Path


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a scan of all files found: readable rows, a finding per check, and what could not be read."""

    rows: int
    findings: tuple[Finding, ...]
    problems: tuple[Violation, ...]


class _UnreadableError(Exception):
    """A file, or a part of it, is not of its format; the message says how."""

    def __init__(self, message: str, rows: int = 0) -> None:
        self.rows = rows
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class _Table:
    """A file as SQL: a relation, the text of each of its columns, and a condition for rows to leave out."""

    key: str
    relation: str
    columns: Mapping[str, str]

    def value(self, column: str | None) -> str:
        return self.columns.get(column or "", "NULL::VARCHAR")


class Engine:
    """One DuckDB in memory, which spills to `temp_dir` beyond its limit."""

    def __init__(self, memory_limit_mb: int, temp_dir: Path) -> None:
        self._db = duckdb.connect(
            config={
                "memory_limit": f"{memory_limit_mb}MB",
                "temp_directory": str(temp_dir),
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            }
        )

    def inspect(self, files: Sequence[DataFile], data_format: Format, checks: Sequence[Check]) -> Inspection:
        """Hold every row of every file against the checks."""
        tally = _Tally(checks)
        tables = []
        for file in files:
            try:
                table = self._open(file, data_format, checks)
                self._count(table, checks, tally)
                tables.append(table)
            except _UnreadableError as error:
                tally.problems.append(unreadable(f"{file.key} {error}", error.rows))
        for check in checks:
            if check.kind == "unique":
                self._count_repeats(tables, check, tally)
        return tally.inspection()

    def _open(self, file: DataFile, data_format: Format, checks: Sequence[Check]) -> _Table:
        if file.path.stat().st_size == 0:
            raise _UnreadableError("is empty")
        match data_format:
            case "csv":
                return _csv_table(file)
            case "jsonl":
                return self._jsonl_table(file, checks)
            case "parquet":
                return self._parquet_table(file)

    def _jsonl_table(self, file: DataFile, checks: Sequence[Check]) -> _Table:
        """Each line is one JSON object; columns are looked up in it."""
        relation = _lines(file.path)
        ((malformed, first),) = self._rows(
            f"SELECT count(*), min(row) FROM (SELECT line, row_number() OVER () AS row FROM {relation}) "
            "WHERE NOT json_valid(line) OR json_type(line) <> 'OBJECT'"
        )
        if malformed:
            raise _UnreadableError(f"has {malformed} lines that are no JSON object, the first is {first}")
        wanted = list(dict.fromkeys(check.column for check in checks if check.column is not None))
        present = ", ".join(f"bool_or(json_exists(line, {_pointer(name)}))" for name in wanted)
        (found,) = self._rows(f"SELECT {present or 'NULL'} FROM {relation}")
        columns = {
            name: f"json_extract_string(line, {_pointer(name)})"
            for name, exists in zip(wanted, found, strict=False)
            if exists
        }
        return _Table(file.key, relation, columns)

    def _parquet_table(self, file: DataFile) -> _Table:
        relation = f"read_parquet({_text(str(file.path))})"
        described = self._rows(f"DESCRIBE SELECT * FROM {relation}")
        return _Table(
            file.key, relation, {row[0]: f"CAST({_identifier(row[0])} AS VARCHAR)" for row in described}
        )

    def _count(self, table: _Table, checks: Sequence[Check], tally: _Tally) -> None:
        missing = {check.column for check in checks if check.kind == "column"} - table.columns.keys()
        conditions = {
            check: _condition(check, table)
            for check in checks
            if check.kind in _CONDITIONS and check.column not in missing
        }
        counts = "".join(f", count(*) FILTER (WHERE {condition})" for condition in conditions.values())
        self._drop_rejects()
        ((rows, *broken),) = self._rows(f"SELECT count(*){counts} FROM {table.relation}")
        rejected = self._rejected()
        tally.rows += rows
        tally.problems += [unreadable(f"{table.key} {text}", count) for text, count in rejected]
        for check in checks:
            if check.kind == "column" and check.column in missing:
                tally.add(check, 1, [RowRef(table.key, 1)])
        for check, count in zip(conditions, broken, strict=True):
            # The numbers of rows after a malformed line would be wrong.
            wanted = 0 if rejected else min(count, tally.room(check))
            tally.add(check, count, self._examples(table, conditions[check], wanted))

    def _examples(self, table: _Table, condition: str, wanted: int) -> list[RowRef]:
        if not wanted:
            return []
        found = self._rows(
            f"SELECT row FROM (SELECT row_number() OVER () AS row, {condition} AS broken "
            f"FROM {table.relation}) WHERE broken ORDER BY row LIMIT {wanted}"
        )
        return [RowRef(table.key, row) for (row,) in found]

    def _count_repeats(self, tables: Sequence[_Table], check: Check, tally: _Tally) -> None:
        """Over all files at once, in a statement of its own: distinct values are held in memory."""
        union = " UNION ALL ".join(
            f"SELECT {index} AS file, row_number() OVER () AS row, {table.value(check.column)} AS value "
            f"FROM {table.relation}"
            for index, table in enumerate(tables)
        )
        if not union:
            return
        ((repeats,),) = self._rows(f"SELECT count(value) - count(DISTINCT value) FROM ({union})")
        examples = []
        if repeats:
            examples = self._rows(
                "SELECT file, row FROM (SELECT file, row, value, row_number() OVER "
                f"(PARTITION BY value ORDER BY file, row) AS occurrence FROM ({union}) "
                "WHERE value IS NOT NULL) "
                f"WHERE occurrence > 1 ORDER BY file, row LIMIT {EXAMPLES_MAX}"
            )
        tally.add(check, repeats, [RowRef(tables[file].key, row) for file, row in examples])

    def _drop_rejects(self) -> None:
        for name in ("reject_errors", "reject_scans"):
            self._db.execute(f"DROP TABLE IF EXISTS {name}")

    def _rejected(self) -> list[tuple[str, int]]:
        """What the last scan could not split into values: a sentence and a count for each kind."""
        known = self._rows("SELECT 1 FROM duckdb_tables() WHERE table_name = 'reject_errors'")
        if not known:
            return []
        kinds = self._rows(
            "SELECT error_type::VARCHAR, count(DISTINCT line), min(line) FROM reject_errors "
            "GROUP BY ALL ORDER BY min(line)"
        )
        return [
            (
                f"has {'at least ' if count >= _REJECTS_MAX else ''}{count} lines with "
                f"{_REJECTS.get(kind, 'values that cannot be told apart')}, the first in line {line}",
                count,
            )
            for kind, count, line in kinds
        ]

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        try:
            rows: list[tuple[Any, ...]] = self._db.execute(sql).fetchall()
        except (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.IOException) as error:
            raise _UnreadableError("cannot be read: it is not of the format the contract names") from error
        return rows


class _Tally:
    """Findings as they add up over the files."""

    def __init__(self, checks: Iterable[Check]) -> None:
        self.rows = 0
        self.problems: list[Violation] = []
        self._checks = tuple(checks)
        self._counts: dict[Check, int] = defaultdict(int)
        self._examples: dict[Check, list[RowRef]] = defaultdict(list)

    def add(self, check: Check, rows: int, examples: Iterable[RowRef]) -> None:
        self._counts[check] += rows
        self._examples[check] += list(examples)[: self.room(check)]

    def room(self, check: Check) -> int:
        """How many more examples of the check are wanted."""
        return EXAMPLES_MAX - len(self._examples[check])

    def inspection(self) -> Inspection:
        findings = [Finding(c, self._counts[c], tuple(self._examples[c])) for c in self._checks]
        return Inspection(self.rows, tuple(findings), tuple(self.problems))


def _csv_table(file: DataFile) -> _Table:
    """Columns go by position, so that no header can be a bad identifier."""
    header = _header(file.path)
    names = {f"column{index}": "VARCHAR" for index in range(len(header))}
    relation = (
        f"read_csv({_text(str(file.path))}, auto_detect = false, header = true, delim = ',', quote = '\"', "
        f"escape = '\"', columns = {names}, store_rejects = true, rejects_limit = {_REJECTS_MAX}, "
        f"max_line_size = {_LINE_MAX_BYTES})"
    )
    return _Table(file.key, relation, dict(zip(header, names, strict=True)))


def _header(path: Path) -> list[str]:
    # Bad bytes become surrogates, so that those of a later line are told with that line's number.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        try:
            header = next(csv.reader(lines, strict=True), [])
        except csv.Error:
            raise _UnreadableError("is no CSV: its first line cannot be split into names") from None
    if any("\udc80" <= character <= "\udcff" for name in header for character in name):
        raise _UnreadableError("is no CSV: it is not UTF-8 text")
    if any(not name.isprintable() for name in header):
        raise _UnreadableError("is no CSV: its first line has control characters")
    if not any(header):
        raise _UnreadableError("has no header: its first line is empty")
    repeated = [name for index, name in enumerate(header) if name and name in header[:index]]
    if repeated:
        raise _UnreadableError(f"has the column {repeated[0]!r} twice")
    return header


def _lines(path: Path) -> str:
    """A text file as a relation of one column, `line`: split nowhere but at line ends."""
    return (
        f"(SELECT line FROM read_csv({_text(str(path))}, auto_detect = false, header = false, "
        f"delim = '\x1f', quote = '', escape = '', columns = {{'line': 'VARCHAR'}}, "
        f"max_line_size = {_LINE_MAX_BYTES}) "
        "WHERE trim(line) <> '')"
    )


def _condition(check: Check, table: _Table) -> str:
    """When a row breaks the check; NULL, which counts as no, where there is nothing to compare."""
    value = table.value(check.column)
    typed = _TYPED[check.type or "string"].format(value)
    return _CONDITIONS[check.kind].format(value=value, typed=typed, limit=_limit(check))


def _limit(check: Check) -> str:
    if check.kind == "allowed":
        return ", ".join(map(_literal, check.limit))
    literal = _literal(check.limit)
    return f"TIMESTAMP {literal}" if check.type == "timestamp" and isinstance(check.limit, str) else literal


def _literal(value: Any) -> str:
    return _text(value) if isinstance(value, str) else str(value)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _pointer(name: str) -> str:
    return _text("/" + name.replace("~", "~0").replace("/", "~1"))
