"""Check the age of a column's newest time."""

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
    NeedsWholeError,
    Typed,
)
from sluice.domain.config.problems import Breach

# In this form times sort as text.
_FORMAT = "%Y-%m-%dT%H:%M:%S.%f"
_TO_SECONDS = 19
_LATER_MAX = 100


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


def _measure(check: Check, ask: Ask) -> dict[str, Any] | None:
    """Return the newest past time, the oldest time, and the future ones, which will be past one day."""
    if not ask.has_column:
        return None
    until = ask.now.astimezone(UTC).replace(tzinfo=None) if ask.now else datetime.max
    column = ask.column
    newest = ask.one(f"SELECT {_text(f'max({column})')} FROM data WHERE {column} <= TIMESTAMP '{until}'")
    oldest = ask.one(f"SELECT {_text(f'min({column})')} FROM data")
    to_come = f"SELECT DISTINCT {column} AS t FROM data WHERE {column} > TIMESTAMP '{until}'"
    later = ask.all(f"SELECT {_text('t')} FROM ({to_come}) ORDER BY t LIMIT {_LATER_MAX + 1}")
    return {"newest": newest, "oldest": oldest, "later": later}


def _text(time: str) -> str:
    return f"strftime({time}, '{_FORMAT}')"


def _merge(some: dict[str, Any] | None, others: dict[str, Any] | None) -> dict[str, Any] | None:
    if some is None or others is None:
        return some or others
    later = sorted({*some["later"], *others["later"]})
    if len(later) > _LATER_MAX:
        raise NeedsWholeError(f"there are more than {_LATER_MAX} times to come")
    newest = [time for time in (some["newest"], others["newest"]) if time is not None]
    oldest = [time for time in (some["oldest"], others["oldest"]) if time is not None]
    return {"newest": max(newest, default=None), "oldest": min(oldest, default=None), "later": later}


def _newest(figure: dict[str, Any] | None, now: datetime | None) -> str | None:
    """Return the newest past time: future times do not tell the data's age, unless there is no other."""
    if figure is None:
        return None
    until = now.astimezone(UTC).strftime(_FORMAT) if now else ""
    come = [time for time in (figure["newest"], *figure["later"]) if time and (time <= until or not now)]
    newest: str | None = max(come, default=figure["oldest"])
    return None if newest is None else newest[:_TO_SECONDS]


def _judge(finding: Finding, at: Circumstances) -> str | None:
    if finding.value is None:
        return "there is no time to tell the age of the data by"
    if at.now is None:
        return None
    newest = datetime.fromisoformat(finding.value)
    age_s = (at.now - (newest if newest.tzinfo else newest.replace(tzinfo=UTC))).total_seconds()
    if age_s < -1:
        # The newest time has no fractions of seconds.
        return "all times lie in the future, so the age of the data is not known"
    if age_s <= finding.check.limit:
        return None
    if finding.check.column in at.hidden:
        return f"the newest value is more than {finding.check.limit} s old"
    return f"the newest value is {age_s:.0f} s old, more than {finding.check.limit}"


CHECKS = (FreshnessCheck,)
KINDS = (Kind("freshness", _judge, measure=_measure, value=_newest, merge=_merge),)
