"""Compute the tails of the distributions that tests use."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import count

_PRECISION = 1e-15
_TINY = 1e-300
# The most steps to a quantile: far out, each doubles it at first.
_STEPS = 200


def normal_sf(z: float) -> float:
    """Return the chance of a standard normal value above z."""
    return math.erfc(z / math.sqrt(2)) / 2


def student_sf(t: float, degrees: float) -> float:
    """Return the chance of a value of Student's t above t, by the incomplete beta function (DLMF 8.17)."""
    if math.isinf(t):
        return 0.0 if t > 0 else 1.0
    tail = _regularized_beta(degrees / (degrees + t * t), degrees / 2, 0.5) / 2
    return tail if t >= 0 else 1 - tail


@lru_cache(maxsize=256)
def student_isf(chance: float, degrees: float) -> float:
    """Return the t above which Student's t is with this chance, of at most 0.5.

    By Newton's method: right of 0 the tail is convex, so that each step from 0 ends below the t, and nearer.
    Remembered, as all slices of one size and all metrics of one hold-out ask for the same.
    """
    root = math.sqrt(degrees * math.pi)
    peak = math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)) / root
    t = 0.0
    for _ in range(_STEPS):
        density = peak * math.exp(-(degrees + 1) / 2 * math.log1p(t * t / degrees))
        step = (student_sf(t, degrees) - chance) / density
        t += step
        if step <= t * _PRECISION:
            break
    return t


def _regularized_beta(x: float, a: float, b: float) -> float:
    """Evaluate the fraction of DLMF 8.17.22 by Lentz's method, on the side where it converges fast."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _regularized_beta(1 - x, b, a)
    scale = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    c, d = 1.0, 1 / _nonzero(1 - (a + b) * x / (a + 1))
    value = d
    for m in count(1):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _nonzero(1 + term * d)
            c = _nonzero(1 + term / c)
            value *= d * c
        if abs(d * c - 1) < _PRECISION * 10:
            break
    return scale * value / a


def half_binomial_sf(least: int, n: int) -> float:
    """Return the chance that at least so many of n fair coins show heads, exactly."""
    if least <= 0:
        return 1.0
    if least > n:
        return 0.0
    if 2 * least <= n:
        # This is more than half of the distribution: sum the rest.
        return 1 - half_binomial_sf(n - least + 1, n)
    total = term = math.exp(log_choose(n, least) - n * math.log(2))
    for heads in range(least, n):
        term *= (n - heads) / (heads + 1)
        total += term
        if term < total * _PRECISION:
            break
    return min(total, 1.0)


def log_choose(total: int, chosen: int) -> float:
    """Return the logarithm of the number of ways to choose so many of a total."""
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)


def _nonzero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
