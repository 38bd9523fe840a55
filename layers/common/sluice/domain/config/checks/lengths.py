"""Check that text is neither too short nor too long."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from sluice.domain.config.checks.base import Constraint, Kind
from sluice.domain.config.checks.messages import broken_rows


class Lengths(Constraint):
    place: ClassVar[int] = 50

    min_length: int | None = Field(None, description="the least number of characters", ge=0)
    max_length: int | None = Field(None, description="the greatest number of characters", ge=0)

    def asked(self, *, is_label: bool) -> Iterator[tuple[str, Any]]:
        if self.min_length is not None:
            yield "min_length", self.min_length
        if self.max_length is not None:
            yield "max_length", self.max_length

    def misfits(self) -> Iterator[tuple[str, str, str]]:
        yield from self.misapplied(("string",), "min_length", "max_length")
        least, greatest = self.min_length, self.max_length
        if least is not None and greatest is not None and least > greatest:
            yield "min_length", f"is {least}", f"at most max_length, {greatest}"


CONSTRAINTS = (Lengths,)
KINDS = (
    Kind(
        "min_length",
        broken_rows(lambda check: f"shorter than {check.limit} characters"),
        "length({text}) < {limit}",
    ),
    Kind(
        "max_length",
        broken_rows(lambda check: f"longer than {check.limit} characters"),
        "length({text}) > {limit}",
    ),
)
