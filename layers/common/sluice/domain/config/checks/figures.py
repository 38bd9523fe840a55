"""Merge figures of parts of the data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

from sluice.domain.config.checks.base import NeedsWholeError


def share(figure: Sequence[int] | None, now: datetime | None) -> Fraction | None:
    """Return the first of two counts as a share of the second."""
    return Fraction(figure[0], figure[1]) if figure and figure[1] else None


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
    within = some["std"] ** 2 * (1 - share) + others["std"] ** 2 * share
    return math.sqrt(within + gap * gap * share * (1 - share))
