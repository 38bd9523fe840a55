"""Compute the chance that data differ so much without drift, by tests that are valid for any numbers.

Of several tests of the same question, the least chance counts, times the number of tests (Bonferroni).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import field

from sluice.lazy import dataclass
from sluice.quality.statistics.cells import Cell, cumulated, merge_ordered, merge_rare, merged, tenths, totals
from sluice.quality.statistics.significance import chi_square_sf, exclusive_sf, kolmogorov_sf, shares_sf

# Equal chances may differ in their last digits.
_ROUNDING = 1 + 1e-9
_OF_CATEGORIES = 4


def of_cell(cell: Cell, n: int, m: int) -> float:
    """Return the chance that one share differs so much, by Fisher's exact test."""
    a, b = cell
    return shares_sf(abs(a / n - b / m), a + b, n, m)


def pearson(cells: Sequence[Cell]) -> float:
    """Apply Pearson's chi-square test of homogeneity (1900); for two cells Fisher's, which is exact."""
    n, m = totals(cells)
    there = [cell for cell in cells if sum(cell)]
    if len(there) == 2:
        return of_cell(there[0], n, m)
    total = n + m
    statistic = math.fsum(
        (a - n * (a + b) / total) ** 2 / (n * (a + b) / total)
        + (b - m * (a + b) / total) ** 2 / (m * (a + b) / total)
        for a, b in there
    )
    return chi_square_sf(statistic, len(there) - 1)


@dataclass(frozen=True, slots=True)
class CellTests:
    """Fisher's test of each cell.

    `singles` are single values or categories: a rare one cannot have a small chance however its values are
    distributed, so it does not count among the tests (Tarone 1990). `ranges` are cells of any kind.
    """

    n: int
    m: int
    ranges: tuple[Cell, ...]
    singles: tuple[Cell, ...]
    _least: list[float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        kinds = Counter(a + b for a, b in self.singles)
        least = [chance for kind, times in kinds.items() for chance in [self._least_of(kind)] * times]
        object.__setattr__(self, "_least", sorted(least))

    def _least_of(self, kind: int) -> float:
        """Return the chance of the most extreme distribution of so many values."""
        most, fewest = min(kind, self.m), max(0, kind - self.n)
        return min(of_cell((kind - b, b), self.n, self.m) for b in (most, fewest))

    def adjusted(self, cell: Cell) -> float:
        """Return the chance that any of the cells differs as much as this one."""
        chance = of_cell(cell, self.n, self.m)
        tests = len(self.ranges) + bisect_right(self._least, chance * _ROUNDING)
        return min(chance * tests, 1.0)

    @property
    def chance(self) -> float:
        return min(map(self.adjusted, {*self.ranges, *self.singles}), default=1.0)


@dataclass(frozen=True, slots=True)
class Categories:
    """The categories of both data sets, one cell each, and all values of unknown category.

    `is_complete`: the baseline has no other category, so those values are not in its categories.
    """

    known: tuple[Cell, ...]
    rest: Cell
    is_complete: bool

    @property
    def cells(self) -> tuple[Cell, ...]:
        return (*self.known, self.rest)

    @property
    def tests(self) -> CellTests:
        pooled = [group for group in self.merged() if len(group) > 1]
        return CellTests(*totals(self.cells), tuple(merged(self.cells, pooled)), self.known)

    def merged(self, apart: Sequence[Sequence[int]] = ()) -> list[list[int]]:
        """Group the cells that are too rare to test into one."""
        return merge_rare(self.cells, len(self.known), apart)

    @property
    def new_values(self) -> int:
        """The number of current values outside the baseline's categories."""
        return sum(b for a, b in self.cells if not a) if self.is_complete else 0

    @property
    def new_by_chance(self) -> float:
        """Return the chance that categories of so many values are only in the newer data set."""
        return self._alone(self.new_values, 1)

    @property
    def vanished_by_chance(self) -> float:
        return self._alone(sum(a for a, b in self.known if not b) if self.is_complete else 0, 0)

    def _alone(self, values: int, side: int) -> float:
        if not values:
            return 1.0
        # Count each new value of unlisted category as its own category: there cannot be more.
        sizes = Counter(a + b for a, b in self.known)
        sizes[1] += self.rest[1]
        both = totals(self.cells)
        return exclusive_sf(values, sizes, both[side] / sum(both))


def any_edge(cells: Sequence[Cell]) -> float:
    """Return the chance that cumulative shares differ so much at one edge, as they may in a tail."""
    n, m = totals(cells)
    below = cumulated(cells)[:-1]
    far = {cell for cell in below if _is_far(cell, n, m)}
    return min(min((of_cell(cell, n, m) for cell in far), default=1.0) * max(len(below), 1), 1.0)


def _is_far(cell: Cell, n: int, m: int) -> bool:
    """Tell whether a share differs by two standard errors, so that its test is worth the time."""
    a, b = cell
    kind, total = a + b, n + m
    return (a * m - b * n) ** 2 * total >= 4 * n * m * kind * (total - kind)


def kolmogorov_smirnov(cells: Sequence[Cell]) -> float:
    """Return the chance that the cumulative shares are so far apart anywhere."""
    n, m = totals(cells)
    distance = max(abs(a / n - b / m) for a, b in cumulated(cells))
    return kolmogorov_sf(distance, n * m / (n + m))


def of_categories(categories: Categories) -> float:
    """Return the chance for categories: by all, by one, and by those that only one data set has."""
    found = (
        pearson(merged(categories.cells, categories.merged())),
        categories.tests.chance,
        categories.new_by_chance,
        categories.vanished_by_chance,
    )
    return min(min(found) * _OF_CATEGORIES, 1.0)


def of_ranges(cells: Sequence[Cell], *, of_values: bool = False) -> float:
    """Return the chance for ordered cells: by all, by one, and by those below an edge.

    `of_values`: a cell is a single value, or is between two of the baseline's.
    """
    parts = merged(cells, tenths(cells, of_values=of_values))
    tests = CellTests(*totals(cells), tuple(parts), tuple(cells) if of_values else ())
    of_all = pearson(merged(cells, merge_ordered(cells)))
    return min(4 * min(of_all, tests.chance, kolmogorov_smirnov(cells), any_edge(cells)), 1.0)


def of_cumulated(cells: Sequence[Cell]) -> float:
    """Return the chance for cumulative shares: by their greatest difference, or by that at one edge."""
    return min(2 * min(kolmogorov_smirnov(cells), any_edge(cells)), 1.0)


def apart(categories: Categories, level: float) -> list[list[int]]:
    """Return the groups of cells that differ by more than chance, which pooling must not hide."""
    cells, tests = categories.cells, categories.tests
    single = [i for i, cell in enumerate(categories.known) if tests.adjusted(cell) * _OF_CATEGORIES < level]
    groups = [[i] for i in single]
    others = [i for i, cell in enumerate(cells) if any(cell) and i not in set(single)]
    if categories.new_by_chance * _OF_CATEGORIES < level:
        groups.append([i for i in others if not cells[i][0]])
    if categories.vanished_by_chance * _OF_CATEGORIES < level:
        groups.append([i for i in others if not cells[i][1]])
    return [group for group in groups if group]
