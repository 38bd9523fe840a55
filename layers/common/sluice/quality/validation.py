"""Validation without its engine: which checks a data contract asks for, and what their findings mean.

A missing value breaks `required` and `completeness` alone; every other check is about the values that are
there. A value that cannot be read as its column's type breaks `type` alone.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from sluice.domain import canonical
from sluice.domain.config.base import Severity
from sluice.domain.config.models import (
    AllowedShareCheck,
    Column,
    CompletenessCheck,
    Data,
    DistinctCountCheck,
    FreshnessCheck,
    QualityCheck,
    RowCountCheck,
    SqlCheck,
    StatisticCheck,
    UniquenessCheck,
)
from sluice.quality.shares import exact

# The rows of each object, beside the manifest and not in it: a version is known before anything is read.
ROWS = "rows.json"

CheckKind = Literal[
    "column",
    "extra",
    "required",
    "type",
    "allowed",
    "min",
    "max",
    "min_length",
    "max_length",
    "pattern",
    "unique",
    "key",
    "completeness",
    "uniqueness",
    "row_count",
    "row_count_change",
    "freshness",
    "mean",
    "std",
    "minimum",
    "maximum",
    "quantile",
    "distinct_count",
    "allowed_share",
    "sql",
]
EXAMPLES_MAX = 5
VALUE_MAX = 80
# Parts of words and emoji in some scripts, though nothing to see by themselves.
_JOINERS = "\u200c\u200d"


@dataclass(frozen=True, slots=True)
class DataFile:
    """An object's content as a file."""

    key: str
    path: Path


@dataclass(frozen=True, slots=True)
class Check:
    """One check; `limit` is what is held against the data: a bound, a length, a pattern, a tuple of values.

    A tuple (least, greatest), either None, for row_count, distinct_count and statistics; the least share for
    completeness, uniqueness and allowed_share; the columns for key and extra (those that are known).
    `argument` is what a check needs besides: a quantile's q, allowed_share's values, a query. `format` is how
    a timestamp is written. `tolerance` is the share of rows that may break it.
    """

    kind: CheckKind
    column: str | None
    type: str | None
    limit: Any = None
    argument: Any = None
    format: str | None = None
    severity: Severity = "fail"
    tolerance: float = 0.0


@dataclass(frozen=True, slots=True)
class RowRef:
    """A row: its object's key, its number there, from 1, a header not counted, and its violating value."""

    object: str
    row: int
    value: str | None = None

    def __str__(self) -> str:
        return f"{self.object} row {self.row}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What the engine counted for a check: the rows that break it, and a few of them.

    column: 1 row if the column is missing. completeness: the rows without a value. `value` is what was
    measured where that is no count of rows: a statistic, a share (a Fraction), the newest time, the names of
    the columns that are extra, or nearly that of the one that is missing; None where there is nothing to
    measure. `error` is why a query could not be run, or a pattern not be used.
    `by_object` are the rows that break it by the key of their object: 1 for an object that lacks a column or
    has an extra one, each object that holds a row of a repeated value; none for a check of the whole.
    """

    check: Check
    rows: int
    examples: tuple[RowRef, ...] = ()
    value: Any = None
    error: str | None = None
    by_object: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken check, or a part of the data that cannot be read (check `format`).

    `objects` are the keys of those that break it, in their order; none where the whole does.
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
        """Read what a report's `to_json` wrote."""
        examples = tuple(RowRef(**row) for row in found["examples"])
        return cls(**{**found, "examples": examples, "objects": tuple(found.get("objects", ()))})

    def within(self, key: str) -> Violation:
        """The violation with only those of its examples that are the object's."""
        return replace(self, examples=tuple(row for row in self.examples if row.object == key))

    def __str__(self) -> str:
        """Says where, and never a value: this is also logged and kept in the catalog."""
        where = ""
        if self.examples:
            first = self.examples[0]
            # A column is missing in an object, not in a row.
            where = f" (in {first.object})" if self.check == "column" else f" (such as {first})"
        return f"{shown(self.column)}: {self.message}{where}" if self.column else f"{self.message}{where}"


