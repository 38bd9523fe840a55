"""What a family of checks is made of: what the contract says, what is counted, and what that means.

A module of this package holds a family together. `CHECKS` are its models of `data.quality`, `CONSTRAINTS` the
parts of a column's contract that are its own, `KINDS` the checks that they ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from pydantic import Field

from sluice.domain.config.base import ColumnType, Model, Severity
from sluice.domain.config.problems import Breach
from sluice.domain.shares import exact

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
    """One check; `limit` is what is held against the data: a bound, a length, a pattern, a tuple of values.

    A tuple (least, greatest), either None, for row_count, distinct_count and statistics; the least share for
    completeness, uniqueness and allowed_share; the columns for key and extra (those that are known).
    `argument` is what a check needs besides: a quantile's q, allowed_share's values, a query. `format` is how
    a timestamp is written. `tolerance` is the share of rows that may break it.
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
class Circumstances:
    """What a finding is judged by beside its check; `hidden` are the columns whose values are not shown."""

    rows: int
    object_rows: Mapping[str, int] = field(default_factory=dict)
    previous_rows: int | None = None
    now: datetime | None = None
    hidden: frozenset[str] = frozenset()


class Ask(Protocol):
    """The data that a check is made of, for one that no count of rows answers.

    SQL sees the relation `data`: all rows, as their columns' types, where what is not of its type is NULL.
    """

    @property
    def now(self) -> datetime | None: ...

    @property
    def has_column(self) -> bool:
        """Whether any file has the check's column."""
        ...

    @property
    def column(self) -> str:
        """The check's column, quoted for SQL."""
        ...

    def listed(self, values: Iterable[Any]) -> str:
        """Values of the column's type as the inside of an IN ()."""
        ...

    def one(self, sql: str) -> Any:
        """The first value of a query, None where there is none."""
        ...

    def all(self, sql: str) -> list[Any]:
        """The first value of each row of a query."""
        ...

    def counts(self, sql: str) -> list[int]:
        """The counts that a query of one row says."""
        ...

    def moment(self, aggregate: str) -> float | None:
        """An aggregate of the column's numbers, such as avg, that no great number makes overflow."""
        ...

    def extra_names(self) -> tuple[str, ...]:
        """The columns that the contract has not."""
        ...

    def count_repeats(self, key: Sequence[str]) -> None:
        """Count the rows whose values of these columns occurred before, and say which."""
        ...

    def count_returned(self, query: str) -> None:
        """Count the rows that a query of the contract's own returns, or say why it could not be run."""
        ...


Judge = Callable[[Finding, Circumstances], str | None]


def within_tolerance(check: Check, breaking: int, rows: int) -> bool:
    return breaking <= exact(check.tolerance) * rows


def _as_it_is(figure: Any, now: datetime | None) -> Any:
    return figure


class NeedsWholeError(Exception):
    """What parts of the data say by themselves does not tell what they are together."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of check, by the name that a report calls it.

    `judge` says what is wrong, or None. `condition` is SQL for a row that breaks it, with {missing},
    {invalid}, {text}, {typed} of the column's cell and {limit} or {limits} of the check. `measure` asks for a
    figure that no count of rows answers, plain JSON; `merge` makes one figure of those of two parts of the
    data, without which all data are read whenever some are new, and `value` is what a figure says, given the
    present time. `is_kept` says whether rows of one object keep it. `of_names` if it
    is about names of columns, `of_all` if its message is about all rows. `monitor` is Model Monitor's name.
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
        """Whether it must see all data at once, as it cannot be told from what was found in parts of them."""
        return self.measure is not None and self.merge is None


class Typed(Protocol):
    """A column's contract, as checks of a data set see it."""

    @property
    def type(self) -> ColumnType: ...

    @property
    def format(self) -> str | None: ...


class DatasetCheck(Model):
    """A check of the data set as a whole; `place` is where it is listed among the others."""

    place: ClassVar[int] = 1000

    severity: Severity = Field("fail", description="fail (the data set is rejected) or warn (it is said)")

    @property
    def asks_for_rows(self) -> bool:
        """Whether it rejects a data set without rows."""
        return False

    def asked(self, columns: Mapping[str, Typed]) -> Iterator[Check]:
        """The checks that it stands for."""
        raise NotImplementedError

    def breaches(self, loc: Loc, columns: Mapping[str, Typed]) -> Iterator[Breach]:
        """What of it does not fit together, or the columns."""
        return iter(())

    @classmethod
    def breaches_together(cls, all_of_them: Sequence[tuple[Loc, DatasetCheck]]) -> Iterator[Breach]:
        """What does not fit between this check and the others of a contract."""
        return iter(())


class ColumnCheck(DatasetCheck):
    """A check of a column's values together."""

    def of_column(
        self, kind: str, column: str, columns: Mapping[str, Typed], limit: Any, argument: Any = None
    ) -> Check:
        contract = columns[column]
        return Check(kind, column, contract.type, limit, argument, contract.format, self.severity)


if TYPE_CHECKING:
    _Part = Model
else:
    # A part is no model by itself: each would take a millisecond of every cold start.
    _Part = object


class Constraint(_Part):
    """A part of the model of a column's contract; `place` is where it is listed among the others."""

    place: ClassVar[int] = 1000

    if TYPE_CHECKING:
        type: ColumnType

    def asked(self, *, is_label: bool) -> Iterator[tuple[str, Any]]:
        """The kinds of checks that it stands for, with their limits."""
        return iter(())

    def misfits(self) -> Iterator[tuple[str, str, str]]:
        """What of it does not fit the column's type: a field, what is wrong, and what was expected."""
        return iter(())

    def misapplied(self, types: Sequence[str], *names: str) -> Iterator[tuple[str, str, str]]:
        """The fields that are given, though they apply to other types."""
        for name in names:
            if getattr(self, name) is not None and self.type not in types:
                yield name, f"does not apply to type {self.type}", f"it on {' or '.join(types)}"


def crossed(loc: Loc, least: Any, greatest: Any) -> Iterator[Breach]:
    """Bounds of a check that are none, or in the wrong order."""
    if least is None and greatest is None:
        yield Breach(loc, "has neither min nor max", "at least one of them")
    elif None not in (least, greatest) and least > greatest:
        yield Breach((*loc, "min"), f"is {least}", f"at most max, {greatest}")
