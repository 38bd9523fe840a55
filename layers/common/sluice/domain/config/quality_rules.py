"""What must hold between the checks of a data contract and its columns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sluice.domain.config.base import is_of
from sluice.domain.config.models import (
    AllowedShareCheck,
    Data,
    DistinctCountCheck,
    FreshnessCheck,
    PipelineConfig,
    QualityCheck,
    RowCountCheck,
    SqlCheck,
    StatisticCheck,
)
from sluice.domain.config.problems import Breach
from sluice.domain.nearest import nearest

_QUERY = re.compile(r"\s*(select|with|from)\b", re.IGNORECASE)
# What both strptime and DuckDB's engine know.
_DIRECTIVES = frozenset("aAbBdmyYHIpMSfzZj%")
_Loc = tuple[str | int, ...]


def known_columns(config: PipelineConfig) -> Iterator[Breach]:
    """Every column that is named anywhere in the contract is one of its schema."""
    columns = config.data.columns
    for loc, column in _named(config.data):
        if column not in columns:
            yield Breach(loc, f"is {column!r}", f"one of {', '.join(columns)}", nearest(column, columns))


def _named(data: Data) -> Iterator[tuple[_Loc, str]]:
    yield ("data", "label"), data.label
    for index, name in enumerate(data.redact):
        yield ("data", "redact", index), name
    for index, key in enumerate(data.keys):
        yield from ((("data", "keys", index, at), name) for at, name in enumerate(key))
    for index, check in enumerate(data.quality):
        if not isinstance(check, RowCountCheck | SqlCheck):
            yield ("data", "quality", index, "column"), check.column


def distinct_columns(config: PipelineConfig) -> Iterator[Breach]:
    """Names differ in more than case: queries tell columns apart as SQL does."""
    seen: dict[str, str] = {}
    for name in config.data.columns:
        if (other := seen.setdefault(name.casefold(), name)) != name:
            yield Breach(("data", "schema", name), f"differs from {other!r} in case only", "another name")


def sound_csv(config: PipelineConfig) -> Iterator[Breach]:
    """A delimiter is no quote, and what is said of CSV files is said of nothing else."""
    data = config.data
    if data.csv.delimiter == data.csv.quote:
        yield Breach(("data", "csv", "quote"), "is the delimiter too", "another character")
    if data.format != "csv" and "csv" in data.model_fields_set:
        yield Breach(("data", "csv"), f"is given with format {data.format}", "format: csv with it")


def sound_formats(config: PipelineConfig) -> Iterator[Breach]:
    """A timestamp's format has only directives that the engine knows, and at least one."""
    for name, column in config.data.columns.items():
        if column.format is None:
            continue
        directives = re.findall(r"%(.?)", column.format)
        if not directives or not _DIRECTIVES.issuperset(directives):
            loc = ("data", "schema", name, "format")
            yield Breach(loc, f"is {column.format!r}", "directives of strptime, such as '%d/%m/%Y %H:%M'")


def sound_quality(config: PipelineConfig) -> Iterator[Breach]:
    """A quality check has a bound, in order, and suits its column's type."""
    for index, check in enumerate(config.data.quality):
        loc = ("data", "quality", index)
        yield from _bounded(loc, check)
        yield from _suited(loc, check, config.data)
        if isinstance(check, SqlCheck) and not _QUERY.match(check.query):
            yield Breach((*loc, "query"), "is no query", "a SELECT over the relation `data`")


def distinct_queries(config: PipelineConfig) -> Iterator[Breach]:
    """A report tells queries apart by their names."""
    first: dict[str, int] = {}
    for index, check in enumerate(config.data.quality):
        if isinstance(check, SqlCheck) and first.setdefault(check.name, index) != index:
            loc = ("data", "quality", index, "name")
            yield Breach(loc, f"is {check.name!r} again", "a name of its own")


def _bounded(loc: _Loc, check: QualityCheck) -> Iterator[Breach]:
    if not isinstance(check, RowCountCheck | StatisticCheck | DistinctCountCheck):
        return
    bounds: list[Any] = [check.min, check.max]
    change = check.max_change if isinstance(check, RowCountCheck) else None
    if check.min is None and check.max is None and change is None:
        yield Breach(loc, "has neither min nor max", "at least one of them")
    elif None not in bounds and bounds[0] > bounds[1]:
        yield Breach((*loc, "min"), f"is {check.min}", f"at most max, {check.max}")


def _suited(loc: _Loc, check: QualityCheck, data: Data) -> Iterator[Breach]:
    if isinstance(check, RowCountCheck | SqlCheck) or check.column not in data.columns:
        return
    type_ = data.columns[check.column].type
    if isinstance(check, StatisticCheck):
        if type_ not in {"integer", "number"}:
            yield Breach((*loc, "column"), f"is of type {type_}", "an integer or number column")
        if (check.check == "quantile") != (check.q is not None):
            expected = "q, which quantile" if check.q is None else "q with check quantile alone"
            yield Breach((*loc, "q"), f"does not suit {check.check}", expected)
    if isinstance(check, FreshnessCheck) and type_ != "timestamp":
        yield Breach((*loc, "column"), f"is of type {type_}", "a timestamp column")
    if isinstance(check, AllowedShareCheck):
        wrong = [value for value in check.values if not is_of(type_, value)]
        yield from (Breach((*loc, "values"), f"has {value!r}", f"values of type {type_}") for value in wrong)