@dataclass(frozen=True, slots=True)
class Report:
    """Whether the data set keeps its contract, each violation, and how many checks were made.

    `untold` names columns of which there are too few rows to tell whether they drifted.
    """

    rows: int
    violations: tuple[Violation, ...]
    checks: int = 0
    untold: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: bytes) -> Report:
        """Read what `to_json` wrote, without its sections of statistics."""
        found = json.loads(data)
        return cls(found["rows"], tuple(map(Violation.of, found["violations"])), found["checks"])

    @property
    def is_valid(self) -> bool:
        return not any(violation.severity == "fail" for violation in self.violations)

    @property
    def is_readable(self) -> bool:
        """Whether there is any row of what was given."""
        return self.rows > 0 or all(violation.check != "format" for violation in self.violations)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the data set is rejected."""
        return tuple(str(violation) for violation in self.violations if violation.severity == "fail")

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(str(violation) for violation in self.violations if violation.severity == "warn")

    def offenders(self, new: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Of the keys that are new in a rejected version those to set aside, each with its reasons.

        They are what violations name. A check of the whole may be broken by just these, and is made again
        without them; only if no violation names a new object, all are to blame: a rejection sets one aside at
        least, or the same data would be built for ever.
        """
        reasons: dict[str, list[str]] = defaultdict(list)
        for violation in self.violations:
            if violation.severity == "fail":
                for key in violation.objects:
                    reasons[key].append(str(violation.within(key)))
        named = {key: tuple(reasons[key]) for key in new if key in reasons}
        return named or dict.fromkeys(new, self.reasons)

    def with_violations(self, violations: Iterable[Violation]) -> Report:
        """The report with what else was found, such as drift."""
        return replace(self, violations=(*self.violations, *violations))

    def to_json(self, **sections: Any) -> bytes:
        """The report with sections of statistics, plain JSON values; one that is None is left out."""
        violations = [asdict(violation) for violation in self.violations]
        head = {"is_valid": self.is_valid, "rows": self.rows, "checks": self.checks}
        given = {name: section for name, section in sections.items() if section is not None}
        return canonical.to_json({**head, "violations": violations, **given})


def checks(data: Data) -> tuple[Check, ...]:
    """All checks of a data contract; the label is always required, and no data at all never pass."""
    return tuple(_checks(data))


def _checks(data: Data) -> Iterator[Check]:
    for name, column in data.columns.items():
        yield from _column_checks(name, column, is_label=name == data.label)
    if data.extra != "allow":
        yield Check("extra", None, None, tuple(data.columns), severity=data.extra)
    for key in data.keys:
        yield Check("key", ", ".join(key), None, key)
    for check in data.quality:
        yield from _quality_checks(check, data.columns)
    if not any(map(_asks_for_rows, data.quality)):
        yield Check("row_count", None, None, (1, None))


def _asks_for_rows(check: QualityCheck) -> bool:
    """Whether a check of the contract's own rejects a data set without rows."""
    return isinstance(check, RowCountCheck) and check.severity == "fail" and (check.min or 0) > 0


def _column_checks(name: str, column: Column, *, is_label: bool) -> Iterator[Check]:
    asked: list[tuple[CheckKind, Any]] = []
    if column.required or is_label:
        asked.append(("column", None))
    if column.rows_need_value or is_label:
        asked.append(("required", None))
    if column.type != "string":
        asked.append(("type", None))
    limits: dict[CheckKind, Any] = {
        "allowed": column.allowed,
        "min": column.min,
        "max": column.max,
        "min_length": column.min_length,
        "max_length": column.max_length,
        "pattern": column.pattern,
    }
    asked += [(kind, limit) for kind, limit in limits.items() if limit is not None]
    if column.unique:
        asked.append(("unique", None))
    for kind, limit in asked:
        yield Check(
            kind,
            name,
            column.type,
            limit,
            format=column.format,
            severity=column.severity,
            # A column is there or is not.
            tolerance=0.0 if kind == "column" else column.tolerance,
        )


