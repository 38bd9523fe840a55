"""Turn a column's distribution into a plot of the report: the names and sizes of its bars."""

from __future__ import annotations

from typing import Literal

from sluice.domain import wording
from sluice.lazy import dataclass
from sluice.quality.report import charts
from sluice.quality.statistics.profiles import Categories, ColumnProfile, Distribution


@dataclass(frozen=True, slots=True)
class Series:
    """The shares of a data set's values in each part of a plot; `note` says which are not drawn."""

    name: Literal["now", "baseline"]
    shares: tuple[float, ...]
    total: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Plot:
    """A distribution, alone or with its baseline's, with the same parts and scale."""

    kind: Literal["histogram", "bars"]
    labels: tuple[str, ...]
    now: Series
    baseline: Series | None
    start: str = ""
    end: str = ""

    @property
    def highest(self) -> float:
        """The share at full height; never 0."""
        return max(*self.now.shares, *(self.baseline.shares if self.baseline else ()), 0.0) or 1.0

    @property
    def series(self) -> tuple[Series, ...]:
        return (self.baseline, self.now) if self.baseline else (self.now,)


def plot_of(column: ColumnProfile, baseline: ColumnProfile | None = None) -> Plot | None:
    """Plot the column's distribution, beside its baseline's if both are of one kind."""
    if column.categories and column.categories.total:
        former = baseline.categories if baseline and baseline.type == column.type else None
        return _bars(column.categories, former if former and former.total else None)
    if column.distribution and column.distribution.total:
        before = baseline.distribution if baseline and baseline.type == column.type else None
        return _histogram(column, column.distribution, before if before and before.total else None)
    return None


def _histogram(column: ColumnProfile, now: Distribution, before: Distribution | None) -> Plot:
    shape = charts.histogram([now, before] if before else [now])
    span = shape.bins[-1][1] - shape.bins[0][0]

    def spelled(value: float) -> str:
        return wording.value_of(column.type, value, span)

    unit = " characters" if column.type == "string" else ""
    labels = tuple(
        (spelled(low) if low == high else f"{spelled(low)} to {spelled(high)}") + unit
        for low, high in shape.bins
    )

    def series(name: Literal["now", "baseline"], distribution: Distribution, index: int) -> Series:
        parts = (
            (shape.below[index], "below", shape.bins[0][0]),
            (shape.above[index], "above", shape.bins[-1][1]),
        )
        outside = [f"{wording.share(part)} {side} {spelled(edge)}" for part, side, edge in parts if part > 0]
        note = f"not drawn: {' and '.join(outside)}" if outside else ""
        return Series(name, shape.shares[index], distribution.total, note)

    return Plot(
        "histogram",
        labels,
        series("now", now, 0),
        series("baseline", before, 1) if before else None,
        # A single value is the end of its axis.
        start=spelled(shape.bins[0][0]) if span else "",
        end=spelled(shape.bins[-1][1]) + unit,
    )


def _bars(now: Categories, before: Categories | None) -> Plot:
    shape = charts.categories([now, before] if before else [now])
    labels, others = shape.names, any(share > 1e-9 for share in shape.others)
    shares = [
        (*part, other) if others else part for part, other in zip(shape.shares, shape.others, strict=True)
    ]
    return Plot(
        "bars",
        tuple(wording.shorten(label) for label in labels) + (("all others",) if others else ()),
        Series("now", shares[0], now.total),
        Series("baseline", shares[1], before.total) if before else None,
    )
