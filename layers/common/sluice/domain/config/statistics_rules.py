"""Rules between the statistics of a data contract and its columns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from sluice.domain.config.base import is_of
from sluice.domain.config.models import Column, Data, PipelineConfig
from sluice.domain.config.problems import Breach
from sluice.domain.config.statistics import Bias, BiasMetricName, Facet
from sluice.domain.nearest import nearest

_NUMBERS = ("integer", "number")
# Distances that are at most 1 for any data.
_BOUNDED = ("js", "ks", "chi_square", "l_infinity")
# The greatest possible distance from 0 of the bias metrics that are bounded.
_GREATEST: dict[BiasMetricName, float] = {
    "CI": 1,
    "DPL": 1,
    "JS": math.log(2),
    "LP": math.sqrt(2),
    "TVD": 1,
    "KS": 1,
    "CDDL": 1,
}
_OF_NUMBERS = ("ks", "wasserstein")
_FACET_TYPES = "a column of type string, integer, number or boolean"
_Loc = tuple[str | int, ...]


def sound_bias(config: PipelineConfig) -> Iterator[Breach]:
    """Require that facets, favorable outcome and group name columns, with values of the columns' types."""
    data, bias, loc = config.data, config.data.bias, ("data", "bias")
    if bias is None:
        return
    for index, facet in enumerate(bias.facet_models):
        named = isinstance(bias.facets[index], str)
        yield from _sound_facet((*loc, "facets", index), facet, data.columns, named=named)
    yield from _sound_label(loc, bias, data)
    for metric, limit in bias.limits.items():
        greatest = _GREATEST.get(metric, math.inf)
        if limit >= greatest:
            expected = f"less than {greatest:.4g}, the farthest that {metric} can be from 0"
            yield Breach((*loc, "limits", metric), f"is {limit:g}", expected)
    if bias.group is not None:
        yield from _known((*loc, "group"), bias.group, data.columns)
    elif "CDDL" in bias.limits:
        yield Breach((*loc, "limits", "CDDL"), "has no group", "group, the column to compare within")


def _sound_facet(loc: _Loc, facet: Facet, columns: Mapping[str, Column], *, named: bool) -> Iterator[Breach]:
    unknown = list(_known(loc if named else (*loc, "column"), facet.column, columns))
    if unknown:
        yield from unknown
        return
    type_ = columns[facet.column].type
    if type_ == "timestamp":
        yield Breach(
            loc if named else (*loc, "column"), f"is {facet.column!r}, of type timestamp", _FACET_TYPES
        )
    if facet.values is not None and facet.threshold is not None:
        yield Breach((*loc, "threshold"), "is given beside values", "one of the two")
    yield from _possible((*loc, "values"), facet.values or (), columns[facet.column])
    if facet.threshold is not None and type_ not in _NUMBERS:
        yield Breach((*loc, "threshold"), f"does not apply to type {type_}", "values")


def _sound_label(loc: _Loc, bias: Bias, data: Data) -> Iterator[Breach]:
    if (bias.favorable_labels is None) == (bias.favorable_threshold is None):
        message = (
            "has no favorable outcome" if bias.favorable_labels is None else "has two favorable outcomes"
        )
        yield Breach(loc, message, "favorable_labels or favorable_threshold")
    if (label := data.columns.get(data.label)) is None:
        return
    if label.type == "timestamp":
        yield Breach(loc, "has no outcomes in a label of type timestamp", "a label of another type")
        return
    yield from _possible((*loc, "favorable_labels"), bias.favorable_labels or (), label)
    if bias.favorable_threshold is not None and label.type not in _NUMBERS:
        expected = "favorable_labels"
        yield Breach((*loc, "favorable_threshold"), f"does not apply to type {label.type}", expected)


def sound_drift(config: PipelineConfig) -> Iterator[Breach]:
    """Require a method that suits the columns and a limit that suits the method."""
    drift, loc = config.data.drift, ("data", "drift")
    if drift is None:
        return
    if drift.method in _BOUNDED and drift.max >= 1:
        yield Breach((*loc, "max"), f"is {drift.max:g}", f"less than 1, the greatest {drift.method} there is")
    types = {name: column.type for name, column in config.data.columns.items()}
    for index, name in enumerate(drift.columns or ()):
        at = (*loc, "columns", index)
        yield from _known(at, name, types)
        if drift.method in _OF_NUMBERS and types.get(name) in ("string", "boolean"):
            expected = f"a column of numbers or times, which is what {drift.method} compares"
            yield Breach(at, f"is {name!r}, of type {types[name]}", expected)


def _known(loc: _Loc, column: str, columns: Mapping[str, object]) -> Iterator[Breach]:
    if column not in columns:
        yield Breach(loc, f"is {column!r}", f"one of {', '.join(columns)}", nearest(column, columns))


def _possible(loc: _Loc, values: tuple[object, ...], column: Column) -> Iterator[Breach]:
    """Refuse values that no row can have: of another type, or not allowed in the column."""
    for value in values:
        if not is_of(column.type, value):
            yield Breach(loc, f"has {value!r}", f"values of type {column.type}")
        elif column.allowed is not None and value not in column.allowed:
            known = [str(allowed) for allowed in column.allowed]
            expected = f"values that the column is allowed: {', '.join(known)}"
            yield Breach(loc, f"has {value!r}", expected, nearest(str(value), known))
