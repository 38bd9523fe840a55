"""Distances between a baseline and a data set, each with the chance of data so different without drift.

Cells are pairs of counts, (baseline, current), of a category or of a range of values; n and m are their sums.
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from sluice.domain.profiles import Distribution
from sluice.domain.significance import chi_square_sf, kolmogorov_sf, shares_sf

Cell = tuple[int, int]
CELLS_MAX = 10
# Cochran's rule: chi-square's approximation holds where each cell expects at least five values.
EXPECTED_MIN = 5
# A p-value must be below it, shared among all columns (Bonferroni), to be more than chance.
LEVEL = 0.01


@dataclass(frozen=True, slots=True)
class Distance:
    """A distance; the chance of data so different without drift; the level below which that is no chance."""

    value: float
    p_value: float
    level: float

    @property
    def is_beyond_chance(self) -> bool:
        return self.p_value < self.level


def is_over(value: float, limit: float) -> bool:
    """Whether a value is over a limit by more than rounding: 0.8 - 0.7 is not over 0.1."""
    return value > limit and not math.isclose(value, limit, rel_tol=1e-9, abs_tol=1e-12)


def spelled(value: float, limit: float) -> str:
    """A value over a limit, with four digits or as many as show that it is."""
    texts = (f"{value:.{digits}g}" for digits in range(4, 17))
    return next(text for text in texts if abs(float(text)) > limit)


def psi(cells: Sequence[Cell], level: float = LEVEL) -> Distance:
    """Population stability index, the sum of (q - p) ln(q / p); an empty cell counts as half a value.

    Its definition is that of Yurdakul and Naranjo (2020, J. of Risk Model Validation).
    """
    n, m = _totals(cells)
    shares = [(max(a, 0.5) / n, max(b, 0.5) / m) for a, b in cells]
    value = sum((q - p) * math.log(q / p) for p, q in shares)
    return Distance(value, _chance(cells), level)


def jensen_shannon(cells: Sequence[Cell], level: float = LEVEL) -> Distance:
    """Jensen-Shannon distance, base 2: the root of the divergence (Lin 1991), 0 to 1."""
    n, m = _totals(cells)
    divergence = sum(_bits(a / n, b / m) + _bits(b / m, a / n) for a, b in cells) / 2
    return Distance(math.sqrt(max(divergence, 0.0)), _chance(cells), level)


def _bits(p: float, q: float) -> float:
    return p * math.log2(2 * p / (p + q)) if p else 0.0


def cramers_v(cells: Sequence[Cell], level: float = LEVEL) -> Distance:
    """Cramer's V (1946), 0 to 1, with Pearson's chi-square test of homogeneity (1900).

    V is that of samples of one size, the root of sum (p - q)^2 / (p + q) / 2: otherwise it would shrink as
    the baseline grows beyond the data set, whatever the difference of the shares.
    """
    n, m = _totals(cells)
    shares = [(a / n, b / m) for a, b in cells if a + b]
    value = math.sqrt(sum((p - q) ** 2 / (p + q) for p, q in shares) / 2)
    return Distance(value, chi_square_sf(_chi_square(cells), len(cells) - 1), level)


def _chi_square(cells: Sequence[Cell]) -> float:
    n, m = _totals(cells)
    total = n + m
    return sum(
        (a - n * (a + b) / total) ** 2 / (n * (a + b) / total)
        + (b - m * (a + b) / total) ** 2 / (m * (a + b) / total)
        for a, b in cells
        if a + b
    )


def l_infinity(cells: Sequence[Cell], level: float = LEVEL) -> Distance:
    """The greatest difference of a share (Chebyshev distance), with all cells' exact tests (Bonferroni)."""
    n, m = _totals(cells)
    value = max(abs(a / n - b / m) for a, b in cells)
    chance = sum(shares_sf(value, a + b, n, m) for a, b in cells)
    return Distance(value, min(chance, 1.0), level)


