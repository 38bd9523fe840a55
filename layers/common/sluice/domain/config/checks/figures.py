"""Merge figures of parts of the data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

from sluice.domain.config.checks.base import Ask, NeedsWholeError

# Up to so many different values are told apart in parts of the data, by their hashes of 64 bits.
DISTINCT_MAX = 1024


def share(figure: Sequence[int] | None, now: datetime | None) -> Fraction | None:
    """Return one count as a share of the other, 1 if that is 0; None if no file has the column."""
    if figure is None:
        return None
    return Fraction(figure[0], figure[1]) if figure[1] else Fraction(1)


def added(some: Sequence[int] | None, others: Sequence[int] | None) -> list[int] | None:
    if some is None or others is None:
        return list(some or others or ()) or None
    return [a + b for a, b in zip(some, others, strict=True)]


def merged_moments(some: dict[str, Any] | None, others: dict[str, Any] | None) -> dict[str, Any] | None:
    """Merge the moments {count, mean, std, sum} of two parts; exact if the sum, of integers, is known.

    Chan, Golub and LeVeque (1979), "Updating formulae and a pairwise algorithm for computing sample
    variances".
    """
    if some is None or others is None:
        return some or others
    count = some["count"] + others["count"]
    total = None if some["sum"] is None else str(int(some["sum"]) + int(others["sum"]))
    mean = _mean(some, others, count) if total is None else int(total) / count
    std = None if some["std"] is None else _std(some, others, count)
    if not all(math.isfinite(moment) for moment in (mean, std) if moment is not None):
        raise NeedsWholeError("the values are beyond what their moments can be added up of")
    return {"count": count, "mean": mean, "std": std, "sum": total}


def _mean(some: dict[str, Any], others: dict[str, Any], count: int) -> float:
    mean: float = some["mean"] + (others["mean"] - some["mean"]) * (others["count"] / count)
    return mean


def _std(some: dict[str, Any], others: dict[str, Any], count: int) -> float:
    share, gap = others["count"] / count, others["mean"] - some["mean"]
    # Not ** 2, which raises where a product is infinite.
    within = some["std"] * some["std"] * (1 - share) + others["std"] * others["std"] * share
    return math.sqrt(within + gap * gap * share * (1 - share))


def counted_values(ask: Ask) -> dict[str, Any] | None:
    """Count the column's values and how many differ; few ones are hashed, so that parts of the data merge.

    None if no file has the column.
    """
    if not ask.has_column:
        return None
    values = f"SELECT count(*) AS n FROM data WHERE {ask.column} IS NOT NULL GROUP BY {ask.column}"
    distinct, present = ask.counts(f"SELECT count(*), coalesce(sum(n), 0)::BIGINT FROM ({values})")
    hashes = None
    if distinct <= DISTINCT_MAX:
        hashed = f"SELECT DISTINCT hash({ask.column}) FROM data WHERE {ask.column} IS NOT NULL"
        hashes = sorted(ask.all(hashed))
    return {"present": present, "distinct": distinct, "hashes": hashes}


def merged_values(some: dict[str, Any] | None, others: dict[str, Any] | None) -> dict[str, Any] | None:
    """Merge the counts of two parts; raises NeedsWholeError if one has many different values."""
    if some is None or others is None:
        return some or others
    present = some["present"] + others["present"]
    if some["present"] == 0 or others["present"] == 0:
        return {**(some if others["present"] == 0 else others), "present": present}
    if some["hashes"] is None or others["hashes"] is None:
        raise NeedsWholeError(
            f"a column has more than {DISTINCT_MAX} different values, which must be counted"
        )
    hashes = sorted({*some["hashes"], *others["hashes"]})
    kept = hashes if len(hashes) <= DISTINCT_MAX else None
    return {"present": present, "distinct": len(hashes), "hashes": kept}


def distinct(figure: dict[str, Any] | None, now: datetime | None) -> int | None:
    return None if figure is None else int(figure["distinct"])


def distinct_share(figure: dict[str, Any] | None, now: datetime | None) -> Fraction | None:
    """Return the share of the values that are distinct, 1 of nothing; None if no file has the column."""
    if figure is None:
        return None
    return Fraction(figure["distinct"], figure["present"]) if figure["present"] else Fraction(1)
