"""Measure distances between a baseline and a data set, by cells or cumulative shares."""

from __future__ import annotations

import math
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

from sluice.lazy import dataclass
from sluice.quality.statistics.cells import Cell, cumulated, totals
from sluice.quality.statistics.chances import of_cell
from sluice.quality.statistics.profiles import Distribution

Span = tuple[float, float]
# A p-value below this, divided among all columns (Bonferroni), is more than chance.
LEVEL = 0.01


@dataclass(frozen=True, slots=True)
class Distance:
    """A distance, the chance of such data without drift, and the level below which it is not chance."""

    value: float
    p_value: float
    level: float

    @classmethod
    def of(cls, value: float, chance: float, level: float) -> Distance:
        """Make a distance; a chance of 0 is one too small for a float."""
        return cls(value, max(chance, sys.float_info.min), level)

    @property
    def is_beyond_chance(self) -> bool:
        return self.p_value < self.level


def is_over(value: float, limit: float) -> bool:
    """Tell whether a value exceeds a limit by more than rounding: 0.8 - 0.7 does not exceed 0.1."""
    return value > limit and not math.isclose(value, limit, rel_tol=1e-9, abs_tol=1e-12)


def spelled(value: float, limit: float) -> str:
    """Write a value over a limit with four digits, or as many as show that it is."""
    texts = (f"{value:.{digits}g}" for digits in range(4, 17))
    return next((text for text in texts if abs(float(text)) > limit), repr(value))


def psi(cells: Sequence[Cell]) -> float:
    """Return the population stability index, sum of (q - p) ln(q / p); an empty cell counts as half a value.

    Definition: Yurdakul and Naranjo (2020, J. of Risk Model Validation).
    """
    n, m = totals(cells)
    shares = [(max(a, 0.5) / n, max(b, 0.5) / m) for a, b in cells if a + b]
    return sum((q - p) * math.log(q / p) for p, q in shares)


def jensen_shannon(cells: Sequence[Cell]) -> float:
    """Return the Jensen-Shannon distance, base 2: the root of the divergence (Lin 1991), 0 to 1."""
    n, m = totals(cells)
    divergence = sum(_bits(a / n, b / m) + _bits(b / m, a / n) for a, b in cells) / 2
    return math.sqrt(max(divergence, 0.0))


def _bits(p: float, q: float) -> float:
    return p * math.log2(2 * p / (p + q)) if p else 0.0


def cramers_v(cells: Sequence[Cell]) -> float:
    """Return Cramer's V (1946), 0 to 1, for samples of one size: the root of sum (p - q)^2 / (p + q) / 2.

    For the real sizes it would shrink as the baseline grows, at the same difference of shares.
    """
    n, m = totals(cells)
    shares = [(a / n, b / m) for a, b in cells if a + b]
    return math.sqrt(sum((p - q) ** 2 / (p + q) for p, q in shares) / 2)


def l_infinity(cells: Sequence[Cell]) -> float:
    """Return the greatest difference of a share (Chebyshev distance)."""
    n, m = totals(cells)
    return max(abs(a / n - b / m) for a, b in cells)


def proportion(cell: Cell, sizes: Cell, level: float = LEVEL) -> Distance:
    """Measure the difference of one share, with Fisher's exact test."""
    (a, b), (n, m) = cell, sizes
    return Distance.of(abs(a / n - b / m), of_cell(cell, n, m), level)


def kolmogorov_smirnov(cells: Sequence[Cell]) -> float:
    """Return the greatest difference of cumulative shares (Smirnov 1948), at the ends of ordered cells."""
    n, m = totals(cells)
    return max(abs(a / n - b / m) for a, b in cumulated(cells))


def wasserstein(baseline: Distribution, current: Distribution) -> float:
    """Return the area between the cumulative shares (Vallender 1974), in the baseline's standard deviations.

    Values beyond the outermost edges count with the least area that they can have: a straight line to the
    greatest value would make up most of the area of a heavy tail.
    """
    unit = baseline.std or current.std or 1.0
    first, second = _Cdf.of(baseline), _Cdf.of(current)
    area = 0.0
    for low, high in pairwise(sorted({*first.knots, *second.knots})):
        after, before = (first.above(low), second.above(low)), (first.below(high), second.below(high))
        gap = _mean_gap(*after, *before)
        area += (high / unit - low / unit) * gap if gap else 0.0
    return min(area, sys.float_info.max)


def _mean_gap(p: Span, q: Span, p_end: Span, q_end: Span) -> float:
    """Return the mean of the least difference of two shares, each in a span, along straight lines."""
    return _mean_positive(p[0] - q[1], p_end[0] - q_end[1]) + _mean_positive(q[0] - p[1], q_end[0] - p_end[1])


def _mean_positive(start: float, end: float) -> float:
    """Return the mean of max(y, 0) along the line from start to end."""
    if start <= 0 or end <= 0:
        high, low = max(start, end), min(start, end)
        return high * high / (2 * (high - low)) if high > 0 else 0.0
    return (start + end) / 2


@dataclass(frozen=True, slots=True)
class _Cdf:
    """A distribution's cumulative share: steps if it is discrete, else straight lines between edges.

    It is a span where it is unknown: beyond an outermost edge that is not the least or greatest value.
    """

    knots: tuple[float, ...]
    shares: tuple[float, ...]
    unknown: Mapping[int, Span]
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
        knots, reached = tuple(points), tuple(points.values())
        return cls(knots, reached, _tails(distribution, reached), distribution.is_discrete)

    def above(self, x: float) -> Span:
        """Return the share of values up to x."""
        return self._between(bisect_right(self.knots, x) - 1, x)

    def below(self, x: float) -> Span:
        """Return the share of values before x."""
        return self._between(bisect_left(self.knots, x) - 1, x)

    def _between(self, index: int, x: float) -> Span:
        if index < 0:
            return 0.0, 0.0
        if index in self.unknown:
            return self.unknown[index]
        share = self.shares[index]
        if not self.is_discrete and index < len(self.knots) - 1:
            low, high = self.knots[index : index + 2]
            # Halve first: a difference may exceed a float's range.
            part = (x / 2 - low / 2) / (high / 2 - low / 2)
            share += part * (self.shares[index + 1] - self.shares[index])
        return share, share


def _tails(distribution: Distribution, shares: Sequence[float]) -> dict[int, Span]:
    """Return the unknown spans by first knot: of a tail only its least or greatest value is known."""
    edges, one, last = distribution.edges, 1 / distribution.total, len(shares) - 2
    if distribution.is_discrete or not edges or last < 0:
        return {}
    least, most = shares[0], shares[-1]
    tails = {}
    if distribution.min < edges[0]:
        tails[0] = one, shares[1]
    if distribution.max > edges[-1]:
        low, _ = tails.get(last, (shares[last], most))
        tails[last] = low, most - one
    return {index: span for index, span in tails.items() if least <= span[0] <= span[1]}
