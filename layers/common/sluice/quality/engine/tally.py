"""Add up findings over the files of a data set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any

from sluice.lazy import dataclass
from sluice.quality.engine.limits import COLUMNS_MAX
from sluice.quality.validation import EXAMPLES_MAX, Check, Finding, RowRef, Violation


@dataclass(frozen=True, slots=True)
class Inspection:
    """The result of a scan of all files: readable rows, a finding for each check, and what was unreadable.

    `object_rows` has the rows of each object that could be opened; `written` the non-empty cells of each
    column, of any type. Findings' values come from `figures`.
    """

    rows: int
    findings: tuple[Finding, ...]
    problems: tuple[Violation, ...]
    columns: tuple[str, ...] = ()
    object_rows: Mapping[str, int] = field(default_factory=dict)
    written: Mapping[str, int] = field(default_factory=dict)
    figures: Mapping[Check, Any] = field(default_factory=dict)


class Tally:
    """Adds up findings over the files."""

    def __init__(self, asked: Iterable[Check], errors: Mapping[Check, str] | None = None) -> None:
        """Begin with why some checks cannot be used."""
        self.rows = 0
        self.object_rows: dict[str, int] = {}
        self.written: dict[str, int] = defaultdict(int)
        self.problems: list[Violation] = []
        self.extra: set[str] = set()
        self.values: dict[Check, Any] = {}
        self.figures: dict[Check, Any] = {}
        self.errors: dict[Check, str] = dict(errors or {})
        self._checks = tuple(asked)
        self._counts: dict[Check, int] = defaultdict(int)
        self._by_object: dict[Check, dict[str, int]] = defaultdict(dict)
        self._examples: dict[Check, list[RowRef]] = defaultdict(list)

    def count(self, check: Check, rows: int) -> None:
        """Add rows that break a check, of no particular object."""
        self._counts[check] += rows

    def add(self, check: Check, key: str, rows: int, examples: Iterable[RowRef]) -> None:
        """Add rows of an object that break a check."""
        self.count(check, rows)
        self.blame(check, {key: rows}, examples)

    def blame(self, check: Check, by_object: Mapping[str, int], examples: Iterable[RowRef]) -> None:
        """Note which objects have rows that break a check, and examples of these."""
        self._by_object[check] |= {key: rows for key, rows in by_object.items() if rows}
        self._examples[check] += list(examples)[: self.room(check)]

    def room(self, check: Check) -> int:
        """Return how many more examples of the check are wanted."""
        return EXAMPLES_MAX - len(self._examples[check])

    @classmethod
    def sum(cls, asked: Sequence[Check], errors: Mapping[Check, str], parts: Iterable[Tally]) -> Tally:
        """Add up what was counted in different files, before figures are measured."""
        whole = cls(asked, errors)
        for part in parts:
            whole._take(part)
        return whole

    def _take(self, others: Tally) -> None:
        self.rows += others.rows
        self.object_rows |= others.object_rows
        self.problems += others.problems
        self.extra |= set(sorted(others.extra)[: COLUMNS_MAX - len(self.extra)])
        for name, cells in others.written.items():
            self.written[name] += cells
        for check, names in others.values.items():
            self.values[check] = tuple(sorted({*names, *self.values.get(check, ())}))
        for check in self._checks:
            self.count(check, others._counts[check])
            self.blame(check, others._by_object[check], others._examples[check])

    def inspection(self, columns: tuple[str, ...]) -> Inspection:
        findings = tuple(
            Finding(
                check,
                self._counts[check],
                tuple(self._examples[check]),
                self.values.get(check),
                self.errors.get(check),
                self._by_object[check],
            )
            for check in self._checks
        )
        problems = tuple(self.problems)
        return Inspection(
            self.rows,
            findings,
            problems,
            columns,
            self.object_rows,
            self.written,
            {**self.values, **self.figures},
        )