def _chance(cells: Sequence[Cell]) -> float:
    """The chance of cells so different, by two tests: of all cells together, and of the most different one.

    PSI and Jensen-Shannon are chi-square themselves where cells are full, but far more often great than that
    law says where they are not; Pearson's statistic keeps to it. Many cells hide one that changed, hence the
    second test; of two the lesser chance counts twice (Bonferroni).
    """
    return min(2 * min(cramers_v(cells).p_value, l_infinity(cells).p_value), 1.0)


def proportion(cell: Cell, sizes: Cell, level: float = LEVEL) -> Distance:
    """The difference of one share, with Fisher's exact test."""
    (a, b), (n, m) = cell, sizes
    value = abs(a / n - b / m)
    return Distance(value, shares_sf(value, a + b, n, m), level)


def kolmogorov_smirnov(cells: Sequence[Cell], level: float = LEVEL) -> Distance:
    """The greatest difference of the cumulative shares (Smirnov 1948), at the ends of ordered cells."""
    n, m = _totals(cells)
    value = max(abs(a / n - b / m) for a, b in _cumulated(cells))
    return Distance(value, kolmogorov_sf(value, n * m / (n + m)), level)


def wasserstein(
    baseline: Distribution, current: Distribution, cells: Sequence[Cell], level: float = LEVEL
) -> Distance:
    """The area between the cumulative shares (Vallender 1974), in standard deviations of the baseline.

    A single far value may be most of the area, so the area says nothing of chance: that is of ordered cells
    whose cumulative shares differ so, by their greatest difference or, as in a tail, by that at one edge.
    """
    unit = baseline.std or current.std or 1.0
    first, second = _Cdf.of(baseline), _Cdf.of(current)
    area = 0.0
    for low, high in pairwise(sorted({*first.knots, *second.knots})):
        gap = _mean_absolute(first.above(low) - second.above(low), first.below(high) - second.below(high))
        area += (high / unit - low / unit) * gap if gap else 0.0
    return Distance(min(area, sys.float_info.max), _cumulative_chance(cells), level)


def _cumulative_chance(cells: Sequence[Cell]) -> float:
    n, m = _totals(cells)
    below = _cumulated(cells)[:-1]
    edges = (shares_sf(abs(a / n - b / m), a + b, n, m) for a, b in below)
    by_edge = min(edges, default=1.0) * max(len(below), 1)
    return min(2 * min(kolmogorov_smirnov(cells).p_value, by_edge), 1.0)


def _cumulated(cells: Sequence[Cell]) -> list[Cell]:
    return list(zip(accumulate(a for a, _ in cells), accumulate(b for _, b in cells), strict=True))


def _mean_absolute(start: float, end: float) -> float:
    """The mean of |y| along the line from start to end."""
    if start * end >= 0:
        return (abs(start) + abs(end)) / 2
    return (start * start + end * end) / (2 * (abs(start) + abs(end)))


@dataclass(frozen=True, slots=True)
class _Cdf:
    """A distribution's cumulative share: steps if it is discrete, else straight lines between its edges."""

    knots: tuple[float, ...]
    shares: tuple[float, ...]
    is_discrete: bool

    @classmethod
    def of(cls, distribution: Distribution) -> _Cdf:
        total = distribution.total
        shares = [count / total for count in accumulate(distribution.counts)]
        inner = {
            edge: share
            for edge, share in zip(distribution.edges, shares, strict=False)
            if distribution.min < edge < distribution.max
        }
        at_min = bisect_right(distribution.edges, distribution.min)
        first = {distribution.min: shares[at_min - 1] if at_min else 0.0}
        points = {**first, **inner, distribution.max: 1.0}
        return cls(tuple(points), tuple(points.values()), distribution.is_discrete)

    def above(self, x: float) -> float:
        """The share of values up to x."""
        return self._between(bisect_right(self.knots, x) - 1, x)

    def below(self, x: float) -> float:
        """The share of values before x."""
        return self._between(bisect_left(self.knots, x) - 1, x)

    def _between(self, index: int, x: float) -> float:
        if index < 0:
            return 0.0
        if self.is_discrete or index == len(self.knots) - 1:
            return self.shares[index]
        low, high = self.knots[index : index + 2]
        # Halved, as a difference may be more than a number can be.
        part = (x / 2 - low / 2) / (high / 2 - low / 2)
        return self.shares[index] + part * (self.shares[index + 1] - self.shares[index])


