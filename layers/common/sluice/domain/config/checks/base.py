"""The parts of a family of checks: what the contract says, what is counted, and how that is judged.

Each module of this package has one family. `CHECKS` are its models in `data.quality`, `CONSTRAINTS` its parts
of a column's contract, and `KINDS` the kinds of checks that these ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from pydantic import Field

from sluice.domain.config.base import ColumnType, Model, Severity
from sluice.domain.config.problems import Breach
from sluice.lazy import dataclass

Loc = tuple[str | int, ...]
# The kinds of SageMaker Model Monitor's constraint_violations.json.
MonitorCheck = Literal[
    "data_type_check",
    "completeness_check",
    "baseline_drift_check",
    "missing_column_check",
    "extra_column_check",
    "categorical_values_check",
]


@dataclass(frozen=True, slots=True)
class Check:
    """One check; `limit` is what the data are compared with: a bound, a length, a pattern, a tuple of values.

    For row_count, distinct_count and statistics it is a tuple (least, greatest), either may be None; for
    completeness, uniqueness and allowed_share the least share; for key its columns; for extra the known
    ones. `argument` is what else a check needs: a quantile's q, allowed_share's values, a query. `format` is
    how a timestamp is written. `tolerance` is the share of rows that may break it.
    """

    kind: str
    column: str | None
    type: str | None
    limit: Any = None
    argument: Any = None
    format: str | None = None
    severity: Severity = "fail"
    tolerance: float = 0.0


@dataclass(frozen=True, slots=True)
class RowRef:
    """A row: its object's key, its number there (from 1, without the header), and its violating value."""

    object: str
    row: int
    value: str | None = None

    def __str__(self) -> str:
        return f"{self.object} row {self.row}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What the engine counted for a check: the number of rows that break it, and some examples.

    column: 1 row if the column is missing. completeness: the rows without a value. `value` is a measure that
    is not a count of rows: a statistic, a share (a Fraction), the newest time, the names of extra columns, or
    the name closest to a missing column; None if there is nothing to measure. `error` is why a query or a
    pattern could not be used.
    `by_object` are the rows that break it, by object key: 1 for an object that lacks a column or has an extra
    one; repeated values count in each object that has one; empty for a check of the whole.
    """

    check: Check
    rows: int
    examples: tuple[RowRef, ...] = ()
    value: Any = None
    error: str | None = None
    by_object: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a finding is judged by besides its check; `hidden` are the columns whose values are not shown."""

    rows: int
    object_rows: Mapping[str, int] = field(default_factory=dict)
    previous_rows: int | None = None
    now: datetime | None = None
    hidden: frozenset[str] = frozenset()


class Ask(Protocol):
    """The data, for a check that needs more than counts of rows.

    SQL sees the relation `data`: all rows, with their columns' types; values of another type are NULL.
    """

    @property
    def now(self) -> datetime | None: ...

    @property
    def has_column(self) -> bool:
        """Whether any file has the check's column."""
        ...

    def lacks(self, columns: Iterable[str]) -> list[str]:
        """Return those of the columns that no file has."""
        ...

    @property
    def column(self) -> str:
        """The check's column, quoted for SQL."""
        ...

    def listed(self, values: Iterable[Any]) -> str:
        """Write values of the column's type as SQL for IN ()."""
        ...

    def one(self, sql: str) -> Any:
        """Return the first value of a query, None if there is none."""
        ...

    def all(self, sql: str) -> list[Any]:
        """Return the first value of each row of a query."""
        ...

    def counts(self, sql: str) -> list[int]:
        """Return the counts in the one row of a query."""
        ...

    def moment(self, aggregate: str) -> float | None:
        """Compute an aggregate of the column's numbers, such as avg, without an overflow."""
        ...

    def extra_names(self) -> tuple[str, ...]:
        """Return the columns that the contract does not name."""
        ...

    def count_repeats(self, key: Sequence[str]) -> None:
        """Count the rows whose values of these columns occurred before, and note which."""
        ...

    def count_returned(self, query: str) -> None:
        """Count the rows that a contract's query returns, or note why it could not be run."""
        ...


Judge = Callable[[Finding, Circumstances], str | None]


def exact(number: float) -> Fraction:
    """Return a limit as it was written: no float is 0.805, and 805 of 1,000 is just that."""
    return Fraction(str(number))


