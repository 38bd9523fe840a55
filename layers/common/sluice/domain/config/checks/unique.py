"""Check that a value, or a combination of values, occurs only once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from sluice.domain.config.checks.base import Ask, Check, Circumstances, Constraint, Finding, Kind
from sluice.domain.config.checks.messages import NOWHERE, broken_rows, shown


class Unique(Constraint):
    place: ClassVar[int] = 80

    unique: bool = Field(False, description="whether each value may occur only once")

    def asked(self, *, is_label: bool) -> Iterator[tuple[str, Any]]:
        if self.unique:
            yield "unique", None


def _never(check: Check, breaking: int, rows: int) -> bool:
    """Blame each object that has a repeated value: rows repeat each other."""
    return False


def _count_values(check: Check, ask: Ask) -> None:
    ask.count_repeats([check.column or ""])


def _count_keys(check: Check, ask: Ask) -> list[str]:
    """Count repeated keys; returns the columns of the key that no file has, of which there are none then."""
    absent = ask.lacks(check.limit)
    if not absent:
        ask.count_repeats(check.limit)
    return absent


def _judge_keys(finding: Finding, at: Circumstances) -> str | None:
    if finding.value:
        return f"{NOWHERE} {' nor '.join(map(shown, finding.value))}"
    return broken_rows("with values that occur together before")(finding, at)


CONSTRAINTS = (Unique,)
KINDS = (
    Kind("unique", broken_rows("with a value that occurs before"), measure=_count_values, is_kept=_never),
    Kind("key", _judge_keys, measure=_count_keys),
)
