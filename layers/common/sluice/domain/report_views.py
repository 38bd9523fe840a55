"""What a report's page says of columns, drift and bias: already in words, ready to be laid out."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from sluice.domain import charts, spelling
from sluice.domain.bias import BiasMetric, BiasResult, FacetBias
from sluice.domain.drift import ColumnDrift, DriftResult
from sluice.domain.profiles import Categories, ColumnProfile, Distribution, Profile

HIDDEN = "values hidden"
METHODS = {
    "psi": "population stability index",
    "js": "Jensen-Shannon distance",
    "ks": "Kolmogorov-Smirnov distance",
    "wasserstein": "Wasserstein distance",
    "chi_square": "chi-square",
    "l_infinity": "L-infinity distance",
}
# Name and the range of what a metric can be; KL has no upper end, and is drawn up to 1 at least.
_METRICS = {
    "CI": ("Class imbalance", -1.0, 1.0),
    "DPL": ("Difference in proportions of labels", -1.0, 1.0),
    "KL": ("Kullback-Leibler divergence", 0.0, 1.0),
    "JS": ("Jensen-Shannon divergence", 0.0, math.log(2)),
    "LP": ("Lp-norm", 0.0, math.sqrt(2)),
    "TVD": ("Total variation distance", 0.0, 1.0),
    "KS": ("Kolmogorov-Smirnov", 0.0, 1.0),
    "CDDL": ("Conditional demographic disparity", -1.0, 1.0),
}


@dataclass(frozen=True, slots=True)
class Series:
    """The shares of one data set's values in each part of a plot; `note` says which are not drawn."""

    name: Literal["now", "baseline"]
    shares: tuple[float, ...]
    total: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Plot:
    """A distribution, alone or with its baseline's, in the same parts and on the same scale."""

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


@dataclass(frozen=True, slots=True)
class ColumnView:
    name: str
    type: str
    tags: tuple[tuple[str, str], ...]
    plot: Plot | None
    placeholder: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class DriftView:
    """A compared column; `part` is its distance as a part of what the table's bars can show."""

    name: str
    has_drifted: bool
    value: str
    part: float
    chance: str
    others: str
    notes: tuple[str, ...]
    plot: Plot | None


@dataclass(frozen=True, slots=True)
class DriftTable:
    """All compared columns; `limit_part` is where the limit lies on the bars."""

    method: str
    limit_part: float
    columns: tuple[DriftView, ...]

    @property
    def drifted(self) -> tuple[DriftView, ...]:
        return tuple(column for column in self.columns if column.has_drifted)


@dataclass(frozen=True, slots=True)
class MetricView:
    """A bias metric; positions are parts of the width of its scale."""

    code: str
    name: str
    value: str
    limit: str
    is_exceeded: bool
    zero: float
    bar: tuple[float, float] | None
    allowed: tuple[float, float] | None
    error: str | None

    @property
    def limits(self) -> tuple[float, ...]:
        """Where the limits are: the end of the scale is none."""
        return tuple(part for part in self.allowed or () if 0 < part < 1)


@dataclass(frozen=True, slots=True)
class FacetView:
    name: str
    rows: tuple[int, int]
    metrics: tuple[MetricView, ...]

    @property
    def exceeded(self) -> int:
        return sum(metric.is_exceeded for metric in self.metrics)


def column_view(
    name: str,
    column: ColumnProfile,
    baseline: ColumnProfile | None,
    tags: Sequence[tuple[str, str]],
    *,
    hide: bool,
) -> ColumnView:
    """A column as a card; `hide` keeps every value out of it."""
    is_text = column.type == "string" and column.distribution is not None and not column.categories
    plot = None if hide else plot_of(column, baseline)
    return ColumnView(
        name=name,
        type="text" if is_text else column.type,
        tags=tuple(tags),
        plot=plot,
        placeholder="" if plot else HIDDEN if hide else "no values",
        facts=(*_counts(column), *(() if hide else _statistics(column))),
    )


def plot_of(column: ColumnProfile, baseline: ColumnProfile | None = None) -> Plot | None:
    """The column's distribution, beside its baseline's where they are of one kind."""
    if column.categories and column.categories.total:
        former = baseline.categories if baseline and baseline.type == column.type else None
        return _bars(column.categories, former if former and former.total else None)
    if column.distribution and column.distribution.total:
        before = baseline.distribution if baseline and baseline.type == column.type else None
        return _histogram(column, column.distribution, before if before and before.total else None)
    return None


def drift_table(
    drift: DriftResult, profile: Profile | None, baseline: Profile | None, redact: Collection[str]
) -> DriftTable:
    """The columns, those that drifted first, then by distance."""
    values = [distance.value for c in drift.columns if (distance := c.distances.get(drift.method))]
    # A single huge distance would leave nothing to see of the others.
    scale = max([drift.max * 2, *(min(value, drift.max * 4) for value in values)]) or 1.0
    ranked = sorted(drift.columns, key=lambda c: (not c.has_drifted, -_distance(c, drift)))
    columns = [
        _drift_view(column, drift, scale, profile, baseline, hide=column.column in redact)
        for column in ranked
    ]
    return DriftTable(METHODS[drift.method], drift.max / scale, tuple(columns))


