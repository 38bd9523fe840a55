"""Scan columns of a part of the data for results that merge into those of the whole."""

# ruff: noqa: S608 - expressions come from `profiling`, which quotes names

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb

from sluice.domain.config.base import ColumnType
from sluice.lazy import dataclass
from sluice.quality.engine.profiling import (
    BATCH,
    ESTIMATE_ERROR,
    Column,
    grouped,
    histogram_of,
    in_order,
    moments,
    number_of,
)
from sluice.quality.engine.sql import is_beyond_doubles, scaled, sql_type
from sluice.quality.statistics.column_parts import ColumnPart, Edges, Moments, are_few, few

_HASHES = 2**64
# Some thousand bytes for a column; fewer if there are many columns.
_HASHES_MAX, _HASHES_MIN, _HASHES_OF_ALL = 1024, 64, 100_000


def column_parts(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    columns: Mapping[str, ColumnType],
    *,
    of_columns: int,
    written: Mapping[str, int],
    edges: Mapping[str, Sequence[Edges]],
) -> dict[str, ColumnPart]:
    """Scan columns of a relation, counting between all of their edges; the contract has `of_columns`."""
    sources = [Column(name, type_, written.get(name), None) for name, type_ in columns.items()]
    parts: dict[str, ColumnPart] = {}
    for start in range(0, len(sources), BATCH):
        scan = _PartScan(connection, relation, sources[start : start + BATCH], of_columns)
        parts |= scan.parts(edges)
    return parts


@dataclass(frozen=True, slots=True)
class _Summary:
    """A column's results of the first scan; its number of different values is an estimate."""

    present: int
    distinct: int
    moments: Moments | None
    counts: Mapping[Edges, tuple[int, ...]]


class _PartScan:
    """A batch of columns over a relation."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        relation: str,
        columns: Sequence[Column],
        of_columns: int,
    ) -> None:
        self._connection = connection
        self._relation = relation
        self._columns = columns
        self._hashes_max = max(_HASHES_MIN, min(_HASHES_MAX, _HASHES_OF_ALL // of_columns))

    def parts(self, edges: Mapping[str, Sequence[Edges]]) -> dict[str, ColumnPart]:
        wanted: list[str] = []
        for column in self._columns:
            wanted += [f"count({column.value})", f"approx_count_distinct({column.value})"]
            wanted += moments(column.number)
            wanted += [histogram_of(column.number, these) for these in edges.get(column.name, ())]
        figures = iter(self._one(wanted))
        summaries = {c.name: self._summary(c, figures, edges.get(c.name, ())) for c in self._columns}
        # Counts of few values are cheap, but before counting their number is only an estimate.
        likely = [c for c in self._columns if summaries[c.name].distinct <= few(c.type) * ESTIMATE_ERROR]
        groups = grouped(self._connection, self._relation, likely)
        values = {
            c.name: self._values(c, summaries[c.name].present, groups.get(c.name)) for c in self._columns
        }
        hashes = self._hashes(summaries, groups)
        return {
            c.name: self._part(c, summaries[c.name], values[c.name], hashes[c.name]) for c in self._columns
        }

    def _summary(self, column: Column, figures: Iterator[Any], edges: Sequence[Edges]) -> _Summary:
        present, distinct, least, greatest, mean, std = (next(figures) for _ in range(6))
        counts = {these: in_order(next(figures), these) for these in edges}
        if least is None:
            return _Summary(present, distinct, None, counts)
        if is_beyond_doubles(mean, std, least, greatest):
            scale = max(abs(least), abs(greatest))
            mean, std = self._one(scaled(["avg", "stddev_pop"], column.number, scale))
        return _Summary(present, distinct, Moments(least, greatest, mean, std), counts)

    def _part(
        self, column: Column, found: _Summary, group: Mapping[Any, int] | None, hashes: tuple[int, ...]
    ) -> ColumnPart:
        values = self._values(column, found.present, group)
        written = found.present if column.written is None else column.written
        return ColumnPart(
            column.type, written, found.present, values, hashes, self._hashes_max, found.moments, found.counts
        )

    def _values(
        self, column: Column, present: int, group: Mapping[Any, int] | None
    ) -> Mapping[Any, int] | None:
        if not present:
            return {}
        if group is None or not are_few(column.type, group):
            return None
        return {_plain(column.type, value): count for value, count in group.items()}

    def _hashes(
        self, summaries: Mapping[str, _Summary], groups: Mapping[str, Mapping[Any, int]]
    ) -> dict[str, tuple[int, ...]]:
        """Return the least hashes of each column's different values, known ones or by one scan."""
        found = {
            column.name: self._hashes_of(column, groups[column.name])
            for column in self._columns
            if column.name in groups
        }
        many = [column for column in self._columns if column.name not in groups]
        if not many:
            return found
        # With a bound that twice as many as wanted are below, hardly any row costs more than its hash.
        wanted = {
            c.name: int(_HASHES * 2 * self._hashes_max / max(summaries[c.name].distinct, 1)) for c in many
        }
        least = self._one([self._least(c, wanted[c.name]) for c in many])
        for column, hashes in zip(many, least, strict=True):
            if len(hashes or ()) < self._hashes_max and wanted[column.name] < _HASHES:
                (hashes,) = self._one([self._least(column, _HASHES)])
            found[column.name] = tuple(hashes or ())
        return found

    def _hashes_of(self, column: Column, values: Mapping[Any, int]) -> tuple[int, ...]:
        known = f"SELECT unnest(?::{sql_type(column.type)}[]) AS value"
        hashed = self._connection.execute(f"SELECT hash(value) FROM ({known})", [list(values)]).fetchall()
        return tuple(sorted({h for (h,) in hashed})[: self._hashes_max])

    def _least(self, column: Column, below: int) -> str:
        hashed = f"hash({column.value})"
        there = f"{column.value} IS NOT NULL AND {hashed} <= {min(below, _HASHES - 1)}"
        return f"min(DISTINCT {hashed}, {self._hashes_max}) FILTER ({there})"

    def _one(self, wanted: Sequence[str]) -> tuple[Any, ...]:
        row = self._connection.execute(f"SELECT {', '.join(wanted)} FROM {self._relation}").fetchone()
        return tuple(row or ())


def _plain(type_: ColumnType, value: Any) -> Any:
    """Convert a value for JSON."""
    return number_of(value) if type_ == "timestamp" else value
