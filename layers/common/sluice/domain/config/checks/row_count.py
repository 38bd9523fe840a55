"""Check the number of rows, and its change since the last valid version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import ClassVar, Literal

from pydantic import Field

from sluice.domain.config.checks.base import (
    Check,
    Circumstances,
    DatasetCheck,
    Finding,
    Kind,
    Loc,
    Typed,
    crossed,
    exact,
)
from sluice.domain.config.checks.messages import out_of_bounds, rows, unlike
from sluice.domain.config.problems import Breach


class RowCountCheck(DatasetCheck):
    place: ClassVar[int] = 30

    check: Literal["row_count"] = Field(description="row_count")
    min: int | None = Field(None, description="the least number of rows", ge=0)
    max: int | None = Field(None, description="the greatest number of rows", ge=0)
    max_change: float | None = Field(
        None, description="the greatest change since the last valid version, as a share of its rows", ge=0
    )

    @property
    def asks_for_rows(self) -> bool:
        return self.severity == "fail" and (self.min or 0) > 0

    def asked(self, columns: Mapping[str, Typed]) -> Iterator[Check]:
        if self.min is not None or self.max is not None:
            yield Check("row_count", None, None, (self.min, self.max), severity=self.severity)
        if self.max_change is not None:
            yield Check("row_count_change", None, None, self.max_change, severity=self.severity)

    def breaches(self, loc: Loc, columns: Mapping[str, Typed]) -> Iterator[Breach]:
        if (self.min, self.max) != (None, None) or self.max_change is None:
            yield from crossed(loc, self.min, self.max)


def _judge(finding: Finding, at: Circumstances) -> str | None:
    return out_of_bounds(finding.check.limit, at.rows, rows(at.rows), "fewer", "more")


def _judge_change(finding: Finding, at: Circumstances) -> str | None:
    if not at.previous_rows:
        return None
    limit, change = finding.check.limit, Fraction(abs(at.rows - at.previous_rows), at.previous_rows)
    if change <= exact(limit):
        return None
    said = f"a change of {unlike(float(change), limit)}, more than {limit}"
    return f"{rows(at.rows)} after {at.previous_rows}, {said}"


CHECKS = (RowCountCheck,)
KINDS = (
    Kind("row_count", _judge, of_all=True),
    Kind("row_count_change", _judge_change, of_all=True),
)