def _quality_checks(check: QualityCheck, columns: Mapping[str, Column]) -> Iterator[Check]:
    match check:
        case RowCountCheck():
            if check.min is not None or check.max is not None:
                yield Check("row_count", None, None, (check.min, check.max), severity=check.severity)
            if check.max_change is not None:
                yield Check("row_count_change", None, None, check.max_change, severity=check.severity)
        case SqlCheck():
            yield Check(
                "sql",
                None,
                None,
                check.name,
                check.query,
                severity=check.severity,
                tolerance=check.tolerance,
            )
        case _:
            limit, argument = _limit_and_argument(check)
            column = columns[check.column]
            yield Check(
                check.check, check.column, column.type, limit, argument, column.format, check.severity
            )


def _limit_and_argument(
    check: CompletenessCheck
    | UniquenessCheck
    | FreshnessCheck
    | StatisticCheck
    | DistinctCountCheck
    | AllowedShareCheck,
) -> tuple[Any, Any]:
    match check:
        case CompletenessCheck() | UniquenessCheck():
            return check.min, None
        case AllowedShareCheck():
            return check.min, check.values
        case FreshnessCheck():
            return check.max_age_s, None
        case StatisticCheck():
            return (check.min, check.max), check.q
        case DistinctCountCheck():
            return (check.min, check.max), None


def unreadable(
    message: str, rows: int = 0, examples: Sequence[RowRef] = (), *, object: str | None = None
) -> Violation:
    """What the engine could not read as the contract's format, and of which object, by its key."""
    objects = () if object is None else (object,)
    return Violation(None, "format", message, rows, tuple(examples[:EXAMPLES_MAX]), objects=objects)


def shown(value: str) -> str:
    """A value as a report may show it: capped, and without characters that a terminal or page would obey."""
    capped = value if len(value) <= VALUE_MAX else value[: VALUE_MAX - 1] + "…"
    return "".join(c if c.isprintable() or c in _JOINERS else _escaped(c) for c in capped)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


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
    """Judge the findings over `rows` rows; `problems` are what could not be read at all.

    `object_rows` are the rows of each object, by key: what an object may break is a share of its own.
    `previous_rows` are those of the last valid version, `now` is what freshness is measured against,
    `redact` names the columns whose values are not shown.
    """
    found = tuple(findings)
    if problems and not rows:
        # Of data that cannot be read nothing is known but names of columns.
        found = tuple(finding for finding in found if finding.check.kind in {"column", "extra"})
    hidden = frozenset(redact)
    at = _Circumstances(rows, object_rows or {}, previous_rows, now, hidden)
    broken = (_judge(finding, at) for finding in found)
    violations = (_show(violation, hidden) for violation in broken if violation)
    return Report(rows, (*problems, *dict.fromkeys(violations)), len(found))


@dataclass(frozen=True, slots=True)
class _Circumstances:
    rows: int
    object_rows: Mapping[str, int]
    previous_rows: int | None
    now: datetime | None
    hidden: frozenset[str]

    def spelled(self, check: Check, value: float) -> str:
        """What was measured, with as many digits as tell it from the check's limits, unless it is hidden."""
        return "redacted" if check.column in self.hidden else _unlike(value, check.limit)


def _judge(finding: Finding, at: _Circumstances) -> Violation | None:
    message = _message(finding, at)
    if message is None:
        return None
    check = finding.check
    rows = at.rows if check.kind in {"row_count", "row_count_change"} else finding.rows
    examples = finding.examples[:EXAMPLES_MAX]
    return Violation(
        check.column, check.kind, message, rows, examples, check.severity, _offending(finding, at.object_rows)
    )


