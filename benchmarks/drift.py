"""Measure how often each method alarms: without drift, which its level bounds, or with a shift (its power).

Simulates pairs of data sets as the engine would profile them. Every p-value is compared with 1 %, the level
for one column, and 0.05 %, that for each of twenty. Standard library only; a row takes seconds to minutes.
"""

# ruff: noqa: S311 - simulations

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from sluice.domain.config.statistics import Drift, DriftMethod
from sluice.quality.statistics.drift import ColumnDrift, compare
from sluice.quality.statistics.profiles import (
    DISCRETE_MAX,
    ColumnProfile,
    Distribution,
    Profile,
    bin_counts,
    categories_of,
    quantile_edges,
)

LEVELS = (0.01, 0.0005)
METHODS: tuple[DriftMethod, ...] = ("psi", "ks", "wasserstein")
SIZES = ((10, 10), (20, 20), (200, 200), (300, 300), (1000, 5), (1000, 20), (1000, 50), (20, 1000), (300, 60))
_LONG_TAIL = [1 / rank for rank in range(1, 61)]

Draw = Callable[[Random, int, float], Sequence[float]]


@dataclass(frozen=True)
class Kind:
    """How a column's values are drawn; `shift` moves numbers but not categories."""

    draw: Draw
    is_categorical: bool = False


KINDS = {
    "normal": Kind(lambda random, count, shift: [random.gauss(shift, 1) for _ in range(count)]),
    "cauchy": Kind(
        lambda random, count, shift: [
            math.tan(math.pi * (random.random() - 0.5)) + shift for _ in range(count)
        ]
    ),
    "zero-inflated": Kind(
        lambda random, count, shift: [
            0.0 if random.random() < 0.7 else random.expovariate(1) + shift for _ in range(count)
        ]
    ),
    "fifty values": Kind(lambda random, count, shift: [float(random.randrange(50)) for _ in range(count)]),
    "rare boolean": Kind(
        lambda random, count, shift: [float(random.random() < 0.01) for _ in range(count)], True
    ),
    "five categories": Kind(lambda random, count, shift: random.choices(range(5), k=count), True),
    "long tail": Kind(lambda random, count, shift: random.choices(range(60), _LONG_TAIL, k=count), True),
}


def profiled(values: Sequence[float], *, is_categorical: bool) -> ColumnProfile:
    """Profile a column as the engine does."""
    counted = Counter(values)
    if is_categorical:
        found = categories_of({str(value): count for value, count in counted.items()})
        return ColumnProfile("string", len(values), 0, 0, len(counted), True, categories=found)
    mean = math.fsum(values) / len(values)
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    is_discrete = len(counted) <= DISCRETE_MAX
    edges = tuple(sorted(counted)) if is_discrete else quantile_edges(counted)
    distribution = Distribution(
        min(values), max(values), mean, std, edges, bin_counts(counted, edges), is_discrete
    )
    return ColumnProfile("number", len(values), 0, 0, len(counted), True, distribution=distribution)


def drift_of(baseline: Sequence[float], current: Sequence[float], *, is_categorical: bool) -> ColumnDrift:
    """Compare two samples."""
    before = profiled(baseline, is_categorical=is_categorical)
    after = profiled(current, is_categorical=is_categorical)
    counted = Counter(current)
    if before.categories is not None:
        named = {str(value): count for value, count in counted.items()}
        counts = tuple(named.get(name, 0) for name in before.categories.counts)
    else:
        counts = bin_counts(counted, before.distribution.edges if before.distribution else ())
    old, new = Profile(before.rows, {"x": before}), Profile(after.rows, {"x": after}, {"x": counts})
    (column,) = compare(new, old, Drift(max=0.1), "simulated").columns
    return column


def rates(kind: Kind, sizes: tuple[int, int], shift: float, trials: int, seed: int) -> str:
    """Return the percentage of alarms at each level, by method."""
    random, alarms = Random(seed), Counter[tuple[DriftMethod, float]]()
    for _ in range(trials):
        samples = (kind.draw(random, sizes[0], 0), kind.draw(random, sizes[1], shift))
        found = drift_of(*samples, is_categorical=kind.is_categorical)
        for method, distance in found.distances.items():
            alarms.update((method, level) for level in LEVELS if distance.p_value < level)
    shown = []
    for method in METHODS:
        percent = [f"{100 * alarms[method, level] / trials:.2f}" for level in LEVELS]
        applies = method == "psi" or not kind.is_categorical
        shown.append(f"{' / '.join(percent) if applies else '':>16}")
    return "".join(shown)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--shift", type=float, default=0.0, help="in standard deviations of a normal column")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", choices=KINDS, action="append", help="by default all")
    chosen = parser.parse_args()
    print(
        "psi stands for js, chi_square and l_infinity, which have its p-value; alarms in %, at 1 % / 0.05 %"
    )
    print(f"{'column':<18}{'rows':>12}" + "".join(f"{method:>16}" for method in METHODS))
    for name in chosen.kind or KINDS:
        for sizes in SIZES:
            found = rates(KINDS[name], sizes, chosen.shift, chosen.trials, chosen.seed)
            print(f"{name:<18}{f'{sizes[0]}, {sizes[1]}':>12}{found}", flush=True)


if __name__ == "__main__":
    main()
