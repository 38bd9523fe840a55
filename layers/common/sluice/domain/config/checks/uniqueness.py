"""Check that enough of a column's values are distinct."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from sluice.domain.config.checks.base import Ask, Check, Circumstances, ColumnCheck, Finding, Kind, Typed
from sluice.domain.config.checks.figures import counted_values, distinct_share, merged_values
from sluice.domain.config.checks.messages import too_small_a_share


class UniquenessCheck(ColumnCheck):
    place: ClassVar[int] = 20

    check: Literal["uniqueness"] = Field(description="uniqueness")
    column: str = Field(description="a column of the schema")
    min: float = Field(description="the least share of its values that are distinct, 0 to 1", ge=0, le=1)

    def asked(self, columns: Mapping[str, Typed]) -> Iterator[Check]:
        yield self.of_column("uniqueness", self.column, columns, self.min)


def _measure(check: Check, ask: Ask) -> Any:
    return counted_values(ask)


def _judge(finding: Finding, at: Circumstances) -> str | None:
    return too_small_a_share(finding.value, finding.check.limit, "of the values are distinct")


CHECKS = (UniquenessCheck,)
KINDS = (Kind("uniqueness", _judge, measure=_measure, merge=merged_values, value=distinct_share),)
