"""Prepare what a report's page says about columns, drift and bias, in words and ready for layout."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from sluice.domain import wording
from sluice.domain.config.base import Severity
from sluice.lazy import dataclass
from sluice.quality.report.plots import Plot, plot_of
from sluice.quality.statistics.bias import BiasMetric, BiasResult, FacetBias
from sluice.quality.statistics.drift import ColumnDrift, DriftResult
from sluice.quality.statistics.profiles import ColumnProfile, Profile
from sluice.quality.validation import Report, RowRef, Violation

HIDDEN = "values hidden"
NAMES_SHOWN = 10
METHODS = {
    "psi": "population stability index",
    "js": "Jensen-Shannon distance",
    "ks": "Kolmogorov-Smirnov distance",
    "wasserstein": "Wasserstein distance",
    "chi_square": "chi-square",
    "l_infinity": "L-infinity distance",
}
# Each metric's name and range; KL has no upper end, and is drawn up to at least 1.
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
class ViolationView:
    """A violation, or all of a kind that has its own section; `link` leads to more about it."""

    check: str
    column: str | None
    message: str
    link: str
    extent: str = ""
    examples: tuple[RowRef, ...] = ()

    @property
    def has_rows(self) -> bool:
        """Whether examples are rows: an object lacks a column, not a row."""
        return self.check != "column"

    @property
    def has_values(self) -> bool:
        return any(example.value is not None for example in self.examples)


@dataclass(frozen=True, slots=True)
class ColumnView:
    name: str
    anchor: str
    type: str
    tags: tuple[tuple[str, str], ...]
    plot: Plot | None
    placeholder: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class DriftView:
    """A compared column; `part` is its distance as a fraction of the table's longest bar."""

    name: str
    has_drifted: bool
    has_too_few: bool
    value: str
    part: float
    chance: str
    others: str
    notes: tuple[str, ...]
    plot: Plot | None


@dataclass(frozen=True, slots=True)
class DriftTable:
    """All compared columns; `limit_part` is where the limit is on the bars."""

    method: str
    limit_part: float
    columns: tuple[DriftView, ...]

    @property
    def drifted(self) -> tuple[DriftView, ...]:
        return tuple(column for column in self.columns if column.has_drifted)

    @property
    def too_few(self) -> int:
        """The number of columns with too few rows to tell."""
        return sum(column.has_too_few for column in self.columns)


@dataclass(frozen=True, slots=True)
class MetricView:
    """A bias metric; positions are fractions of the width of its scale."""

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
        """The positions of limits; a limit at the end of the scale is not shown."""
        return tuple(part for part in self.allowed or () if 0 < part < 1)


@dataclass(frozen=True, slots=True)
class FacetView:
    name: str
    rows: tuple[int, int]
    metrics: tuple[MetricView, ...]

    @property
    def exceeded(self) -> int:
        return sum(metric.is_exceeded for metric in self.metrics)


def violation_views(
    report: Report, severity: Severity, anchors: Mapping[str, str], sections: Collection[str]
) -> list[ViolationView]:
    """List the violations of a severity; those with their own section only as one line.

    `anchors` are the places of columns on the page, by name.
    """
    found = [violation for violation in report.violations if violation.severity == severity]
    by_section = {name: [v for v in found if v.check == name] for name in sections}
    seen = set[str]()
    views = []
    for violation in found:
        if violation.check not in sections:
            anchor = anchors.get(violation.column or "")
            views.append(_violation_view(violation, report.rows, f"#{anchor}" if anchor else ""))
        elif violation.check not in seen:
            seen.add(violation.check)
            message = _summary(violation.check, by_section[violation.check])
            views.append(ViolationView(violation.check, None, message, f"#{violation.check}"))
    return views


def column_view(
    name: str,
    column: ColumnProfile,
    baseline: ColumnProfile | None,
    tags: Sequence[tuple[str, str]],
    *,
    anchor: str,
    hide: bool,
) -> ColumnView:
    """Prepare a column's card; `hide` keeps all values out of it."""
    is_text = column.type == "string" and column.distribution is not None and not column.categories
    plot = None if hide else plot_of(column, baseline)
    return ColumnView(
        name=name,
        anchor=anchor,
        type="text" if is_text else column.type,
        tags=tuple(tags),
        plot=plot,
        placeholder="" if plot else HIDDEN if hide else "no values",
        facts=(*_counts(column), *(() if hide else _statistics(column))),
    )