def within_tolerance(check: Check, breaking: int, rows: int) -> bool:
    return breaking <= exact(check.tolerance) * rows


def _as_it_is(figure: Any, now: datetime | None) -> Any:
    return figure


class NeedsWholeError(Exception):
    """Results of parts of the data do not determine the result of the whole."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of check, by its name in reports.

    `judge` says what is wrong, or None. `condition` is SQL for a row that breaks it, with {missing},
    {invalid}, {text}, {typed} of the column's cell and {limit} or {limits} of the check. `measure` computes a
    figure that is not a count of rows, as plain JSON. `merge` combines the figures of two parts of the data;
    without it, all data are read whenever some are new. `value` is a figure's value at the present time.
    `is_kept` tells whether rows of one object keep the check. `of_names`: it is about names of columns.
    `of_all`: its message is about all rows. `monitor` is Model Monitor's name.
    """

    name: str
    judge: Judge
    condition: str | None = None
    measure: Callable[[Check, Ask], Any] | None = None
    monitor: MonitorCheck | None = None
    is_kept: Callable[[Check, int, int], bool] = within_tolerance
    of_names: bool = False
    of_all: bool = False
    value: Callable[[Any, datetime | None], Any] = _as_it_is
    merge: Callable[[Any, Any], Any] | None = None

    @property
    def needs_whole(self) -> bool:
        """Whether it must see all data at once, as results of parts do not suffice."""
        return self.measure is not None and self.merge is None


class Typed(Protocol):
    """A column's contract, as checks of a data set see it."""

    @property
    def type(self) -> ColumnType: ...

    @property
    def format(self) -> str | None: ...


class DatasetCheck(Model):
    """A check of the data set as a whole; `place` is its place in lists of checks."""

    place: ClassVar[int] = 1000

    severity: Severity = Field("fail", description="fail (reject the data set) or warn (only report it)")

    @property
    def asks_for_rows(self) -> bool:
        """Whether it rejects a data set without rows."""
        return False

    def asked(self, columns: Mapping[str, Typed]) -> Iterator[Check]:
        """Yield the checks that it asks for."""
        raise NotImplementedError

    def breaches(self, loc: Loc, columns: Mapping[str, Typed]) -> Iterator[Breach]:
        """Yield what is inconsistent in it, or does not fit the columns."""
        return iter(())

    @classmethod
    def breaches_together(cls, all_of_them: Sequence[tuple[Loc, DatasetCheck]]) -> Iterator[Breach]:
        """Yield conflicts between such checks and the others of a contract."""
        return iter(())


class ColumnCheck(DatasetCheck):
    """A check of all values of a column together."""

    def of_column(
        self, kind: str, column: str, columns: Mapping[str, Typed], limit: Any, argument: Any = None
    ) -> Check:
        contract = columns[column]
        return Check(kind, column, contract.type, limit, argument, contract.format, self.severity)


if TYPE_CHECKING:
    _Part = Model
else:
    # A part is not a model: each model would take a millisecond of every cold start.
    _Part = object


class Constraint(_Part):
    """A part of the model of a column's contract; `place` is its place in lists of checks."""

    place: ClassVar[int] = 1000

    if TYPE_CHECKING:
        type: ColumnType

    def asked(self, *, is_label: bool) -> Iterator[tuple[str, Any]]:
        """Yield the kinds of checks that it asks for, with their limits."""
        return iter(())

    def misfits(self) -> Iterator[tuple[str, str, str]]:
        """Yield what does not fit the column's type: a field, what is wrong, and what was expected."""
        return iter(())

    def misapplied(self, types: Sequence[str], *names: str) -> Iterator[tuple[str, str, str]]:
        """Yield the fields that are given though they apply only to other types."""
        for name in names:
            if getattr(self, name) is not None and self.type not in types:
                yield name, f"does not apply to type {self.type}", f"it on {' or '.join(types)}"


def crossed(loc: Loc, least: Any, greatest: Any) -> Iterator[Breach]:
    """Yield missing bounds of a check, or bounds in the wrong order."""
    if least is None and greatest is None:
        yield Breach(loc, "has neither min nor max", "at least one of them")
    elif None not in (least, greatest) and least > greatest:
        yield Breach((*loc, "min"), f"is {least}", f"at most max, {greatest}")
