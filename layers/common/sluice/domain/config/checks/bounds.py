"""Check that values are within bounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from sluice.domain.config.base import ScalarValue, is_of
from sluice.domain.config.checks.base import Constraint, Kind
from sluice.domain.config.checks.messages import broken_rows

_TYPES = ("integer", "number", "timestamp")


class Bounds(Constraint):
    place: ClassVar[int] = 40

    min: ScalarValue | None = Field(None, description="the least value (a timestamp in ISO 8601)")
    max: ScalarValue | None = Field(None, description="the greatest value")

    def asked(self, *, is_label: bool) -> Iterator[tuple[str, Any]]:
        if self.min is not None:
            yield "min", self.min
        if self.max is not None:
            yield "max", self.max

    def misfits(self) -> Iterator[tuple[str, str, str]]:
        yield from self.misapplied(_TYPES, "min", "max")
        for field, value in (("min", self.min), ("max", self.max)):
            if value is not None and self.type in _TYPES and not is_of(self.type, value):
                yield field, f"is {value!r}", f"a value of type {self.type}"
        least, greatest = self.min, self.max
        # Bounds of different types were reported before.
        if least is not None and type(least) is type(greatest) and least > greatest:  # type: ignore[operator]
            yield "min", f"is {least}", f"at most max, {greatest}"


CONSTRAINTS = (Bounds,)
KINDS = (
    Kind("min", broken_rows(lambda check: f"below {check.limit}"), "{typed} < {limit}"),
    Kind("max", broken_rows(lambda check: f"above {check.limit}"), "{typed} > {limit}"),
)
