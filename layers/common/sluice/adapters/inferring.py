"""What a file without a contract is: its format, how it is separated, and what its columns hold."""

# ruff: noqa: S608 - expressions come from `engine_sql`, which quotes names and values

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sluice.adapters.engine import DataFile, Engine, UnreadableError
from sluice.adapters.engine_files import SANE_DELIMITERS, Table
from sluice.adapters.engine_sql import Cell
from sluice.domain.config.base import ColumnType
from sluice.domain.config.models import Column, Data
from sluice.domain.inference import ALLOWED_MAX, ColumnFacts

Format = Literal["csv", "jsonl", "parquet"]
_BATCH = 20
_PARQUET_MAGIC = b"PAR1"
# Estimates of distinct values err by a few percent.
_ESTIMATE_ERROR = 1.2
_TYPES: tuple[ColumnType, ...] = get_args(ColumnType)


@dataclass(frozen=True, slots=True)
class Found:
    """A file's format, how a CSV file is written, and its columns."""

    format: Format
    csv: Mapping[str, Any]
    columns: tuple[ColumnFacts, ...]


def infer(engine: Engine, file: DataFile) -> Found:
    """Look at all rows of a file; raises UnreadableError."""
    if file.path.stat().st_size == 0:
        raise UnreadableError("is empty")
    format_, csv = _format(engine, file)
    # A column of no name that a file has: the names are what is asked for.
    names = engine.open(file, _contract(format_, csv, ["\0"])).names
    table = engine.open(file, _contract(format_, csv, names))
    columns = list(table.cells.items())
    facts = [
        found
        for start in range(0, len(columns), _BATCH)
        for found in _facts(engine, table, columns[start : start + _BATCH])
    ]
    if malformed := engine.rejected():
        raise UnreadableError(malformed[0])
    return Found(format_, csv, tuple(facts))


def _format(engine: Engine, file: DataFile) -> tuple[Format, Mapping[str, Any]]:
    with file.path.open("rb") as opened:
        if opened.read(4) == _PARQUET_MAGIC:
            return "parquet", {}
    head = engine.head(file)
    if head.lstrip().startswith("{"):
        return "jsonl", {}
    first = head.partition("\n")[0]
    delimiter = max(SANE_DELIMITERS, key=first.count)
    return "csv", {} if delimiter == "," else {"delimiter": delimiter}


def _contract(format_: Format, csv: Mapping[str, Any], names: Sequence[str]) -> Data:
    columns = {name: Column(type="string") for name in names}
    return Data.model_validate(
        {"format": format_, "label": "", "schema": columns, **({"csv": csv} if csv else {})}
    )


def _facts(engine: Engine, table: Table, columns: Sequence[tuple[str, Cell]]) -> Iterator[ColumnFacts]:
    """Figures of a few columns, in one scan; the values of those that have few, in another each."""
    parts = ["count(*)"]
    for _, cell in columns:
        parts += [f"count({cell.raw})", f"approx_count_distinct({cell.raw})"]
        parts += [f"count({cell.typed(type_)})" for type_ in _TYPES]
    (counts,) = engine.query(f"SELECT {', '.join(parts)} FROM {table.relation}")
    rows, figures = counts[0], iter(counts[1:])
    for name, cell in columns:
        present, distinct = next(figures), next(figures)
        types = frozenset(type_ for type_ in _TYPES if next(figures) == present)
        values: tuple[str, ...] = ()
        if 0 < distinct <= ALLOWED_MAX * _ESTIMATE_ERROR:
            found = engine.query(
                f"SELECT DISTINCT {cell.text} AS value FROM {table.relation} "
                f"WHERE value IS NOT NULL ORDER BY value LIMIT {ALLOWED_MAX + 1}"
            )
            values = tuple(value for (value,) in found) if len(found) <= ALLOWED_MAX else ()
            distinct = len(found)
        yield ColumnFacts(name, rows, rows - present, types, distinct, values)