def _offending(finding: Finding, object_rows: Mapping[str, int]) -> tuple[str, ...]:
    """The objects that break a check in more than the tolerated share of their own rows."""
    breaking = {key: rows for key, rows in finding.by_object.items() if rows}
    beyond = [key for key, rows in breaking.items() if _offends(finding.check, rows, object_rows.get(key, 0))]
    # If the whole is beyond it, one of its objects is.
    return tuple(sorted(beyond or breaking))


def _offends(check: Check, breaking: int, rows: int) -> bool:
    match check.kind:
        case "completeness":
            return rows - breaking < exact(check.limit) * rows
        case "unique":
            # A repeated value is between rows: each object that holds one has its part in it.
            return True
        case _:
            return breaking > exact(check.tolerance) * rows


def _show(violation: Violation, hidden: frozenset[str]) -> Violation:
    def example(row: RowRef) -> RowRef:
        hide = row.value is None or violation.column in hidden
        return replace(row, value=None if hide or row.value is None else shown(row.value))

    return replace(violation, examples=tuple(map(example, violation.examples)))


def _message(finding: Finding, at: _Circumstances) -> str | None:
    """What is wrong, or None."""
    check = finding.check
    judge = _JUDGES.get(check.kind)
    if judge is not None:
        return judge(finding, at)
    if finding.error is not None:
        what = "pattern cannot be used" if check.kind == "pattern" else "query could not be run"
        return f"{check.limit}: the {what}: {finding.error}"
    tolerated = finding.rows <= exact(check.tolerance) * at.rows
    return None if tolerated else _broken_rows(check, finding)


def _judge_row_count(finding: Finding, at: _Circumstances) -> str | None:
    return _out_of_bounds(finding.check.limit, at.rows, _rows(at.rows), "fewer", "more")


def _judge_row_count_change(finding: Finding, at: _Circumstances) -> str | None:
    if not at.previous_rows:
        return None
    limit, change = finding.check.limit, Fraction(abs(at.rows - at.previous_rows), at.previous_rows)
    if change <= exact(limit):
        return None
    said = f"a change of {_unlike(float(change), limit)}, more than {limit}"
    return f"{_rows(at.rows)} after {at.previous_rows}, {said}"


def _judge_completeness(finding: Finding, at: _Circumstances) -> str | None:
    share = Fraction(at.rows - finding.rows, at.rows) if at.rows else Fraction(1)
    return _too_small_a_share(share, finding.check.limit, "of the rows have a value")


def _judge_uniqueness(finding: Finding, at: _Circumstances) -> str | None:
    return _too_small_a_share(finding.value, finding.check.limit, "of the values are distinct")


def _judge_allowed_share(finding: Finding, at: _Circumstances) -> str | None:
    of_what = f"of the values are among {_listed(finding.check.argument)}"
    return _too_small_a_share(finding.value, finding.check.limit, of_what)


def _judge_freshness(finding: Finding, at: _Circumstances) -> str | None:
    if finding.value is None:
        return "there is no time to tell the age of the data by"
    if at.now is None:
        return None
    newest = datetime.fromisoformat(finding.value)
    age_s = (at.now - (newest if newest.tzinfo else newest.replace(tzinfo=UTC))).total_seconds()
    if age_s < -1:
        # Fractions of seconds are left out of the newest time.
        return "all times lie in the future, so the age of the data is not known"
    if age_s <= finding.check.limit:
        return None
    if finding.check.column in at.hidden:
        return f"the newest value is more than {finding.check.limit} s old"
    return f"the newest value is {age_s:.0f} s old, more than {finding.check.limit}"


def _judge_distinct_count(finding: Finding, at: _Circumstances) -> str | None:
    if finding.value is None:
        # Of a file that cannot be read, which is said.
        return None
    text = f"{finding.value} different values"
    return _out_of_bounds(finding.check.limit, finding.value, text, "fewer", "more")


