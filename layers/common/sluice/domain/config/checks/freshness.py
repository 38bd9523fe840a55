"""How old the newest of a column's times is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
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
)
from sluice.domain.config.problems import Breach


class FreshnessCheck(ColumnCheck):
    place: ClassVar[int] = 40

    check: Literal["freshness"] = Field(description="freshness")
    column: str = Field(description="a timestamp column of the schema")
    max_age_s: int = Field(description="the greatest age in seconds of its newest value", ge=1)

    def asked(self, columns: Mapping[str, Typed]) -> Iterator[Check]:
        yield self.of_column("freshness", self.column, columns, self.max_age_s)

    def breaches(self, loc: Loc, columns: Mapping[str, Typed]) -> Iterator[Breach]:
        if self.column in columns and (type_ := columns[self.column].type) != "timestamp":
            yield Breach((*loc, "column"), f"is of type {type_}", "a timestamp column")


def _measure(check: Check, ask: Ask) -> Any:
    if not ask.has_column:
        return None
    # Times to come say nothing of the age of the data, unless there is no other.
    until = ask.now.astimezone(UTC).replace(tzinfo=None) if ask.now else datetime.max
    column = ask.column
    newest = f"coalesce(max({column}) FILTER ({column} <= TIMESTAMP '{until}'), min({column}))"
    return ask.one(f"SELECT strftime({newest}, '%Y-%m-%dT%H:%M:%S') FROM data")


def _judge(finding: Finding, at: Circumstances) -> str | None:
    if finding.value is None:
        return "there is no time to tell the age of the data by"
    if at.now is None:
        return None
    newest = datetime.fromisoformat(finding.value)
    age_s = (at.now - (newest if newest.tzinfo else newest.replace(tzinfo=UTC))).total_seconds()
    if age_s < -1:
        # Fractions of seconds are left out of the newest time.
        return "all times lie in the future, so the age of the data is not known"
    if age_s <= finding.check.limit:
        return None
    if finding.check.column in at.hidden:
        return f"the newest value is more than {finding.check.limit} s old"
    return f"the newest value is {age_s:.0f} s old, more than {finding.check.limit}"


CHECKS = (FreshnessCheck,)
KINDS = (Kind("freshness", _judge, measure=_measure),)
