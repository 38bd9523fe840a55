"""Measure drift: how far each column is from its baseline, and whether that is more than chance.

A column has drifted if its distance is over the limit and its p-value below the level: a limit alone raises
false alarms on few rows, a p-value alone on many. All tests of all columns share the level (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from sluice.domain.config.base import ColumnType, Severity
from sluice.domain.config.checks.base import exact
from sluice.domain.config.statistics import Drift, DriftMethod
from sluice.lazy import dataclass
from sluice.quality.statistics import chances, distances
from sluice.quality.statistics.cells import Cell, common_cells, merged, tenths, totals
from sluice.quality.statistics.distances import Distance, is_over, spelled
from sluice.quality.statistics.profiles import Categories, ColumnProfile, Distribution, Profile

__all__ = ["Bin", "ColumnDrift", "Distance", "DriftResult", "compare"]

OTHER = "(other)"
NEW_SHOWN_MAX = 20
TOO_FEW = "too few rows to tell"
# With more values than this on both sides, a difference can exceed chance at any level.
FEW = 30


@dataclass(frozen=True, slots=True)
class Bin:
    """A range or a category of a column's values, with its counts in both data sets."""

    label: str
    baseline: int
    current: int


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """A column compared with its baseline. `reasons` say why it drifted, `note` why it was not judged."""

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

    @property
    def has_too_few(self) -> bool:
        """Whether there are too few values to tell: then no drift means nothing."""
        return (self.note or "").startswith(TOO_FEW)


@dataclass(frozen=True, slots=True)
class DriftResult:
    """A data set compared with its baseline; `baseline` is that version."""

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
    def untold(self) -> tuple[str, ...]:
        """The columns with too few rows to tell."""
        return tuple(column.column for column in self.columns if column.has_too_few)

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(f"{c.column}: {reason}" for c in self.columns for reason in c.reasons)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"has_drifted": self.has_drifted, **asdict(self)}


def compare(profile: Profile, baseline: Profile, limits: Drift, version: str) -> DriftResult:
    """Compare a profile, made with the baseline's edges, with the baseline of that version.

    Measures every column of the baseline; judges those of `limits.columns`, or all. A column that the
    baseline lacks is listed but cannot be judged.
    """
    gone = sorted(baseline.columns.keys() - profile.columns.keys())
    names = [*(name for name in profile.columns if name in baseline.columns), *gone]
    judged = {name for name in names if limits.columns is None or name in limits.columns}
    level = distances.LEVEL / max(len(judged) * _tests(limits), 1)
    compared = {
        name: _compare(name, profile, baseline, level, limits if name in judged else None) for name in names
    }
    new = {name: _new(name, column) for name, column in profile.columns.items() if name not in compared}
    found = compared | new
    columns = tuple(found[name] for name in (*profile.columns, *gone))
    return DriftResult(
        version, limits.method, limits.max, limits.severity, profile.rows, baseline.rows, columns
    )


def _tests(limits: Drift) -> int:
    """Return the number of tests that may find that a column drifted."""
    return 1 + sum(limit is not None for limit in (limits.max_missing_change, limits.max_new_share))


def _new(name: str, column: ColumnProfile) -> ColumnDrift:
    """Make the result of a column that the baseline lacks."""
    return ColumnDrift(
        name, column.type, {}, (), column.missing_rate, 1.0, None, note="is not in the baseline"
    )


def _compare(
    name: str, profile: Profile, baseline: Profile, level: float, limits: Drift | None
) -> ColumnDrift:
    before = baseline.columns[name]
    # A missing column has no value in any row.
    after = profile.columns.get(name) or ColumnProfile(before.type, 0, profile.rows, 0, 0, True)
    missing, change = None, Fraction(0)
    if before.rows and after.rows:
        change = abs(Fraction(before.missing, before.rows) - Fraction(after.missing, after.rows))
        cell, sizes = (before.missing, after.missing), (before.rows, after.rows)
        missing = distances.proportion(cell, sizes, level)
    counts = profile.in_baseline.get(name)
    measured = _Measured()
    note = _incomparable(before, after, counts)
    if note is None and counts is not None:
        measured = _measure(before, after, counts, level)
        note = measured.too_few(limits.method) if limits else None
    return ColumnDrift(
        column=name,
        type=before.type,
        distances=measured.distances,
        bins=measured.bins,
        missing_rate=after.missing_rate,
        baseline_missing_rate=before.missing_rate,
        missing=missing,
        new_categories=measured.new,
        vanished_categories=measured.vanished,
        new_share=float(measured.new_share),
        reasons=tuple(_reasons(measured, missing, change, level, limits)) if limits else (),
        note=note,
    )


def _incomparable(before: ColumnProfile, after: ColumnProfile, counts: Sequence[int] | None) -> str | None:
    if before.type != after.type:
        return f"was {before.type}, is {after.type}"
    if not before.present:
        return "has no value in the baseline"
    if not after.present:
        return "has no value"
    return None if counts is not None else "was not counted in the baseline's edges"


@dataclass(frozen=True, slots=True)
class _Measured:
    """The measures of a column; `farthest` is the least chance that so many values could have."""

    distances: Mapping[DriftMethod, Distance] = field(default_factory=dict)
    bins: tuple[Bin, ...] = ()
    new: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    new_share: Fraction = Fraction(0)
    new_by_chance: float = 1.0
    sizes: Cell = (0, 0)
    farthest: float = 0.0

    def too_few(self, method: DriftMethod) -> str | None:
        """Say that so few values can never be more than chance, if that is so."""
        distance = self.distances.get(method)
        if distance is None or distance.is_beyond_chance or self.farthest < distance.level:
            return None
        before, now = self.sizes
        return f"{TOO_FEW}: {now} with a value, {before} in the baseline"


