"""Check that a column's mean, std, minimum, maximum or quantile is within bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from sluice.domain.config.checks.base import (
    Ask,
    Check,
    Circumstances,
    ColumnCheck,
    Finding,
    Kind,
    Loc,
    Typed,
    crossed,
    exact,
)
from sluice.domain.config.checks.figures import merged_moments
from sluice.domain.config.checks.messages import measured, out_of_bounds
from sluice.domain.config.problems import Breach

_AGGREGATES = {"minimum": "min", "maximum": "max"}


class StatisticCheck(ColumnCheck):
    place: ClassVar[int] = 50

    check: Literal["mean", "std", "minimum", "maximum", "quantile"] = Field(
        description="mean, std, minimum, maximum or quantile"
    )
    column: str = Field(description="an integer or number column of the schema")
    q: float | None = Field(None, description="which quantile, 0 to 1 (0.5 is the median)", ge=0, le=1)
    min: int | float | None = Field(None, description="the least allowed value")
    max: int | float | None = Field(None, description="the greatest allowed value")

    def asked(self, columns: Mapping[str, Typed]) -> Iterator[Check]:
        yield self.of_column(self.check, self.column, columns, (self.min, self.max), self.q)

    def breaches(self, loc: Loc, columns: Mapping[str, Typed]) -> Iterator[Breach]:
        yield from crossed(loc, self.min, self.max)
        if self.column not in columns:
            return
        if (type_ := columns[self.column].type) not in {"integer", "number"}:
            yield Breach((*loc, "column"), f"is of type {type_}", "an integer or number column")
        if (self.check == "quantile") != (self.q is not None):
            expected = "q, which quantile" if self.q is None else "q with check quantile alone"
            yield Breach((*loc, "q"), f"does not suit {self.check}", expected)


def _measure_bound(check: Check, ask: Ask) -> float | None:
    return ask.moment(_AGGREGATES[check.kind]) if ask.has_column else None


def _measure_moment(check: Check, ask: Ask) -> dict[str, Any] | None:
    """Return the moments; for integers also the exact sum, as a mean may be exactly at its limit."""
    if not ask.has_column or not (count := ask.one(f"SELECT count({ask.column}) FROM data")):
        return None
    std = ask.moment("stddev_pop") if check.kind == "std" else None
    if check.type != "integer":
        return {"count": count, "mean": ask.moment("avg"), "std": std, "sum": None}
    total = int(ask.one(f"SELECT sum({ask.column}) FROM data"))
    return {"count": count, "mean": total / count, "std": std, "sum": str(total)}


def _merge_bounds(pick: Callable[[Iterable[float]], float]) -> Callable[[Any, Any], Any]:
    def merge(some: float | None, others: float | None) -> float | None:
        there = [value for value in (some, others) if value is not None]
        return pick(there) if there else None

    return merge


def _moment(name: str) -> Callable[[Any, Any], Any]:
    return lambda figure, now: None if figure is None else figure[name]


def _measure_quantile(check: Check, ask: Ask) -> Any:
    """Return the value of the nearest rank, by a sort: it spills; an aggregate would need all in memory."""
    if not ask.has_column:
        return None
    there = f"data WHERE {ask.column} IS NOT NULL"
    rank = max(0, math.ceil(exact(check.argument) * ask.one(f"SELECT count(*) FROM {there}")) - 1)
    return ask.one(f"SELECT {ask.column} FROM {there} ORDER BY {ask.column} LIMIT 1 OFFSET {rank}")


def _judge(finding: Finding, at: Circumstances) -> str | None:
    check = finding.check
    name = f"quantile {check.argument}" if check.kind == "quantile" else check.kind
    if finding.value is None:
        return f"there is no value to take the {name} of"
    text = f"the {name} is {measured(finding, at)}"
    return out_of_bounds(check.limit, finding.value, text, "less", "more")


CHECKS = (StatisticCheck,)
KINDS = (
    Kind("mean", _judge, measure=_measure_moment, value=_moment("mean"), merge=merged_moments),
    Kind("std", _judge, measure=_measure_moment, value=_moment("std"), merge=merged_moments),
    Kind("minimum", _judge, measure=_measure_bound, merge=_merge_bounds(min)),
    Kind("maximum", _judge, measure=_measure_bound, merge=_merge_bounds(max)),
    Kind("quantile", _judge, measure=_measure_quantile),
)
