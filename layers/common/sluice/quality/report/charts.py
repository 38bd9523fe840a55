"""Turn distributions into shapes: bins that data sets share, and bars as fractions of the plot."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

from sluice.lazy import dataclass
from sluice.quality.statistics.profiles import EDGE_SHARES, Categories, Distribution

BINS = 32
CATEGORIES_SHOWN = 8
# Cut off a tail that would squeeze the rest into less than a third of the plot.
_TAIL_SHARE = 0.005
_SQUEEZED = 1 / 3
_SHARES = tuple(map(float, EDGE_SHARES))
# Of sampled edges one or two may fall into a bin by chance.
_SEVERAL = 3


@dataclass(frozen=True, slots=True)
class Histogram:
    """Bins on one axis, and the share of each data set's values in each bin.

    A bin is (lower, upper); for a single value both are equal. `below` and `above` are the shares outside the
    axis.
    """

    bins: tuple[tuple[float, float], ...]
    shares: tuple[tuple[float, ...], ...]
    below: tuple[float, ...]
    above: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class CategoryBars:
    """The categories to draw, and their shares in each data set; `others` is the share of all the rest."""

    names: tuple[str, ...]
    shares: tuple[tuple[float, ...], ...]
    others: tuple[float, ...]


def histogram(distributions: Sequence[Distribution]) -> Histogram:
    """Put all distributions on one axis."""
    values = sorted({edge for d in distributions if d.is_discrete for edge in d.edges})
    if all(d.is_discrete for d in distributions) and len(values) <= BINS:
        shares = tuple(_shares_of_values(d, values) for d in distributions)
        nothing = (0.0,) * len(distributions)
        return Histogram(tuple((value, value) for value in values), shares, nothing, nothing)
    lower, upper = _axis(distributions)
    # Weight the ends: the axis may be wider than a float's range; rounding may exceed its ends.
    weighted = (lower * (1 - index / BINS) + upper * (index / BINS) for index in range(BINS + 1))
    cuts = [max(lower, min(cut, upper)) for cut in weighted]
    cumulated = [[cumulative_share(d, cut) for cut in cuts] for d in distributions]
    # The axis includes its lowest value.
    starts = [cumulative_share(d, math.nextafter(lower, -math.inf)) for d in distributions]
    shares = tuple(
        tuple(after - before for before, after in zip([start, *reached[1:]], reached[1:], strict=False))
        for start, reached in zip(starts, cumulated, strict=True)
    )
    bins = tuple(pairwise(cuts))
    return Histogram(bins, shares, tuple(starts), tuple(1 - reached[-1] for reached in cumulated))


def categories(data_sets: Sequence[Categories]) -> CategoryBars:
    """Return the most frequent categories of the first data set, then frequent ones of the others."""
    ranked = sorted(
        dict.fromkeys(name for data_set in data_sets for name in data_set.counts),
        key=lambda name: max(_category_share(data_set, name) for data_set in data_sets),
        reverse=True,
    )[:CATEGORIES_SHOWN]
    shares = tuple(tuple(_category_share(data_set, name) for name in ranked) for data_set in data_sets)
    return CategoryBars(tuple(ranked), shares, tuple(max(0.0, 1 - sum(part)) for part in shares))


def cumulative_share(distribution: Distribution, value: float) -> float:
    """Return the share of values up to `value`, assuming an even spread within bins.

    Of a bin with several quantiles all but the first part are its upper edge itself: most values of a column
    may be the same.
    """
    total = distribution.total
    if not total or value < distribution.min:
        return 0.0
    if value >= distribution.max:
        return 1.0
    index = bisect_left(distribution.edges, value)
    below = sum(distribution.counts[:index])
    if distribution.is_discrete:
        reached = index < len(distribution.edges) and distribution.edges[index] == value
        return (below + (distribution.counts[index] if reached else 0)) / total
    left = distribution.edges[index - 1] if index else distribution.min
    right = distribution.edges[index] if index < len(distribution.edges) else distribution.max
    # Halve first: a difference may exceed a float's range.
    part = (value / 2 - left / 2) / (right / 2 - left / 2) if right / 2 > left / 2 else 1.0
    count = distribution.counts[index]
    return (below + (count if part >= 1 else part * (count - _tied(below, count, total)))) / total


def _tied(below: int, count: int, total: int) -> float:
    """Return how many values of a bin are its upper edge: edges are the quantiles of `EDGE_SHARES`."""
    first, behind = (bisect_right(_SHARES, rows / total) for rows in (below, below + count))
    return below + count - _SHARES[first] * total if behind - first >= _SEVERAL else 0


def outline(shares: Sequence[float], highest: float, width: float, height: float) -> str:
    """Draw a staircase over the bins, as an SVG path."""
    step = width / len(shares)
    points: list[str] = [f"M0 {height:g}"]
    for index, share in enumerate(shares):
        y = height * (1 - share / highest)
        points.append(f"L{index * step:.2f} {y:.2f}L{(index + 1) * step:.2f} {y:.2f}")
    return "".join([*points, f"L{width:g} {height:g}"])


def _shares_of_values(distribution: Distribution, values: Sequence[float]) -> tuple[float, ...]:
    counts = dict(zip(distribution.edges, distribution.counts, strict=False))
    total = distribution.total or 1
    return tuple(counts.get(value, 0) / total for value in values)


def _axis(distributions: Sequence[Distribution]) -> tuple[float, float]:
    """Return the axis from the least to the greatest value, or to where a long tail begins."""
    lower, upper = min(d.min for d in distributions), max(d.max for d in distributions)
    low, high = zip(*map(_bulk, distributions), strict=True)
    inner_low, inner_high = min(low), max(high)
    inner = inner_high - inner_low
    if 0 < inner < (upper - lower) * _SQUEEZED:
        # Cut only the tail that is long.
        margin = inner * _SQUEEZED
        lower = inner_low if inner_low - lower > margin else lower
        upper = inner_high if upper - inner_high > margin else upper
    return (lower, upper) if upper > lower else (lower - 0.5, lower + 0.5)


def _bulk(distribution: Distribution) -> tuple[float, float]:
    """Return the range of all but the outermost half per cent on each side."""
    reached = list(_cumulated(distribution))
    low = next((edge for edge, share in reached if share >= _TAIL_SHARE), distribution.min)
    high = next((edge for edge, share in reached if share >= 1 - _TAIL_SHARE), distribution.max)
    return low, high


def _cumulated(distribution: Distribution) -> Iterator[tuple[float, float]]:
    total, so_far = distribution.total or 1, 0
    for edge, count in zip(distribution.edges, distribution.counts, strict=False):
        so_far += count
        yield edge, so_far / total


def _category_share(data_set: Categories, name: str) -> float:
    return data_set.counts.get(name, 0) / (data_set.total or 1)
