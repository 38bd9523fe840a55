"""Check that enough of a column's values are in a list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from pydantic import Field

from sluice.domain.config.base import ScalarValue, is_of
from sluice.domain.config.checks.base import (
    Ask,
    Check,
    Circumstances,
    ColumnCheck,
    Finding,
    Kind,
    Loc,
    Typed,
)
from sluice.domain.config.checks.figures import added, share
from sluice.domain.config.checks.messages import listed, too_small_a_share
from sluice.domain.config.problems import Breach


class AllowedShareCheck(ColumnCheck):
    place: ClassVar[int] = 70

    check: Literal["allowed_share"] = Field(description="allowed_share")
    column: str = Field(description="a column of the schema")
    values: tuple[ScalarValue, ...] = Field(description="a list of values", min_length=1)
    min: float = Field(
        description="the least share of the column's values that are in the list, 0 to 1", ge=0, le=1
    )

    def asked(self, columns: Mapping[str, Typed]) -> Iterator[Check]:
        yield self.of_column("allowed_share", self.column, columns, self.min, self.values)

    def breaches(self, loc: Loc, columns: Mapping[str, Typed]) -> Iterator[Breach]:
        if self.column in columns:
            type_ = columns[self.column].type
            for value in self.values:
                if not is_of(type_, value):
                    yield Breach((*loc, "values"), f"has {value!r}", f"values of type {type_}")


def _measure(check: Check, ask: Ask) -> list[int] | None:
    if not ask.has_column:
        return None
    among = f"count(*) FILTER (WHERE {ask.column} IN ({ask.listed(check.argument)}))"
    return ask.counts(f"SELECT {among}, count(*) FROM data WHERE {ask.column} IS NOT NULL")


def _judge(finding: Finding, at: Circumstances) -> str | None:
    of_what = f"of the values are among {listed(finding.check.argument)}"
    return too_small_a_share(finding.value, finding.check.limit, of_what)


CHECKS = (AllowedShareCheck,)
KINDS = (
    Kind(
        "allowed_share",
        _judge,
        measure=_measure,
        monitor="categorical_values_check",
        value=share,
        merge=added,
    ),
)
