"""Check that enough rows have a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import ClassVar, Literal

from pydantic import Field

from sluice.domain.config.checks.base import Check, Circumstances, ColumnCheck, Finding, Kind, Typed, exact
from sluice.domain.config.checks.messages import too_small_a_share


class CompletenessCheck(ColumnCheck):
    place: ClassVar[int] = 10

    check: Literal["completeness"] = Field(description="completeness")
    column: str = Field(description="a column of the schema")
    min: float = Field(description="the least share of rows with a value, 0 to 1", ge=0, le=1)

    def asked(self, columns: Mapping[str, Typed]) -> Iterator[Check]:
        yield self.of_column("completeness", self.column, columns, self.min)


def _judge(finding: Finding, at: Circumstances) -> str | None:
    share = Fraction(at.rows - finding.rows, at.rows) if at.rows else Fraction(1)
    return too_small_a_share(share, finding.check.limit, "of the rows have a value")


def _is_kept(check: Check, breaking: int, rows: int) -> bool:
    return rows - breaking >= exact(check.limit) * rows


CHECKS = (CompletenessCheck,)
KINDS = (Kind("completeness", _judge, condition="{missing}", monitor="completeness_check", is_kept=_is_kept),)
