"""Columns of made values, profiled and held against each other."""

import math
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

from sluice.domain.config.statistics import Drift, DriftMethod
from sluice.quality.statistics.drift import ColumnDrift, compare
from sluice.quality.statistics.profiles import (
    ColumnProfile,
    Distribution,
    Profile,
    bin_counts,
    categories_of,
    quantile_edges,
)

METHODS: tuple[DriftMethod, ...] = ("psi", "js", "ks", "wasserstein", "chi_square", "l_infinity")


def numbers(values: Sequence[float], missing: int = 0) -> ColumnProfile:
    counted = Counter(values)
    mean = sum(values) / len(values)
    std = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    edges = quantile_edges(counted)
    found = Distribution(
        min(values), max(values), mean, std, edges, bin_counts(counted, edges), is_discrete=False
    )
    return ColumnProfile("number", len(values), missing, 0, len(counted), True, distribution=found)


def categories(counts: dict[str, int], missing: int = 0) -> ColumnProfile:
    total = sum(counts.values())
    return ColumnProfile("string", total, missing, 0, len(counts), True, categories=categories_of(counts))


def of_numbers(baseline: Sequence[float], current: Sequence[float], **limits: Any) -> ColumnDrift:
    before, after = numbers(baseline), numbers(current)
    assert before.distribution is not None
    counts = bin_counts(Counter(current), before.distribution.edges)
    return only(before, after, counts, **limits)


def of_categories(baseline: dict[str, int], current: dict[str, int], **limits: Any) -> ColumnDrift:
    before = categories(baseline)
    assert before.categories is not None
    counts = tuple(current.get(name, 0) for name in before.categories.counts)
    return only(before, categories(current), counts, **limits)


def only(
    before: ColumnProfile, after: ColumnProfile | None, counts: tuple[int, ...] | None, **limits: Any
) -> ColumnDrift:
    rows = after.rows if after else 100
    baseline = Profile(before.rows, {"x": before})
    profile = Profile(rows, {"x": after} if after else {}, {} if counts is None else {"x": counts})
    (column,) = compare(profile, baseline, Drift(**{"max": 0.1, **limits}), "v").columns
    return column


def gaussian(random: Random, count: int, shift: float = 0) -> list[float]:
    return [random.gauss(shift, 1) for _ in range(count)]
