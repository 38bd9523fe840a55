"""Check that text matches a regular expression."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from sluice.domain.config import patterns
from sluice.domain.config.checks.base import Constraint, Kind
from sluice.domain.config.checks.messages import broken_rows


class Pattern(Constraint):
    place: ClassVar[int] = 60

    pattern: str | None = Field(None, description="a regular expression that the whole value matches")

    def asked(self, *, is_label: bool) -> Iterator[tuple[str, Any]]:
        if self.pattern is not None:
            yield "pattern", self.pattern

    def misfits(self) -> Iterator[tuple[str, str, str]]:
        yield from self.misapplied(("string",), "pattern")
        if self.pattern is not None and (problem := patterns.problem(self.pattern)):
            yield "pattern", problem, "a regular expression"


CONSTRAINTS = (Pattern,)
KINDS = (
    Kind(
        "pattern",
        broken_rows(lambda check: f"not like {check.limit}", unusable="pattern cannot be used"),
        "NOT regexp_full_match({text}, {limit})",
    ),
)