def facet_view(facet: FacetBias, bias: BiasResult, redact: Collection[str]) -> FacetView:
    """A facet's metrics against their limits."""
    values = HIDDEN if facet.column in redact else facet.values
    metrics = tuple(map(_metric_view, facet.metrics))
    return FacetView(f"{facet.column} {values}", (facet.rows_d, facet.rows_a), metrics)


def _counts(column: ColumnProfile) -> list[tuple[str, str]]:
    facts = [("missing", spelling.share(column.missing_rate))]
    if column.invalid:
        facts.append(("not of its type", spelling.number(column.invalid)))
    approximately = "" if column.distinct_is_exact else "about "
    return [*facts, ("distinct", approximately + spelling.number(column.distinct))]


def _statistics(column: ColumnProfile) -> list[tuple[str, str]]:
    distribution = column.distribution
    if distribution is None or not distribution.total or column.categories:
        return []
    span = distribution.max - distribution.min
    what = " length" if column.type == "string" else ""
    facts = [
        (f"{word}{what}", spelling.value_of(column.type, value, span))
        for word, value in (
            ("least", distribution.min),
            ("mean", distribution.mean),
            ("greatest", distribution.max),
        )
    ]
    return facts if column.type == "timestamp" else [*facts, ("std", spelling.number(distribution.std))]


def _histogram(column: ColumnProfile, now: Distribution, before: Distribution | None) -> Plot:
    shape = charts.histogram([now, before] if before else [now])
    span = shape.bins[-1][1] - shape.bins[0][0]

    def spelled(value: float) -> str:
        return spelling.value_of(column.type, value, span)

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
        outside = [f"{spelling.share(part)} {side} {spelled(edge)}" for part, side, edge in parts if part > 0]
        note = f"not drawn: {' and '.join(outside)}" if outside else ""
        return Series(name, shape.shares[index], distribution.total, note)

    return Plot(
        "histogram",
        labels,
        series("now", now, 0),
        series("baseline", before, 1) if before else None,
        start=spelled(shape.bins[0][0]),
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
        tuple(spelling.shorten(label) for label in labels) + (("all others",) if others else ()),
        Series("now", shares[0], now.total),
        Series("baseline", shares[1], before.total) if before else None,
    )


def _distance(column: ColumnDrift, drift: DriftResult) -> float:
    distance = column.distances.get(drift.method)
    return distance.value if distance else -1.0


def _drift_view(
    column: ColumnDrift,
    drift: DriftResult,
    scale: float,
    profile: Profile | None,
    baseline: Profile | None,
    *,
    hide: bool,
) -> DriftView:
    distance = column.distances.get(drift.method)
    now = profile.columns.get(column.column) if profile else None
    before = baseline.columns.get(column.column) if baseline else None
    return DriftView(
        name=column.column,
        has_drifted=column.has_drifted,
        value=spelling.distance(distance.value) if distance else "not compared",
        part=min(1.0, distance.value / scale) if distance else 0.0,
        chance=spelling.share(max(distance.p_value, 1e-9)) if distance else "",
        others=", ".join(
            f"{METHODS[method]} {spelling.distance(other.value)}"
            for method, other in column.distances.items()
            if method != drift.method
        ),
        notes=tuple(_notes(column, hide=hide)),
        plot=plot_of(now, before) if column.has_drifted and now and before and not hide else None,
    )


def _notes(column: ColumnDrift, *, hide: bool) -> list[str]:
    """What a table row has no place for; reasons may name values, so they are said anew."""
    notes = [column.note] if column.note else []
    if column.missing_rate != column.baseline_missing_rate:
        before, now = map(spelling.share, (column.baseline_missing_rate, column.missing_rate))
        notes.append(f"missing {before} before, {now} now")
    for what, names in (("new", column.new_categories), ("vanished", column.vanished_categories)):
        if names and hide:
            notes.append(f"{spelling.number(len(names))} {what} categories ({HIDDEN})")
        elif names:
            listed = ", ".join(spelling.shorten(name, 40) for name in names[:5])
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            notes.append(f"{what}: {listed}{more}")
    return notes


def _metric_view(metric: BiasMetric) -> MetricView:
    name, low, high = _METRICS[metric.name]
    value, limit = metric.value, metric.limit
    finite = [abs(number) for number in (value, limit) if number is not None and math.isfinite(number)]
    high = max(high, *finite) if finite else high
    low = -high if low < 0 else 0.0

    def position(number: float) -> float:
        return (min(max(number, low), high) - low) / (high - low)

    return MetricView(
        code=metric.name,
        name=name,
        value="not defined" if value is None else spelling.number(value),
        limit="" if limit is None else f"{'±' if low < 0 else 'up to '}{spelling.number(limit)}",
        is_exceeded=metric.is_exceeded,
        zero=position(0.0),
        bar=None if value is None else tuple(sorted((position(0.0), position(value)))),  # type: ignore[arg-type]
        allowed=None if limit is None else (position(-limit), position(limit)),
        error=metric.error,
    )
