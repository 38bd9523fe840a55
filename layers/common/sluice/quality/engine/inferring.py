"""Infer a file's format, its delimiter, and what its columns hold, without a contract.

If a format has types, columns keep them: text in JSON or Parquet is text, whatever it contains. In CSV
everything is text, and digits with leading zeros are a name (an article, a postcode), not a number.
"""

# ruff: noqa: S608 - expressions come from `sql`, which quotes names and values

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

from sluice.domain.config.base import ColumnType
from sluice.domain.config.models import Column, Data
from sluice.lazy import dataclass
from sluice.quality.engine import DataFile, Engine, UnreadableError
from sluice.quality.engine.csv_text import SANE_DELIMITERS, first_line
from sluice.quality.engine.files import PARQUET_MAGIC, around_malformed, json_kind
from sluice.quality.engine.sql import Cell
from sluice.quality.inference import ALLOWED_MAX, ColumnFacts

Format = Literal["csv", "jsonl", "parquet"]
_BATCH = 20
_WIDE = 200
_QUOTE = '"'
# The beginning of JSON: an object, or an array, which is then refused as a line; not a name in brackets.
_JSON = re.compile(r"""\s*(\{\s*(["}]|$)|\[\s*(["{}\[\]\d-]|true|false|null|$))""", re.MULTILINE)
# Estimates of distinct values err by a few percent.
_ESTIMATE_ERROR = 1.2
_TYPES: tuple[ColumnType, ...] = get_args(ColumnType)
_LEADING_ZEROS = r"'\s*[+-]?0\d.*'"
_JSON_NUMBERS = "('BIGINT', 'UBIGINT', 'DOUBLE')"
_JSON_KINDS: Mapping[ColumnType, str] = {
    "integer": _JSON_NUMBERS,
    "number": _JSON_NUMBERS,
    "boolean": "('BOOLEAN')",
    "timestamp": "('VARCHAR')",
}


@dataclass(frozen=True, slots=True)
class Found:
    """A file's format, its CSV options, and its columns."""

    format: Format
    csv: Mapping[str, Any]
    columns: tuple[ColumnFacts, ...]


def infer(engine: Engine, file: DataFile) -> Found:
    """Infer from all rows of a file; raises UnreadableError."""
    if file.path.stat().st_size == 0:
        raise UnreadableError("is empty")
    try:
        return engine.with_line_ends_alike(file, lambda: _infer(engine, file))
    except UnreadableError:
        # This says more about malformed lines.
        return _infer(engine, file, is_tolerant=True)


def _infer(engine: Engine, file: DataFile, *, is_tolerant: bool = False) -> Found:
    format_, csv = _format(engine, file)
    # Ask for a column that no file has, to get the names.
    names = engine.open(file, _contract(format_, csv, ["\0"])).names
    if not names:
        raise UnreadableError("has no column")
    contract = _contract(format_, csv, names)
    table = engine.open(file, contract)
    if is_tolerant:
        table = around_malformed(table, contract) or table
    columns = list(table.cells.items())
    relation = table.relation
    if format_ == "csv" and len(columns) > _WIDE:
        # A statement about text names all its columns, and each column needs a statement.
        relation = "memory.wide"
        engine.query(f"CREATE OR REPLACE TABLE {relation} AS SELECT * FROM {table.relation}")
    facts = [
        found
        for start in range(0, len(columns), _BATCH)
        for found in _facts(engine, format_, relation, columns[start : start + _BATCH])
    ]
    if malformed := engine.rejected():
        raise UnreadableError(malformed[0])
    return Found(format_, csv, tuple(facts))


def _format(engine: Engine, file: DataFile) -> tuple[Format, Mapping[str, Any]]:
    with file.path.open("rb") as opened:
        if opened.read(4) == PARQUET_MAGIC:
            return "parquet", {}
    head = engine.head(file)
    if _JSON.match(head):
        return "jsonl", {}
    delimiter = max(SANE_DELIMITERS, key=lambda delimiter: _fit(head, delimiter))
    return "csv", {} if delimiter == "," else {"delimiter": delimiter}


def _fit(head: str, delimiter: str) -> tuple[bool, int]:
    """Rate how well a delimiter splits the first line: by the number of names, unless they contain quotes."""
    try:
        names = first_line(head, delimiter, _QUOTE)
    except UnreadableError:
        return False, 0
    return not any(_QUOTE in name for name in names), len(names)


def _contract(format_: Format, csv: Mapping[str, Any], names: Sequence[str]) -> Data:
    columns = {name: Column(type="string") for name in names}
    return Data.model_validate(
        {"format": format_, "label": "", "schema": columns, **({"csv": csv} if csv else {})}
    )


def _facts(
    engine: Engine, format_: Format, relation: str, columns: Sequence[tuple[str, Cell]]
) -> Iterator[ColumnFacts]:
    """Yield figures of some columns, by one scan, and one more for each column with few values."""
    parts = ["count(*)"]
    for name, cell in columns:
        parts += [f"count({cell.raw})", f"approx_count_distinct({cell.raw})"]
        parts += [
            f"count({cell.typed(type_)}) FILTER (WHERE {_may_be(type_, format_, name, cell)})"
            for type_ in _TYPES
        ]
    (counts,) = engine.query(f"SELECT {', '.join(parts)} FROM {relation}")
    rows, figures = counts[0], iter(counts[1:])
    for name, cell in columns:
        present, distinct = next(figures), next(figures)
        types = frozenset(type_ for type_ in _TYPES if next(figures) == present)
        values: tuple[str, ...] = ()
        if 0 < distinct <= ALLOWED_MAX * _ESTIMATE_ERROR:
            found = engine.query(
                f"SELECT DISTINCT {cell.text} AS value FROM {relation} "
                f"WHERE value IS NOT NULL ORDER BY value LIMIT {ALLOWED_MAX + 1}"
            )
            values = tuple(value for (value,) in found) if len(found) <= ALLOWED_MAX else ()
            distinct = len(found)
        yield ColumnFacts(name, rows, rows - present, types, distinct, values)


def _may_be(type_: ColumnType, format_: Format, name: str, cell: Cell) -> str:
    """Write SQL for whether a cell that reads as the type also means it."""
    if type_ == "string":
        return "true"
    if format_ == "parquet":
        return str(type_ == _native_type(cell.native)).lower()
    if format_ == "jsonl":
        return f"{json_kind(name)} IN {_JSON_KINDS[type_]}"
    if type_ == "boolean":
        # Other tools read yes and no, which the type takes too, as text.
        return f"lower(trim({cell.text})) IN ('true', 'false')"
    return f"NOT regexp_full_match({cell.text}, {_LEADING_ZEROS})"


def _native_type(native: str) -> ColumnType:
    kind = native.partition("(")[0]
    if kind.endswith(("INT", "INTEGER")):
        return "integer"
    if kind in {"FLOAT", "DOUBLE", "DECIMAL"}:
        return "number"
    if kind.startswith(("DATE", "TIMESTAMP")):
        return "timestamp"
    return "boolean" if kind == "BOOLEAN" else "string"
