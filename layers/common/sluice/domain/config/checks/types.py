"""Check that values can be read as their column's type; timestamps may have a format."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from sluice.domain.config.base import ColumnType
from sluice.domain.config.checks.base import Check, Constraint, Kind
from sluice.domain.config.checks.messages import broken_rows

# Directives that both strptime and DuckDB know.
_DIRECTIVES = frozenset("aAbBdmyYHIpMSfzZj%")


class Type(Constraint):
    place: ClassVar[int] = 0

    type: ColumnType = Field(description="string, integer, number, boolean or timestamp")


class Readable(Constraint):
    place: ClassVar[int] = 20

    def asked(self, *, is_label: bool) -> Iterator[tuple[str, Any]]:
        if self.type != "string":
            yield "type", None


class Format(Constraint):
    place: ClassVar[int] = 70

    format: str | None = Field(
        None, description="how a timestamp is written, such as '%d/%m/%Y'; by default ISO 8601"
    )

    def misfits(self) -> Iterator[tuple[str, str, str]]:
        yield from self.misapplied(("timestamp",), "format")
        if self.format is not None:
            directives = re.findall(r"%(.?)", self.format)
            if not directives or not _DIRECTIVES.issuperset(directives):
                expected = "directives of strptime, such as '%d/%m/%Y %H:%M'"
                yield "format", f"is {self.format!r}", expected


def _phrase(check: Check) -> str:
    return f"not of type {check.type}" + (f", written {check.format}" if check.format else "")


CONSTRAINTS = (Type, Readable, Format)
KINDS = (Kind("type", broken_rows(_phrase), condition="{invalid}", monitor="data_type_check"),)
