"""Check that values are among the allowed ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from sluice.domain.config.base import ScalarValue, is_of
from sluice.domain.config.checks.base import Constraint, Kind
from sluice.domain.config.checks.messages import broken_rows, listed


class Allowed(Constraint):
    place: ClassVar[int] = 30

    allowed: tuple[ScalarValue, ...] | None = Field(
        None, description="the values that are allowed", min_length=1
    )

    def asked(self, *, is_label: bool) -> Iterator[tuple[str, Any]]:
        if self.allowed is not None:
            yield "allowed", self.allowed

    def misfits(self) -> Iterator[tuple[str, str, str]]:
        for value in self.allowed or ():
            if not is_of(self.type, value):
                yield "allowed", f"has {value!r}", f"values of type {self.type}"


CONSTRAINTS = (Allowed,)
KINDS = (
    Kind(
        "allowed",
        broken_rows(lambda check: f"not one of {listed(check.limit)}"),
        condition="{typed} NOT IN ({limits})",
        monitor="categorical_values_check",
    ),
)