def drift_table(
    drift: DriftResult, profile: Profile | None, baseline: Profile | None, redact: Collection[str]
) -> DriftTable:
    """Prepare the columns, those that drifted first, then by distance."""
    values = [distance.value for c in drift.columns if (distance := c.distances.get(drift.method))]
    # Cap distances: a single huge one would hide all others.
    scale = max([drift.max * 2, *(min(value, drift.max * 4) for value in values)]) or 1.0
    ranked = sorted(drift.columns, key=lambda c: (not c.has_drifted, -_distance(c, drift)))
    columns = [
        _drift_view(column, drift, scale, profile, baseline, hide=column.column in redact)
        for column in ranked
    ]
    return DriftTable(METHODS[drift.method], drift.max / scale, tuple(columns))


def facet_view(facet: FacetBias, bias: BiasResult, redact: Collection[str]) -> FacetView:
    """Prepare a facet's metrics with their limits."""
    values = HIDDEN if facet.column in redact else facet.values
    metrics = tuple(map(_metric_view, facet.metrics))
    return FacetView(f"{facet.column} {values}", (facet.rows_d, facet.rows_a), metrics)


def _violation_view(violation: Violation, rows: int, link: str) -> ViolationView:
    parts = []
    if violation.examples and 0 < violation.rows <= rows and violation.check != "column":
        parts.append(f"{wording.share(violation.rows / rows)} of the rows")
    if len(violation.objects) > 1:
        parts.append(f"in {wording.count(len(violation.objects), 'object')}")
    return ViolationView(
        violation.check, violation.column, violation.message, link, ", ".join(parts), violation.examples
    )


def _summary(check: str, violations: Sequence[Violation]) -> str:
    if check == "bias":
        one = len(violations) == 1
        return "1 metric is beyond its limit" if one else f"{len(violations)} metrics are beyond their limits"
    names = list(dict.fromkeys(violation.column or "" for violation in violations))
    listed = ", ".join(wording.shorten(name, 40) for name in names[:NAMES_SHOWN])
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f"{wording.count(len(names), 'column')} drifted: {listed}{more}"


def _counts(column: ColumnProfile) -> list[tuple[str, str]]:
    facts = [("missing", wording.share(column.missing_rate))]
    if column.invalid:
        facts.append(("not of its type", wording.number(column.invalid)))
    approximately = "" if column.distinct_is_exact else "about "
    return [*facts, ("distinct", approximately + wording.number(column.distinct))]


def _statistics(column: ColumnProfile) -> list[tuple[str, str]]:
    distribution = column.distribution
    if distribution is None or not distribution.total or column.categories:
        return []
    span = distribution.max - distribution.min
    what = " length" if column.type == "string" else ""
    facts = [
        (f"{word}{what}", wording.value_of(column.type, value, span))
        for word, value in (
            ("least", distribution.min),
            ("mean", distribution.mean),
            ("greatest", distribution.max),
        )
    ]
    return facts if column.type == "timestamp" else [*facts, ("std", wording.number(distribution.std))]


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
        has_too_few=column.has_too_few,
        value=wording.distance(distance.value) if distance else "not compared",
        part=min(1.0, distance.value / scale) if distance else 0.0,
        chance=wording.chance(distance.p_value) if distance else "",
        others=", ".join(
            f"{METHODS[method]} {wording.distance(other.value)}"
            for method, other in column.distances.items()
            if method != drift.method
        ),
        notes=tuple(_notes(column, hide=hide)),
        plot=plot_of(now, before) if column.has_drifted and now and before and not hide else None,
    )


def _notes(column: ColumnDrift, *, hide: bool) -> list[str]:
    """Return notes beside a table row; write reasons anew, as they may name values."""
    notes = [column.note] if column.note else []
    if column.missing_rate != column.baseline_missing_rate:
        before, now = map(wording.share, (column.baseline_missing_rate, column.missing_rate))
        notes.append(f"missing {before} before, {now} now")
    for what, names in (("new", column.new_categories), ("vanished", column.vanished_categories)):
        if names and hide:
            noun = "category" if len(names) == 1 else "categories"
            notes.append(f"{wording.number(len(names))} {what} {noun} ({HIDDEN})")
        elif names:
            listed = ", ".join(wording.shorten(name, 40) for name in names[:5])
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
        value="not defined" if value is None else wording.number(value),
        limit="" if limit is None else f"{'±' if low < 0 else 'up to '}{wording.number(limit)}",
        is_exceeded=metric.is_exceeded,
        zero=position(0.0),
        bar=None if value is None else tuple(sorted((position(0.0), position(value)))),  # type: ignore[arg-type]
        allowed=None if limit is None else (position(-limit), position(limit)),
        error=metric.error,
    )
