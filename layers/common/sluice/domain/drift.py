"""Drift: how far a data set is from its baseline, column by column, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sluice.domain.config.base import ColumnType, Severity
from sluice.domain.config.statistics import DriftMethod


@dataclass(frozen=True, slots=True)
class Distance:
    """A distance; the chance of one at least as great without drift; and what chance alone stays below."""

    value: float
    p_value: float
    noise: float


@dataclass(frozen=True, slots=True)
class Bin:
    """A part of a column's values, (lower, upper] or a category, as both data sets have it."""

    label: str
    baseline: int
    current: int


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """One column against its baseline. `reasons` are why it drifted; `note` is why it was not compared."""

    column: str
    type: ColumnType
    distances: Mapping[DriftMethod, Distance]
    bins: tuple[Bin, ...]
    missing_rate: float
    baseline_missing_rate: float
    missing: Distance | None
    new_categories: tuple[str, ...] = ()
    vanished_categories: tuple[str, ...] = ()
    new_share: float = 0.0
    reasons: tuple[str, ...] = ()
    note: str | None = None

    @property
    def has_drifted(self) -> bool:
        return bool(self.reasons)


@dataclass(frozen=True, slots=True)
class DriftResult:
    """A data set against its baseline; `baseline` is the version of that."""

    baseline: str
    method: DriftMethod
    max: float
    severity: Severity
    rows: int
    baseline_rows: int
    columns: tuple[ColumnDrift, ...]

    @property
    def has_drifted(self) -> bool:
        return any(column.has_drifted for column in self.columns)

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(f"{c.column}: {reason}" for c in self.columns for reason in c.reasons)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"has_drifted": self.has_drifted, **asdict(self)}