def common_cells(
    baseline: Distribution, current: Distribution | None, counts: Sequence[int]
) -> tuple[list[Cell], tuple[float, ...]]:
    """The finest ordered cells in which both are counted exactly, and the edges between them.

    `counts` are the current values between the baseline's edges. Where these are all values the baseline has,
    it is known at every edge of the current distribution too, and a value between two of its own is seen.
    """
    if current is None or not baseline.is_discrete:
        return list(zip(baseline.counts, counts, strict=True)), baseline.edges
    edges = tuple(sorted({*baseline.edges, *current.edges}))
    before = _below(baseline.edges, baseline.counts)
    now = _below(current.edges, current.counts) | _below(baseline.edges, counts)
    reached = 0
    cells, last = [], (0, 0)
    for edge in edges:
        reached = before.get(edge, reached)
        cells.append((reached - last[0], now[edge] - last[1]))
        last = reached, now[edge]
    return [*cells, (baseline.total - last[0], sum(counts) - last[1])], edges


def _below(edges: Sequence[float], counts: Iterable[int]) -> dict[float, int]:
    return dict(zip(edges, accumulate(counts), strict=False))


def merge_ordered(cells: Sequence[Cell], *, of_values: bool = False) -> list[list[int]]:
    """Group neighbouring cells, by index, into at most CELLS_MAX with a like share of the baseline each.

    Of single values those that are frequent in either data set stand apart, which may be twice as many.
    """
    n, m = _totals(cells)
    groups: list[list[int]] = [[]]
    for index in range(len(cells)):
        groups[-1].append(index)
        a, b = _sum(cells, groups[-1])
        share = max(a / n, b / m) if of_values else a / n
        if share >= 1 / CELLS_MAX and _is_expected(a + b, n, m):
            groups.append([])
    last = groups.pop()
    if not groups:
        return [last]
    a, b = _sum(cells, last)
    if last and _is_expected(a + b, n, m) and len(groups) < CELLS_MAX:
        return [*groups, last]
    return [*groups[:-1], groups[-1] + last]


def merge_rare(cells: Sequence[Cell], rest: int | None = None) -> list[list[int]]:
    """Group, by index, the cells that expect too few values for a test; the others stay by themselves.

    The cell at `rest` holds many categories, which are rare: those that one data set lacks are to be compared
    with those that the other lacks, as rare ones are in one alone by chance.
    """
    n, m = _totals(cells)
    rare = [i for i, (a, b) in enumerate(cells) if i == rest or not _is_expected(a + b, n, m)]
    kept = [[i] for i in range(len(cells)) if i not in set(rare)]
    if not rare:
        return kept
    if kept and not _is_expected(sum(_sum(cells, rare)), n, m):
        smallest = min(kept, key=lambda group: sum(cells[group[0]]))
        return [*(group for group in kept if group is not smallest), smallest + rare]
    return [*kept, rare]


def merged(cells: Sequence[Cell], groups: Sequence[Sequence[int]]) -> list[Cell]:
    """The sums of the groups of cells."""
    return [_sum(cells, group) for group in groups]


def _sum(cells: Sequence[Cell], group: Iterable[int]) -> Cell:
    pairs = [cells[index] for index in group]
    return sum(a for a, _ in pairs), sum(b for _, b in pairs)


def _is_expected(count: int, n: int, m: int) -> bool:
    return count * min(n, m) >= EXPECTED_MIN * (n + m)


def _totals(cells: Iterable[Cell]) -> Cell:
    pairs = tuple(cells)
    return sum(a for a, _ in pairs), sum(b for _, b in pairs)
