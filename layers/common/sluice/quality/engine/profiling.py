"""Make profiles and label counts with DuckDB: aggregates in few scans, within its memory limit.

Results do not depend on the order of threads: edges come from the rows with the least hashes, which are the
same however a scan is split, and sums are rounded. Counts are exact for any edges.
"""

# ruff: noqa: S608 - names and values are quoted by `identifier` and `listed`

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import duckdb

from sluice.domain.config.base import ColumnType
from sluice.domain.config.statistics import Bias, Facet
from sluice.lazy import dataclass
from sluice.quality.engine.sql import identifier, is_beyond_doubles, listed, scaled
from sluice.quality.statistics.bias import LabelCount, TooManyValuesError
from sluice.quality.statistics.column_parts import spelled
from sluice.quality.statistics.profiles import (
    CATEGORICAL_MAX,
    DISCRETE_MAX,
    EDGE_SHARES,
    Categories,
    ColumnProfile,
    Distribution,
    Profile,
    bin_counts,
    categories_of,
    is_categorical,
    quantile_edges,
    rounded,
)

# Columns in one statement: GROUPING() distinguishes at most 64.
BATCH = 50
_SAMPLE_MAX = 10_000
_SAMPLE_MIN = 500
_SAMPLED_VALUES_MAX = 1_000_000
# Take more rows than the sample needs, so that chance hardly ever yields too few.
_SPARE = 1.5
_HASHES = 2**64
# The sample may have too few values of a column that is missing in most rows.
_FAIR_SAMPLE = 200
# Estimates of distinct values are off by a few percent.
ESTIMATE_ERROR = 1.2
# A sample of rows tells little about values if rows repeat this often.
_REPEATED = 10
_LABEL_COUNTS_MAX = 200_000
_FEW = {"string": CATEGORICAL_MAX, "boolean": CATEGORICAL_MAX}


@dataclass(frozen=True, slots=True)
class Column:
    """A column, its number of written cells, and SQL for its value and its number."""

    name: str
    type: ColumnType
    written: int | None
    baseline: ColumnProfile | None

    @property
    def value(self) -> str:
        return identifier(self.name)

    @property
    def number(self) -> str | None:
        """SQL for the numbers of its distribution."""
        match self.type:
            case "string":
                return f"CAST(length({self.value}) AS DOUBLE)"
            case "timestamp":
                return f"epoch({self.value})"
            case "boolean":
                return None
            case _:
                return f"CAST({self.value} AS DOUBLE)"

    @property
    def edges(self) -> tuple[float, ...] | None:
        """The baseline's edges to count between."""
        before = self.baseline
        if before is None or before.type != self.type or before.categories or not before.distribution:
            return None
        return before.distribution.edges


@dataclass(frozen=True, slots=True)
class _Summary:
    """A column's results of the first scan."""

    rows: int
    written: int
    present: int
    distinct: int
    least: float | None
    greatest: float | None
    mean: float | None
    std: float | None
    sample: Mapping[float, int]
    in_baseline: tuple[int, ...] | None
    is_repetitive: bool

    @property
    def is_sample_fair(self) -> bool:
        """Tell whether the sample's quantiles are near those of the column."""
        return not self.is_repetitive and sum(self.sample.values()) >= _FAIR_SAMPLE

    @property
    def is_sample_complete(self) -> bool:
        return sum(self.sample.values()) == self.present


def profile(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    columns: Mapping[str, ColumnType],
    *,
    rows: int,
    written: Mapping[str, int] | None = None,
    baseline: Profile | None = None,
) -> Profile:
    """Profile columns, with their types, of a relation with so many rows.

    `written` are the numbers of non-empty cells by column: those that are NULL here are invalid. With a
    baseline, values are also counted between its edges, for `drift.compare`.
    """
    given, before = written or {}, baseline.columns if baseline is not None else {}
    sources = [Column(name, type_, given.get(name), before.get(name)) for name, type_ in columns.items()]
    profiles: dict[str, ColumnProfile] = {}
    in_baseline: dict[str, tuple[int, ...]] = {}
    for start in range(0, len(sources), BATCH):
        scan = _Scan(connection, relation, sources[start : start + BATCH], rows, len(sources))
        scan.run(profiles, in_baseline)
    return Profile(rows, profiles, in_baseline)


