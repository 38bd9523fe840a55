"""Check that a column exists, with a value in each row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from pydantic import Field

from sluice.domain.config.checks.base import Circumstances, Constraint, Finding, Kind, within_tolerance
from sluice.domain.config.checks.messages import broken_rows, listed, shown


class Presence(Constraint):
    place: ClassVar[int] = 10

    required: bool = Field(False, description="whether the column must be present, with a value in each row")
    nullable: bool | None = Field(
        None, description="whether values may be missing; by default only if the column is not required"
    )

    @property
    def rows_need_value(self) -> bool:
        return self.required if self.nullable is None else not self.nullable

    def asked(self, *, is_label: bool) -> Iterator[tuple[str, Any]]:
        if self.required or is_label:
            yield "column", None
        if self.rows_need_value or is_label:
            yield "required", None


def _judge_column(finding: Finding, at: Circumstances) -> str | None:
    if within_tolerance(finding.check, finding.rows, at.rows):
        return None
    near = listed([repr(shown(name)) for name in finding.value or ()])
    return f"the column is missing, but there is {near}" if near else "the column is missing"


def _merge_names(some: Sequence[str] | None, others: Sequence[str] | None) -> list[str]:
    return sorted({*(some or ()), *(others or ())})


CONSTRAINTS = (Presence,)
KINDS = (
    Kind("column", _judge_column, merge=_merge_names, monitor="missing_column_check", of_names=True),
    Kind("required", broken_rows("without a value"), condition="{missing}", monitor="completeness_check"),
)
