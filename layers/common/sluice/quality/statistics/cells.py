"""Group cells: a cell is a pair of counts, (baseline, current), of a category or a range of values.

n and m are the sums of the two sides. A group is the indices of its cells.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import accumulate

from sluice.quality.statistics.profiles import Distribution

Cell = tuple[int, int]
CELLS_MAX = 10
# Cochran's rule: the chi-square approximation holds if each cell expects at least five values.
EXPECTED_MIN = 5


def totals(cells: Iterable[Cell]) -> Cell:
    pairs = tuple(cells)
    return sum(a for a, _ in pairs), sum(b for _, b in pairs)


def merged(cells: Sequence[Cell], groups: Iterable[Iterable[int]]) -> list[Cell]:
    """Return the sums of the groups of cells."""
    return [totals(cells[index] for index in group) for group in groups]


def cumulated(cells: Sequence[Cell]) -> list[Cell]:
    return list(zip(accumulate(a for a, _ in cells), accumulate(b for _, b in cells), strict=True))


def common_cells(
    baseline: Distribution, current: Distribution | None, counts: Sequence[int]
) -> tuple[list[Cell], tuple[float, ...]]:
    """Return the finest ordered cells in which both are counted exactly, and the edges between them.

    `counts` are the current values between the baseline's edges. If those are all the baseline's values, the
    baseline is also known at the current distribution's edges, so values between its own become visible.
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


def tenths(cells: Sequence[Cell], *, of_values: bool = False) -> list[list[int]]:
    """Group neighbouring cells into at most CELLS_MAX: tenths of the baseline, and the ranges beyond.

    Among single values, one that is frequent in the current data also ends a group, so that it is visible; so
    do frequent values between two of the baseline's.
    """
    n, m = totals(cells)
    groups: list[list[int]] = [[]]
    reached = between = 0
    for index, (a, b) in enumerate(cells):
        groups[-1].append(index)
        reached += a
        between = b if a else between + b
        is_frequent = of_values and between * CELLS_MAX >= m and (a or _is_value(cells, index + 1))
        if reached * CELLS_MAX >= n or is_frequent:
            groups.append([])
            reached = between = 0
    last = groups.pop()
    _, beyond = totals(cells[i] for i in last)
    if groups and last and beyond * CELLS_MAX < m:
        return [*groups[:-1], groups[-1] + last]
    return [*groups, last] if last else groups


def _is_value(cells: Sequence[Cell], index: int) -> bool:
    """Tell whether the cell is a value of the baseline."""
    return index < len(cells) and cells[index][0] > 0


def merge_ordered(cells: Sequence[Cell]) -> list[list[int]]:
    """Group neighbouring cells into at most CELLS_MAX that each expect enough values for a test.

    Groups depend only on the sums of both sides, which keeps a test given those sums valid.
    """
    n, m = totals(cells)
    groups: list[list[int]] = [[]]
    together = 0
    for index, cell in enumerate(cells):
        groups[-1].append(index)
        together += sum(cell)
        if together * CELLS_MAX >= n + m and is_expected(together, n, m):
            groups.append([])
            together = 0
    last = groups.pop()
    if not groups or (is_expected(together, n, m) and len(groups) < CELLS_MAX):
        return [*groups, last]
    return [*groups[:-1], groups[-1] + last]


def merge_rare(
    cells: Sequence[Cell], rest: int | None = None, apart: Collection[Sequence[int]] = ()
) -> list[list[int]]:
    """Group the cells that expect too few values for a test; other cells, and the groups `apart`, stay.

    The cell at `rest` holds many rare categories: those that one data set lacks are compared with those that
    the other lacks, as rare ones are often in only one by chance.
    """
    n, m = totals(cells)
    chosen = {index for group in apart for index in group}
    others = [i for i in range(len(cells)) if i not in chosen]
    rare = [i for i in others if i == rest or not is_expected(sum(cells[i]), n, m)]
    kept = [[i] for i in others if i not in set(rare)]
    pooled = sum(totals(cells[i] for i in rare))
    if kept and rare and not is_expected(pooled, n, m):
        smallest = min(kept, key=lambda group: sum(cells[group[0]]))
        kept = [*(group for group in kept if group is not smallest), smallest + rare]
    elif rare:
        kept = [*kept, rare]
    return [*kept, *map(list, apart)]


def is_expected(count: int, n: int, m: int) -> bool:
    """Tell whether both sides expect enough of so many values."""
    return count * min(n, m) >= EXPECTED_MIN * (n + m)
