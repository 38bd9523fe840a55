"""Validation without its engine: which checks a data contract asks for, and what their findings mean.

A missing value breaks `required` and `completeness` alone; every other check is about the values that are
there. A value that cannot be read as its column's type breaks `type` alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sluice.domain import canonical
from sluice.domain.config.models import Column, CompletenessCheck, Data

CheckKind = Literal[
    "column",
    "required",
    "type",
    "allowed",
    "min",
    "max",
    "min_length",
    "max_length",
    "pattern",
    "unique",
    "completeness",
    "row_count",
]
EXAMPLES_MAX = 5


@dataclass(frozen=True, slots=True)
class Check:
    """One check; `limit` is what values are held against: a bound, a length, a pattern or a tuple of values.

    column: the column exists. unique: every occurrence of a value but its first breaks it. completeness:
    `limit` is the least share of rows with a value. row_count: `limit` is (least, greatest), either None.
    """

    kind: CheckKind
    column: str | None
    type: str | None
    limit: Any = None


@dataclass(frozen=True, slots=True)
class RowRef:
    """A row: its object's key and its number there, from 1, a header not counted."""

    object: str
    row: int

    def __str__(self) -> str:
        return f"{self.object} row {self.row}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What the engine counted for a check: the rows that break it, and a few of them.

    column: 1 row if the column is missing. completeness: the rows without a value. row_count: not counted.
    """

    check: Check
    rows: int
    examples: tuple[RowRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken check, or a part of the data that cannot be read (check `format`)."""

    column: str | None
    check: str
    message: str
    rows: int
    examples: tuple[RowRef, ...] = ()

    def __str__(self) -> str:
        where = f" (such as {self.examples[0]})" if self.examples else ""
        return f"{self.column}: {self.message}{where}" if self.column else f"{self.message}{where}"


@dataclass(frozen=True, slots=True)
class Report:
    """Whether the data set keeps its contract, and each violation."""

    rows: int
    violations: tuple[Violation, ...]

    @property
    def is_valid(self) -> bool:
        return not self.violations

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(map(str, self.violations))

    def to_json(self) -> bytes:
        violations = [asdict(violation) for violation in self.violations]
        return canonical.to_json({"is_valid": self.is_valid, "rows": self.rows, "violations": violations})


def checks(data: Data) -> tuple[Check, ...]:
    """All checks of a data contract; the label is always required, and no data at all never pass."""
    return tuple(_checks(data))


def _checks(data: Data) -> Iterator[Check]:
    for name, column in data.columns.items():
        yield from _column_checks(name, column, required=column.required or name == data.label)
    for check in data.quality:
        if isinstance(check, CompletenessCheck):
            yield Check("completeness", check.column, data.columns[check.column].type, check.min)
        else:
            yield Check("row_count", None, None, (check.min, check.max))
    yield Check("row_count", None, None, (1, None))


def _column_checks(name: str, column: Column, *, required: bool) -> Iterator[Check]:
    if required:
        yield Check("column", name, column.type)
        yield Check("required", name, column.type)
    if column.type != "string":
        yield Check("type", name, column.type)
    limits: dict[CheckKind, Any] = {
        "allowed": column.allowed,
        "min": column.min,
        "max": column.max,
        "min_length": column.min_length,
        "max_length": column.max_length,
        "pattern": column.pattern,
    }
    for kind, limit in limits.items():
        if limit is not None:
            yield Check(kind, name, column.type, limit)
    if column.unique:
        yield Check("unique", name, column.type)


def unreadable(message: str, rows: int = 0, examples: Sequence[RowRef] = ()) -> Violation:
    """What the engine could not read as the contract's format."""
    return Violation(None, "format", message, rows, tuple(examples[:EXAMPLES_MAX]))


def report(rows: int, findings: Iterable[Finding], problems: Sequence[Violation] = ()) -> Report:
    """Judge the findings over `rows` rows; `problems` are what could not be read at all."""
    broken = (_judge(finding, rows) for finding in findings)
    return Report(rows, (*problems, *dict.fromkeys(violation for violation in broken if violation)))


def _judge(finding: Finding, rows: int) -> Violation | None:
    check = finding.check
    if check.kind == "row_count":
        return _judge_row_count(check, rows)
    if check.kind == "completeness":
        return _judge_completeness(finding, rows)
    if finding.rows == 0:
        return None
    return _violation(finding, _message(check, finding.rows))


def _judge_row_count(check: Check, rows: int) -> Violation | None:
    least, greatest = check.limit
    if least is not None and rows < least:
        return Violation(None, "row_count", f"{_rows(rows)}, fewer than {least}", rows)
    if greatest is not None and rows > greatest:
        return Violation(None, "row_count", f"{_rows(rows)}, more than {greatest}", rows)
    return None


def _judge_completeness(finding: Finding, rows: int) -> Violation | None:
    share = 1 - finding.rows / rows if rows else 1.0
    if share >= finding.check.limit:
        return None
    return _violation(finding, f"{share:.4g} of the rows have a value, fewer than {finding.check.limit}")


def _violation(finding: Finding, message: str) -> Violation:
    check = finding.check
    return Violation(check.column, check.kind, message, finding.rows, finding.examples[:EXAMPLES_MAX])


def _message(check: Check, rows: int) -> str:
    if check.kind == "column":
        return "the column is missing"
    phrases: dict[str, str] = {
        "required": "without a value",
        "type": f"not of type {check.type}",
        "allowed": f"not one of {_listed(check.limit)}",
        "min": f"below {check.limit}",
        "max": f"above {check.limit}",
        "min_length": f"shorter than {check.limit} characters",
        "max_length": f"longer than {check.limit} characters",
        "pattern": f"not like {check.limit}",
        "unique": "with a value that occurs before",
    }
    return f"{_rows(rows)} {phrases[check.kind]}"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _listed(values: Any) -> str:
    shown = ", ".join(map(str, values[:10])) if isinstance(values, tuple) else ""
    return shown if not isinstance(values, tuple) or len(values) <= 10 else f"{shown}, ..."
