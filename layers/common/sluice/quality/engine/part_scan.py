"""Columns of a part of the data, as they add up to those of the whole."""

# ruff: noqa: S608 - expressions come from `profiling`, which quotes names

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb

from sluice.domain.config.base import ColumnType
from sluice.quality.engine.profiling import (
    BATCH,
    ESTIMATE_ERROR,
    Column,
    Scan,
    histogram_of,
    in_order,
    moments,
    number_of,
)
from sluice.quality.engine.sql import is_beyond_doubles, scaled
from sluice.quality.statistics.column_parts import ColumnPart, Edges, Moments, few

_HASHES = 2**64
# Some thousand bytes for a column; fewer where there are many.
_HASHES_MAX, _HASHES_MIN, _HASHES_OF_ALL = 1024, 64, 100_000


def column_parts(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    columns: Mapping[str, ColumnType],
    *,
    of_columns: int,
    rows: int,
    written: Mapping[str, int],
    edges: Mapping[str, Sequence[Edges]],
) -> dict[str, ColumnPart]:
    """Columns of a relation, counted between all of their edges; the contract has `of_columns`."""
    sources = [Column(name, type_, written.get(name), None) for name, type_ in columns.items()]
    parts: dict[str, ColumnPart] = {}
    for start in range(0, len(sources), BATCH):
        scan = _PartScan(connection, relation, sources[start : start + BATCH], rows, of_columns)
        parts |= scan.parts(edges)
    return parts


class _PartScan:
    """A batch of columns over a relation."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        relation: str,
        columns: Sequence[Column],
        rows: int,
        of_columns: int,
    ) -> None:
        self._connection = connection
        self._relation = relation
        self._columns = columns
        self._scan = Scan(connection, relation, columns, rows, of_columns)
        self._hashes_max = max(_HASHES_MIN, min(_HASHES_MAX, _HASHES_OF_ALL // of_columns))

    def parts(self, edges: Mapping[str, Sequence[Edges]]) -> dict[str, ColumnPart]:
        wanted: list[str] = []
        for column in self._columns:
            wanted += [f"count({column.value})", f"approx_count_distinct({column.value})"]
            wanted += moments(column.number)
            wanted += [histogram_of(column.number, these) for these in edges.get(column.name, ())]
        figures = iter(self._one(wanted))
        summaries = {c.name: self._summary(c, figures, edges.get(c.name, ())) for c in self._columns}
        # Counts of few values are cheap; whether they are few is only estimated before.
        likely = [c for c in self._columns if summaries[c.name][1] <= few(c.type) * ESTIMATE_ERROR]
        groups = self._scan.group(likely)
        return {c.name: self._part(c, *summaries[c.name], groups.get(c.name)) for c in self._columns}

    def _summary(
        self, column: Column, figures: Iterator[Any], edges: Sequence[Edges]
    ) -> tuple[int, int, Moments | None, dict[Edges, tuple[int, ...]]]:
        present, distinct, least, greatest, mean, std = (next(figures) for _ in range(6))
        counts = {these: in_order(next(figures), these) for these in edges}
        if least is None:
            return present, distinct, None, counts
        if is_beyond_doubles(mean, std, least, greatest):
            scale = max(abs(least), abs(greatest))
            mean, std = self._one(scaled(["avg", "stddev_pop"], column.number, scale))
        return present, distinct, Moments(least, greatest, mean, std), counts

    def _part(
        self,
        column: Column,
        present: int,
        distinct: int,
        found: Moments | None,
        counts: dict[Edges, tuple[int, ...]],
        group: Mapping[Any, int] | None,
    ) -> ColumnPart:
        values = None
        if not present:
            values = {}
        elif group is not None and len(group) <= few(column.type):
            values = {_plain(column.type, value): count for value, count in group.items()}
        hashes = self._hashes(column, distinct) if present else ()
        written = present if column.written is None else column.written
        return ColumnPart(column.type, written, present, values, hashes, self._hashes_max, found, counts)

    def _hashes(self, column: Column, distinct: int) -> tuple[int, ...]:
        """The least hashes of the column's different values."""
        # With twice as many as are wanted below a bound, hardly any row costs more than its hash.
        bound = min(_HASHES - 1, int(_HASHES * 2 * self._hashes_max / max(distinct, 1)))
        found = self._hashes_below(column, bound)
        if len(found) < self._hashes_max and bound < _HASHES - 1:
            found = self._hashes_below(column, _HASHES - 1)
        return found

    def _hashes_below(self, column: Column, bound: int) -> tuple[int, ...]:
        hashed = f"SELECT hash({column.value}) AS h FROM {self._relation} WHERE {column.value} IS NOT NULL"
        found = self._connection.execute(
            f"SELECT DISTINCT h FROM ({hashed}) WHERE h <= {bound} ORDER BY h LIMIT {self._hashes_max}"
        ).fetchall()
        return tuple(h for (h,) in found)

    def _one(self, wanted: Sequence[str]) -> tuple[Any, ...]:
        row = self._connection.execute(f"SELECT {', '.join(wanted)} FROM {self._relation}").fetchone()
        return tuple(row or ())


def _plain(type_: ColumnType, value: Any) -> Any:
    """A value as JSON has it."""
    return number_of(value) if type_ == "timestamp" else value
