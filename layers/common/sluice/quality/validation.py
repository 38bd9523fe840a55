"""Validation without its engine: list the checks that a data contract asks for, and judge their findings.

A missing value breaks only `required` and `completeness`; all other checks look at existing values. A value
that cannot be read as its column's type breaks only `type`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sluice.domain import canonical
from sluice.domain.config.base import Severity
from sluice.domain.config.checks import CONSTRAINTS, KINDS
from sluice.domain.config.checks.base import Check, Circumstances, Finding, RowRef
from sluice.domain.config.checks.messages import VALUE_MAX, shown, twins
from sluice.domain.config.models import Column, Data
from sluice.lazy import dataclass

__all__ = [
    "EXAMPLES_MAX",
    "VALUE_MAX",
    "Check",
    "CheckKind",
    "DataFile",
    "Finding",
    "Report",
    "RowRef",
    "Violation",
    "checks",
    "report",
    "shown",
    "twins",
    "unreadable",
]

EXAMPLES_MAX = 5
CheckKind = str


@dataclass(frozen=True, slots=True)
class DataFile:
    """A local file with an object's content."""

    key: str
    path: Path


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken check, or a part of the data that cannot be read (check `format`).

    `objects` are the sorted keys of the objects that break it; empty if the whole does.
    """

    column: str | None
    check: str
    message: str
    rows: int
    examples: tuple[RowRef, ...] = ()
    severity: Severity = "fail"
    objects: tuple[str, ...] = ()

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Violation:
        """Parse what a report's `to_json` wrote."""
        examples = tuple(RowRef(**row) for row in found["examples"])
        return cls(**{**found, "examples": examples, "objects": tuple(found.get("objects", ()))})

    def within(self, key: str) -> Violation:
        """Return the violation with only the examples in one object."""
        return replace(self, examples=tuple(row for row in self.examples if row.object == key))

    def __str__(self) -> str:
        """Say where, but never a value: this is also logged and stored in the catalog."""
        where = ""
        if self.examples:
            first = self.examples[0]
            # An object lacks a column, not a row.
            where = f" (in {first.object})" if self.check == "column" else f" (such as {first})"
        return f"{shown(self.column)}: {self.message}{where}" if self.column else f"{self.message}{where}"


@dataclass(frozen=True, slots=True)
class Report:
    """Whether the data set keeps its contract, all violations, and the number of checks.

    `untold` names columns with too few rows to tell whether they drifted.
    """

    rows: int
    violations: tuple[Violation, ...]
    checks: int = 0
    untold: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: bytes) -> Report:
        """Parse what `to_json` wrote, without its sections of statistics."""
        found = json.loads(data)
        return cls(found["rows"], tuple(map(Violation.of, found["violations"])), found["checks"])

    @property
    def is_valid(self) -> bool:
        return not any(violation.severity == "fail" for violation in self.violations)

    @property
    def is_readable(self) -> bool:
        """Whether any row could be read."""
        return self.rows > 0 or all(violation.check != "format" for violation in self.violations)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons why the data set is rejected."""
        return tuple(str(violation) for violation in self.violations if violation.severity == "fail")

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(str(violation) for violation in self.violations if violation.severity == "warn")

    def offenders(self, new: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Return which new keys of a rejected version to quarantine, each with its reasons.

        These are the objects that violations name: they may also be why a check of the whole fails, which is
        made again without them. If no violation names a new object, all new ones are quarantined: a rejection
        must quarantine at least one, or the same data would be built for ever.
        """
        reasons: dict[str, list[str]] = defaultdict(list)
        for violation in self.violations:
            if violation.severity == "fail":
                for key in violation.objects:
                    reasons[key].append(str(violation.within(key)))
        named = {key: tuple(reasons[key]) for key in new if key in reasons}
        return named or dict.fromkeys(new, self.reasons)

    def with_violations(self, violations: Iterable[Violation]) -> Report:
        """Return the report with more violations, such as drift."""
        return replace(self, violations=(*self.violations, *violations))

    def to_json(self, **sections: Any) -> bytes:
        """Write the report with sections of statistics, as plain JSON; omit sections that are None."""
        violations = [asdict(violation) for violation in self.violations]
        head = {"is_valid": self.is_valid, "rows": self.rows, "checks": self.checks}
        given = {name: section for name, section in sections.items() if section is not None}
        return canonical.to_json({**head, "violations": violations, **given})


