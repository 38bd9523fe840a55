"""Check the number of different values of a column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
)
from sluice.domain.config.checks.figures import counted_values, distinct, merged_values
from sluice.domain.config.checks.messages import NOWHERE, out_of_bounds
from sluice.domain.config.problems import Breach


class DistinctCountCheck(ColumnCheck):
    place: ClassVar[int] = 60

    check: Literal["distinct_count"] = Field(description="distinct_count")
    column: str = Field(description="a column of the schema")
    min: int | None = Field(None, description="the least number of different values", ge=0)
    max: int | None = Field(None, description="the greatest number of different values", ge=0)

    def asked(self, columns: Mapping[str, Typed]) -> Iterator[Check]:
        yield self.of_column("distinct_count", self.column, columns, (self.min, self.max))

    def breaches(self, loc: Loc, columns: Mapping[str, Typed]) -> Iterator[Breach]:
        yield from crossed(loc, self.min, self.max)


def _measure(check: Check, ask: Ask) -> Any:
    return counted_values(ask)


def _judge(finding: Finding, at: Circumstances) -> str | None:
    if finding.value is None:
        return NOWHERE
    text = f"{finding.value} different values"
    return out_of_bounds(finding.check.limit, finding.value, text, "fewer", "more")


CHECKS = (DistinctCountCheck,)
KINDS = (Kind("distinct_count", _judge, measure=_measure, merge=merged_values, value=distinct),)