def grouped(
    connection: duckdb.DuckDBPyConnection, relation: str, columns: Sequence[Column]
) -> dict[str, dict[Any, int]]:
    """Count every value of columns that have few, in one scan."""
    if not columns:
        return {}
    names = [f"v{index}" for index in range(len(columns))]
    inner = ", ".join(f"{c.value} AS {name}" for c, name in zip(columns, names, strict=True))
    sets = ", ".join(f"({name})" for name in names)
    found = connection.execute(
        f"SELECT grouping({', '.join(names)}), {', '.join(names)}, count(*) "
        f"FROM (SELECT {inner} FROM {relation}) GROUP BY GROUPING SETS ({sets})"
    )
    groups: dict[str, dict[Any, int]] = {column.name: {} for column in columns}
    everything = (1 << len(columns)) - 1
    while rows := found.fetchmany(10_000):
        for mask, *values, count in rows:
            # The grouped column's bit is clear; the first column has the highest bit.
            index = len(columns) - (everything ^ mask).bit_length()
            if values[index] is not None:
                groups[columns[index].name][values[index]] = count
    return groups


class _Scan:
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
        self._rows = rows
        self._sample_size = max(_SAMPLE_MIN, min(_SAMPLE_MAX, _SAMPLED_VALUES_MAX // of_columns))

    def run(self, profiles: dict[str, ColumnProfile], in_baseline: dict[str, tuple[int, ...]]) -> None:
        """Add the columns' profiles, and their counts in the baseline's edges."""
        summaries = self._summarize()
        few_valued = [c for c in self._columns if _has_few(c, summaries[c.name])]
        groups = grouped(self._connection, self._relation, few_valued)
        known = {c.name: _known(summaries[c.name], groups.get(c.name)) for c in self._columns}
        edges = self._edges(summaries, known)
        counts = self._count(edges, known)
        for column in self._columns:
            name, summary = column.name, summaries[column.name]
            distribution = None
            if name in edges:
                distribution = _distribution(summary, edges[name], counts[name], known[name])
            profiles[name] = _profile(column, summary, groups.get(name), distribution)
            before = self._baseline_counts(column, summary, groups.get(name))
            if before is not None:
                in_baseline[name] = before

    def _summarize(self) -> dict[str, _Summary]:
        """Make the first scan: counts, moments, a sample of rows, and counts between the baseline's edges."""
        digest = f"hash({', '.join(column.value for column in self._columns)})"
        numbers = f"[{', '.join(column.number or 'NULL::DOUBLE' for column in self._columns)}]"
        if self._rows > _SPARE * self._sample_size:
            # A row that is unlikely to be in the sample costs only its hash.
            likely = int(_HASHES * _SPARE * self._sample_size / self._rows)
            numbers = f"CASE WHEN {digest} < {likely} THEN {numbers} END"
        parts = [f"approx_count_distinct({digest})", f"arg_min({numbers}, {digest}, {self._sample_size})"]
        for column in self._columns:
            parts += [f"count({column.value})", f"approx_count_distinct({column.value})"]
            parts += [*moments(column.number), histogram_of(column.number, column.edges)]
        values = iter(self._one(parts))
        distinct_rows = next(values)
        samples = list(zip(*(next(values) or ()), strict=True)) or [()] * len(self._columns)
        is_repetitive = self._rows > max(self._sample_size, _REPEATED * distinct_rows)
        return {
            column.name: self._summary(column, values, sample, is_repetitive)
            for column, sample in zip(self._columns, samples, strict=True)
        }

    def _summary(
        self, column: Column, values: Iterator[Any], sample: Sequence[float | None], is_repetitive: bool
    ) -> _Summary:
        present, distinct, least, greatest, mean, std, histogram = (next(values) for _ in range(7))
        if least is not None and is_beyond_doubles(mean, std, least, greatest):
            mean, std = self._one(
                scaled(["avg", "stddev_pop"], column.number, max(abs(least), abs(greatest)))
            )
        edges = column.edges
        return _Summary(
            self._rows,
            present if column.written is None else column.written,
            present,
            min(distinct, present),
            least,
            greatest,
            mean,
            std,
            Counter(number for number in sample if number is not None),
            None if edges is None else in_order(histogram, edges),
            is_repetitive,
        )

    def _edges(
        self, summaries: Mapping[str, _Summary], known: Mapping[str, Mapping[float, int] | None]
    ) -> dict[str, tuple[float, ...]]:
        edges = {}
        for column in self._columns:
            summary, values = summaries[column.name], known[column.name]
            if summary.least is None:
                continue
            if values is not None and len(values) <= DISCRETE_MAX:
                edges[column.name] = tuple(sorted(values))
            elif values is None and not summary.is_sample_fair:
                edges[column.name] = self._exact_edges(column)
            else:
                edges[column.name] = quantile_edges(values or summary.sample)
        return edges

    def _exact_edges(self, column: Column) -> tuple[float, ...]:
        """Compute exact quantiles of one column at a time: they hold all its values in memory."""
        # Write decimals, for which DuckDB uses exact ranks.
        shares = ", ".join(str(float(share)) for share in EDGE_SHARES)
        (found,) = self._one([f"quantile_disc({column.number}, [{shares}])"])
        return tuple(dict.fromkeys(found))

    def _count(
        self, edges: Mapping[str, Sequence[float]], known: Mapping[str, Mapping[float, int] | None]
    ) -> dict[str, tuple[int, ...]]:
        """Count values between the edges, by another scan if they are not known one by one."""
        counts = {}
        unknown = [c for c in self._columns if c.name in edges and known[c.name] is None]
        for name, values in known.items():
            if name in edges and values is not None:
                counts[name] = bin_counts(values, edges[name])
        if unknown:
            found = self._one([histogram_of(c.number, edges[c.name]) for c in unknown])
            for column, histogram in zip(unknown, found, strict=True):
                counts[column.name] = in_order(histogram, edges[column.name])
        return counts

    def _baseline_counts(
        self, column: Column, summary: _Summary, values: Mapping[Any, int] | None
    ) -> tuple[int, ...] | None:
        before = column.baseline
        if before is None or before.type != column.type or before.categories is None:
            return summary.in_baseline
        names = before.categories.counts
        if values is None:
            known = listed(list(names), "string")
            values = dict(
                self._connection.execute(
                    f"SELECT {column.value}, count(*) FROM {self._relation} "
                    f"WHERE CAST({column.value} AS VARCHAR) IN ({known}) GROUP BY ALL"
                ).fetchall()
            )
        counts = {spelled(value): count for value, count in values.items()}
        return tuple(counts.get(name, 0) for name in names)

    def _one(self, parts: Sequence[str]) -> tuple[Any, ...]:
        row = self._connection.execute(f"SELECT {', '.join(parts)} FROM {self._relation}").fetchone()
        return tuple(row or ())


def _has_few(column: Column, summary: _Summary) -> bool:
    return 0 < summary.distinct <= _FEW.get(column.type, DISCRETE_MAX) * ESTIMATE_ERROR


def _known(summary: _Summary, values: Mapping[Any, int] | None) -> Mapping[float, int] | None:
    """Return the numbers of a distribution with their counts, if all are known."""
    if summary.is_sample_complete:
        return summary.sample
    if values is None:
        return None
    numbers: Counter[float] = Counter()
    for value, count in values.items():
        numbers[number_of(value)] += count
    return numbers


def number_of(value: Any) -> float:
    """Convert a value as `Column.number` does."""
    if isinstance(value, str):
        return float(len(value))
    if isinstance(value, datetime):
        return (value - datetime(1970, 1, 1)) / timedelta(seconds=1)
    return float(value)


def _distribution(
    summary: _Summary, edges: tuple[float, ...], counts: tuple[int, ...], values: Mapping[float, int] | None
) -> Distribution:
    mean, std = summary.mean or 0.0, summary.std or 0.0
    return Distribution(
        # 0.0 and -0.0 are equal: without this the order of rows would decide.
        min=(summary.least or 0.0) + 0.0,
        max=(summary.greatest or 0.0) + 0.0,
        mean=rounded(mean, max(abs(mean), std)),
        std=rounded(std, max(abs(mean), std)),
        edges=tuple(edge + 0.0 for edge in edges),
        counts=counts,
        is_discrete=values is not None and len(values) <= DISCRETE_MAX,
    )


def _profile(
    column: Column,
    summary: _Summary,
    values: Mapping[Any, int] | None,
    distribution: Distribution | None,
) -> ColumnProfile:
    if values is None and summary.is_sample_complete and column.type != "string":
        values = summary.sample
    return ColumnProfile(
        type=column.type,
        present=summary.present,
        missing=summary.rows - summary.written,
        invalid=summary.written - summary.present,
        distinct=summary.distinct if values is None else len(values),
        distinct_is_exact=values is not None or not summary.present,
        distribution=distribution,
        categories=_categories(column, summary, values),
    )


def _categories(column: Column, summary: _Summary, values: Mapping[Any, int] | None) -> Categories | None:
    if values is None or column.type not in _FEW:
        return None
    if column.type == "string" and not is_categorical(summary.present, len(values)):
        return None
    return categories_of({spelled(value): count for value, count in values.items()})


def moments(number: str | None) -> list[str]:
    return [f"{name}({number})" if number else "NULL" for name in ("min", "max", "avg", "stddev_pop")]


def histogram_of(number: str | None, edges: Sequence[float] | None) -> str:
    if number is None or not edges:
        return "NULL"
    return f"histogram({number}, [{', '.join(map(repr, edges))}]::DOUBLE[])"


def in_order(histogram: Mapping[float, int] | None, edges: Sequence[float]) -> tuple[int, ...]:
    """Order DuckDB's map of counts by upper edge; the last is infinite."""
    found = histogram or {}
    return tuple(found.get(edge, 0) for edge in (*edges, math.inf))


def label_counts(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    columns: Mapping[str, ColumnType],
    label: str,
    bias: Bias,
) -> tuple[tuple[LabelCount, ...], ...]:
    """Count rows by facet value, label and group, for each facet of the config, in one scan.

    `columns` are the relation's; any other has no value in any row. A facet with values or a threshold has
    the values true and false, as has a label with a favorable threshold. Ignores rows without a label or the
    facet's value. Raises TooManyValuesError.
    """

    def value(name: str) -> str:
        return identifier(name) if name in columns else "NULL"

    facets = bias.facet_models
    names = [f"f{index}" for index in range(len(facets))]
    outcome = value(label)
    if bias.favorable_threshold is not None:
        outcome = f"{outcome} > {bias.favorable_threshold!r}"
    stratum = f"CAST({value(bias.group)} AS VARCHAR)" if bias.group is not None else "NULL::VARCHAR"
    inner = ", ".join(
        f"{_facet(facet, value(facet.column), columns.get(facet.column))} AS {name}"
        for facet, name in zip(facets, names, strict=True)
    )
    sets = ", ".join(f"({name}, label, stratum)" for name in names)
    found = connection.execute(
        f"SELECT grouping({', '.join(names)}), {', '.join(names)}, label, stratum, count(*) "
        f"FROM (SELECT {inner}, {outcome} AS label, {stratum} AS stratum FROM {relation}) "
        f"WHERE label IS NOT NULL GROUP BY GROUPING SETS ({sets}) ORDER BY ALL LIMIT {_LABEL_COUNTS_MAX + 1}"
    ).fetchall()
    if len(found) > _LABEL_COUNTS_MAX:
        raise TooManyValuesError(f"more than {_LABEL_COUNTS_MAX} combinations of facet, label and group")
    counts: dict[int, list[LabelCount]] = defaultdict(list)
    everything = (1 << len(names)) - 1
    for mask, *values, label_value, stratum_value, count in found:
        index = len(names) - (everything ^ mask).bit_length()
        if values[index] is not None:
            counts[index].append(LabelCount(values[index], label_value, stratum_value, count))
    return tuple(tuple(counts[index]) for index in range(len(names)))


def _facet(facet: Facet, value: str, type_: ColumnType | None) -> str:
    if facet.values is not None:
        return f"{value} IN ({listed(facet.values, type_)})"
    if facet.threshold is not None:
        return f"{value} > {facet.threshold!r}"
    return value