def checks(data: Data) -> tuple[Check, ...]:
    """Return all checks of a data contract; the label is always required, and empty data never pass."""
    return tuple(_checks(data))


def _checks(data: Data) -> Iterator[Check]:
    for name, column in data.columns.items():
        yield from _column_checks(name, column, is_label=name == data.label)
    if data.extra != "allow":
        yield Check("extra", None, None, tuple(data.columns), severity=data.extra)
    for key in data.keys:
        yield Check("key", ", ".join(key), None, key)
    for check in data.quality:
        yield from check.asked(data.columns)
    if not any(check.asks_for_rows for check in data.quality):
        yield Check("row_count", None, None, (1, None))


def _column_checks(name: str, column: Column, *, is_label: bool) -> Iterator[Check]:
    for constraint in CONSTRAINTS:
        # Each asks for its own checks.
        for kind, limit in constraint.asked(column, is_label=is_label):
            # A column either exists or not.
            tolerance = 0.0 if kind == "column" else column.tolerance
            yield Check(
                kind,
                name,
                column.type,
                limit,
                format=column.format,
                severity=column.severity,
                tolerance=tolerance,
            )


def unreadable(
    message: str, rows: int = 0, examples: Sequence[RowRef] = (), *, object: str | None = None
) -> Violation:
    """Make the violation for what the engine could not read in the contract's format; `object` is a key."""
    objects = () if object is None else (object,)
    return Violation(None, "format", message, rows, tuple(examples[:EXAMPLES_MAX]), objects=objects)


def report(
    rows: int,
    findings: Iterable[Finding],
    problems: Sequence[Violation] = (),
    *,
    object_rows: Mapping[str, int] | None = None,
    previous_rows: int | None = None,
    now: datetime | None = None,
    redact: Iterable[str] = (),
) -> Report:
    """Judge the findings in `rows` rows; `problems` are what could not be read at all.

    `object_rows` are the rows of each object, by key: the tolerance also applies to each object's own rows.
    `previous_rows` are those of the last valid version; freshness is measured at `now`; `redact` names the
    columns whose values are not shown.
    """
    found = tuple(findings)
    if problems and not rows:
        # If no data can be read, only names of columns are known.
        found = tuple(finding for finding in found if KINDS[finding.check.kind].of_names)
    hidden = frozenset(redact)
    at = Circumstances(rows, object_rows or {}, previous_rows, now, hidden)
    broken = (_judge(finding, at) for finding in found)
    violations = (_show(violation, hidden) for violation in broken if violation)
    return Report(rows, (*problems, *dict.fromkeys(violations)), len(found))


def _judge(finding: Finding, at: Circumstances) -> Violation | None:
    check, kind = finding.check, KINDS[finding.check.kind]
    message = kind.judge(finding, at)
    if message is None:
        return None
    rows = at.rows if kind.of_all else finding.rows
    examples = finding.examples[:EXAMPLES_MAX]
    return Violation(
        check.column, check.kind, message, rows, examples, check.severity, _offending(finding, at.object_rows)
    )


def _offending(finding: Finding, object_rows: Mapping[str, int]) -> tuple[str, ...]:
    """Return the objects that break a check in more than the tolerated share of their own rows."""
    is_kept = KINDS[finding.check.kind].is_kept
    breaking = {key: rows for key, rows in finding.by_object.items() if rows}
    beyond = [
        key for key, rows in breaking.items() if not is_kept(finding.check, rows, object_rows.get(key, 0))
    ]
    # If the whole exceeds the tolerance, at least one object does.
    return tuple(sorted(beyond or breaking))


def _show(violation: Violation, hidden: frozenset[str]) -> Violation:
    def example(row: RowRef) -> RowRef:
        hide = row.value is None or violation.column in hidden
        return replace(row, value=None if hide or row.value is None else shown(row.value))

    return replace(violation, examples=tuple(map(example, violation.examples)))