def _judge_statistic(finding: Finding, at: _Circumstances) -> str | None:
    check = finding.check
    name = f"quantile {check.argument}" if check.kind == "quantile" else check.kind
    if finding.value is None:
        return f"there is no value to take the {name} of"
    text = f"the {name} is {at.spelled(check, finding.value)}"
    return _out_of_bounds(check.limit, finding.value, text, "less", "more")


def _judge_extra(finding: Finding, at: _Circumstances) -> str | None:
    names = finding.value or ()
    if not names:
        return None
    listed = _listed(tuple(_extra(name, finding.check.limit) for name in names))
    return f"{'1 column' if len(names) == 1 else f'{len(names)} columns'} not in the schema: {listed}"


def twins(name: str, names: Iterable[str]) -> tuple[str, ...]:
    """Names that are the same but for case and the spaces around."""
    return tuple(other for other in names if other.strip().casefold() == name.strip().casefold())


def _extra(name: str, known: Iterable[str]) -> str:
    """A column's name, with the one of the schema that it nearly is."""
    text = shown(name)
    meant = next((f" (the schema has {other!r})" for other in twins(name, known)), "")
    return (text if text and text == text.strip() else repr(text)) + meant


_JUDGES: dict[str, Callable[[Finding, _Circumstances], str | None]] = {
    "row_count": _judge_row_count,
    "row_count_change": _judge_row_count_change,
    "completeness": _judge_completeness,
    "uniqueness": _judge_uniqueness,
    "allowed_share": _judge_allowed_share,
    "freshness": _judge_freshness,
    "distinct_count": _judge_distinct_count,
    **dict.fromkeys(("mean", "std", "minimum", "maximum", "quantile"), _judge_statistic),
    "extra": _judge_extra,
}


def _out_of_bounds(limit: Any, value: float, text: str, below: str, above: str) -> str | None:
    least, greatest = limit
    # NaN, which is neither, is not within bounds.
    if least is not None and not value >= least:
        return f"{text}, {below} than {least}"
    if greatest is not None and not value <= greatest:
        return f"{text}, {above} than {greatest}"
    return None


def _too_small_a_share(share: Fraction | None, least: float, of_what: str) -> str | None:
    if share is None or share >= exact(least):
        return None
    return f"{_unlike(float(share), least)} {of_what}, fewer than {least}"


def _unlike(value: float, limits: Any) -> str:
    """A number in few digits, but never so few that it looks like a limit it is not."""
    if isinstance(value, int):
        return str(value)
    beside = [
        float(limit) for limit in (limits if isinstance(limits, tuple) else (limits,)) if limit is not None
    ]
    texts = (f"{value:.{digits}g}" for digits in (6, 9, 12))
    return next((text for text in texts if float(text) == value or float(text) not in beside), repr(value))


def _broken_rows(check: Check, finding: Finding) -> str:
    if check.kind == "column":
        near = _listed([repr(shown(name)) for name in finding.value or ()])
        return f"the column is missing, but there is {near}" if near else "the column is missing"
    phrases: dict[str, str] = {
        "required": "without a value",
        "type": f"not of type {check.type}" + (f", written {check.format}" if check.format else ""),
        "allowed": f"not one of {_listed(check.limit) if check.kind == 'allowed' else ''}",
        "min": f"below {check.limit}",
        "max": f"above {check.limit}",
        "min_length": f"shorter than {check.limit} characters",
        "max_length": f"longer than {check.limit} characters",
        "pattern": f"not like {check.limit}",
        "unique": "with a value that occurs before",
        "key": "with values that occur together before",
        "sql": f"returned by the query {check.limit!r}",
    }
    tolerance = f", more than {check.tolerance} of all" if check.tolerance else ""
    return f"{_rows(finding.rows)} {phrases[check.kind]}{tolerance}"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _listed(values: Any) -> str:
    texts = ", ".join(map(str, values[:10]))
    return texts if len(values) <= 10 else f"{texts}, ..."
