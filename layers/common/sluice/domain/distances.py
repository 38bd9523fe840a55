"""Distances between a baseline and a data set, each with the chance of it where nothing has changed.

Cells are pairs of counts, (baseline, current), of a category or of a range of values. Chance shrinks with the
numbers of values: `spread` is 1/n + 1/m, the variance it has in units of one value.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from sluice.domain.profiles import Distribution
from sluice.domain.significance import chi_square_sf, critical, kolmogorov_sf, normal_sf

Cell = tuple[int, int]
CELLS_MAX = 10
# Cochran's rule: chi-square's approximation holds where each cell expects at least five values.
EXPECTED_MIN = 5
# A p-value must be below it, shared among all columns (Bonferroni), to be more than chance.
LEVEL = 0.01


@dataclass(frozen=True, slots=True)
class Distance:
    """A distance; the chance of one at least as great without drift; and what chance alone stays below."""

    value: float
    p_value: float
    noise: float

    @property
    def is_beyond_chance(self) -> bool:
        return self.value > self.noise


def _distance(value: float, p_value: Callable[[float], float], level: float) -> Distance:
    return Distance(value, p_value(value), critical(p_value, level))


def psi(cells: Sequence[Cell], level: float = LEVEL) -> Distance:
    """Population stability index, the sum of (q - p) ln(q / p); an empty cell counts as half a value.

    Without drift PSI / (1/n + 1/m) is chi-square (Yurdakul and Naranjo 2020, J. of Risk Model Validation).
    """
    n, m = _totals(cells)
    shares = [(max(a, 0.5) / n, max(b, 0.5) / m) for a, b in cells]
    value = sum((q - p) * math.log(q / p) for p, q in shares)
    return _distance(value, lambda v: chi_square_sf(v / _spread(n, m), len(cells) - 1), level)


def jensen_shannon(cells: Sequence[Cell], level: float = LEVEL) -> Distance:
    """Jensen-Shannon distance, base 2: the root of the divergence (Lin 1991), 0 to 1.

    Its second-order expansion, 8 ln 2 JS / (1/n + 1/m), is chi-square without drift.
    """
    n, m = _totals(cells)
    divergence = sum(_bits(a / n, b / m) + _bits(b / m, a / n) for a, b in cells) / 2
    scale = 8 * math.log(2) / _spread(n, m)
    value = math.sqrt(max(divergence, 0.0))
    return _distance(value, lambda v: chi_square_sf(scale * v * v, len(cells) - 1), level)


def _bits(p: float, q: float) -> float:
    return p * math.log2(2 * p / (p + q)) if p else 0.0


def cramers_v(cells: Sequence[Cell], level: float = LEVEL) -> Distance:
    """Cramer's V, 0 to 1, of Pearson's chi-square test of homogeneity: the statistic free of its size."""
    n, m = _totals(cells)
    total = n + m
    statistic = sum(
        (a - n * (a + b) / total) ** 2 / (n * (a + b) / total)
        + (b - m * (a + b) / total) ** 2 / (m * (a + b) / total)
        for a, b in cells
        if a + b
    )
    value = math.sqrt(statistic / total)
    return _distance(value, lambda v: chi_square_sf(v * v * total, len(cells) - 1), level)


def l_infinity(cells: Sequence[Cell], level: float = LEVEL) -> Distance:
    """The greatest difference of a share; its p-value adds those of all cells' two-proportion tests."""
    n, m = _totals(cells)
    value = max(abs(a / n - b / m) for a, b in cells)
    errors = [_error(a + b, n, m) for a, b in cells]
    return _distance(value, lambda v: _any_beyond(v, errors), level)


def proportion(cell: Cell, sizes: Cell, level: float = LEVEL) -> Distance:
    """The difference of one share, with the pooled two-proportion z test."""
    (a, b), (n, m) = cell, sizes
    errors = [_error(a + b, n, m)]
    return _distance(abs(a / n - b / m), lambda v: _any_beyond(v, errors), level)


def _error(count: int, n: int, m: int) -> float:
    share = count / (n + m)
    return math.sqrt(share * (1 - share) * _spread(n, m))


def _any_beyond(value: float, errors: Iterable[float]) -> float:
    if value <= 0:
        return 1.0
    return min(sum(2 * normal_sf(value / error) for error in errors if error > 0), 1.0)


def kolmogorov_smirnov(cells: Sequence[Cell], level: float = LEVEL) -> Distance:
    """The greatest difference of the cumulative shares, at the upper edges of ordered cells."""
    n, m = _totals(cells)
    below = zip(accumulate(a for a, _ in cells), accumulate(b for _, b in cells), strict=True)
    value = max(abs(a / n - b / m) for a, b in below)
    return _distance(value, lambda v: kolmogorov_sf(v, 1 / _spread(n, m)), level)


def wasserstein(baseline: Distribution, current: Distribution, level: float = LEVEL) -> Distance:
    """The area between the cumulative shares, in standard deviations of the baseline.

    Without drift the area is the norm of a Brownian bridge: its mean is at most that of sqrt(2/pi F(1-F)) and
    its deviations are Gaussian at most (Borell-TIS inequality), so the p-value is an upper bound.
    """
    n, m = baseline.total, current.total
    first, second = _Cdf.of(baseline), _Cdf.of(current)
    area = expected = 0.0
    for low, high in pairwise(sorted({*first.knots, *second.knots})):
        gaps = first.above(low) - second.above(low), first.below(high) - second.below(high)
        pooled = [(n * f + m * g) / (n + m) for f, g in _ends(first, second, low, high)]
        area += (high - low) * _mean_absolute(*gaps)
        expected += (high - low) * sum(math.sqrt(max(p * (1 - p), 0.0)) for p in pooled) / 2
    unit = baseline.std or current.std or 1.0
    spread = _spread(n, m)
    mean = math.sqrt(2 / math.pi * spread) * expected / unit
    return _distance(area / unit, lambda v: math.exp(-(max(v - mean, 0.0) ** 2) / (2 * spread)), level)


def _ends(first: _Cdf, second: _Cdf, low: float, high: float) -> list[tuple[float, float]]:
    return [(first.above(low), second.above(low)), (first.below(high), second.below(high))]


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
        part = (x - low) / (high - low)
        return self.shares[index] + part * (self.shares[index + 1] - self.shares[index])


def merge_ordered(cells: Sequence[Cell]) -> list[list[int]]:
    """Group neighbouring cells, by index, into at most CELLS_MAX with a like share of the baseline each."""
    n, m = _totals(cells)
    groups: list[list[int]] = [[]]
    for index in range(len(cells)):
        groups[-1].append(index)
        a, b = _sum(cells, groups[-1])
        if a >= n / CELLS_MAX and _is_expected(a + b, n, m):
            groups.append([])
    last = groups.pop()
    if not groups:
        return [last]
    a, b = _sum(cells, last)
    if last and _is_expected(a + b, n, m) and len(groups) < CELLS_MAX:
        return [*groups, last]
    return [*groups[:-1], groups[-1] + last]


def merge_rare(cells: Sequence[Cell]) -> list[list[int]]:
    """Group, by index, the cells that expect too few values for a test; the rest stay by themselves."""
    n, m = _totals(cells)
    rare = [i for i, (a, b) in enumerate(cells) if not _is_expected(a + b, n, m)]
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


def _spread(n: int, m: int) -> float:
    return 1 / n + 1 / m