def _measure(before: ColumnProfile, after: ColumnProfile, counts: Sequence[int], level: float) -> _Measured:
    if before.categories is not None:
        return _measure_categories(before.categories, after, counts, level)
    if before.distribution is None:
        return _Measured()
    spell = _instant if before.type == "timestamp" else "{:.12g}".format
    return _measure_distribution(before.distribution, after.distribution, counts, spell, level)


def _measure_categories(
    before: Categories, after: ColumnProfile, counts: Sequence[int], level: float
) -> _Measured:
    unlisted = after.present - sum(counts)
    listed = after.categories.counts if after.categories and before.is_complete else {}
    new = {name: count for name, count in listed.items() if name not in before.counts}
    known = list(zip(before.counts.values(), counts, strict=True))
    rest = before.other, unlisted - sum(new.values())
    categories = chances.Categories(
        (*known, *((0, count) for count in new.values())), rest, before.is_complete
    )
    cells = merged(categories.cells, categories.merged(chances.apart(categories, level)))
    shown = zip((*before.counts, OTHER), (*known, (before.other, unlisted)), strict=True)
    return _Measured(
        distances=_of_cells(cells, chances.of_categories(categories), level),
        bins=tuple(Bin(name, a, b) for name, (a, b) in shown if a or b),
        new=tuple(new)[:NEW_SHOWN_MAX],
        vanished=tuple(name for name, now in zip(before.counts, counts, strict=True) if not now),
        new_share=Fraction(categories.new_values, after.present),
        new_by_chance=categories.new_by_chance,
        sizes=(before.total, after.present),
        farthest=_farthest_categories(categories),
    )


def _measure_distribution(
    before: Distribution,
    after: Distribution | None,
    counts: Sequence[int],
    spell: Callable[[float], str],
    level: float,
) -> _Measured:
    fine, edges = common_cells(before, after, counts)
    groups = tenths(fine, of_values=before.is_discrete)
    cells = merged(fine, groups)
    found = _of_cells(cells, chances.of_ranges(fine, of_values=before.is_discrete), level)
    found["ks"] = Distance.of(distances.kolmogorov_smirnov(fine), chances.kolmogorov_smirnov(fine), level)
    if after is not None:
        area = distances.wasserstein(before, after)
        found["wasserstein"] = Distance.of(area, chances.of_cumulated(fine), level)
    labels = _labels([spell(edge) for edge in edges], groups)
    return _Measured(
        distances=found,
        bins=tuple(Bin(label, a, b) for label, (a, b) in zip(labels, cells, strict=True)),
        sizes=(before.total, sum(counts)),
        farthest=_farthest_ranges(fine, of_values=before.is_discrete),
    )


def _of_cells(cells: Sequence[Cell], chance: float, level: float) -> dict[DriftMethod, Distance]:
    values: dict[DriftMethod, float] = {
        "psi": distances.psi(cells),
        "js": distances.jensen_shannon(cells),
        "chi_square": distances.cramers_v(cells),
        "l_infinity": distances.l_infinity(cells),
    }
    return {method: Distance.of(value, chance, level) for method, value in values.items()}


def _farthest_categories(categories: chances.Categories) -> float:
    """Return the chance if all values had one category that the baseline lacks."""
    n, m = totals(categories.cells)
    if min(n, m) > FEW:
        return 0.0
    known = (*((a, 0) for a, _ in categories.known), (0, m))
    rest = categories.rest[0], 0
    return chances.of_categories(chances.Categories(known, rest, categories.is_complete))


def _farthest_ranges(fine: Sequence[Cell], *, of_values: bool) -> float:
    """Return the chance if all values were one beyond all others."""
    n, m = totals(fine)
    if min(n, m) > FEW:
        return 0.0
    return chances.of_ranges([*((a, 0) for a, _ in fine), (0, m)], of_values=of_values)


def _labels(edges: Sequence[str], groups: Sequence[Sequence[int]]) -> Iterator[str]:
    """Name the ranges; the first has no lower edge, the last no upper one."""
    for group in groups:
        low = f"> {edges[group[0] - 1]}" if group[0] > 0 else ""
        high = f"<= {edges[group[-1]]}" if group[-1] < len(edges) else ""
        yield " and ".join(filter(None, (low, high))) or "any"


def _instant(seconds: float) -> str:
    try:
        instant = datetime(1970, 1, 1) + timedelta(seconds=seconds)
    except OverflowError:
        return f"{seconds:.12g} s since 1970"
    return instant.isoformat(sep=" ", timespec="seconds")


def _reasons(
    measured: _Measured, missing: Distance | None, change: Fraction, level: float, limits: Drift
) -> Iterator[str]:
    distance = measured.distances.get(limits.method)
    if distance is not None and is_over(distance.value, limits.max) and distance.is_beyond_chance:
        yield f"{limits.method} {spelled(distance.value, limits.max)} from the baseline, over {limits.max:g}"
    most = limits.max_missing_change
    if most is not None and missing is not None and change > exact(most) and missing.is_beyond_chance:
        yield f"the share of rows without a value changed by {spelled(missing.value, most)}, over {most:g}"
    most = limits.max_new_share
    if most is not None and measured.new_share > exact(most) and measured.new_by_chance < level:
        share = spelled(float(measured.new_share), most)
        yield f"{share} of the values are not in the baseline, over {most:g}"
