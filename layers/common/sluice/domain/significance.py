"""How likely chance alone is: the tails of the distributions that tests of drift are held against."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import count

_PRECISION = 1e-15
_TINY = 1e-300


def normal_sf(z: float) -> float:
    """The chance of a standard normal value above z."""
    return math.erfc(z / math.sqrt(2)) / 2


def chi_square_sf(statistic: float, degrees: int) -> float:
    """The chance of a chi-square value above the statistic: Q(degrees / 2, statistic / 2) of DLMF 8.2.4."""
    if statistic < _TINY or degrees < 1:
        return 1.0
    shape, x = degrees / 2, statistic / 2
    scale = math.exp(-x + shape * math.log(x) - math.lgamma(shape))
    tail = 1 - scale * _lower_series(shape, x) if x < shape + 1 else scale * _upper_fraction(shape, x)
    return min(max(tail, 0.0), 1.0)


def _lower_series(shape: float, x: float) -> float:
    """DLMF 8.7.1, which converges fast below the mean."""
    term = total = 1 / shape
    for step in count(1):
        term *= x / (shape + step)
        total += term
        if term < total * _PRECISION:
            break
    return total


def _upper_fraction(shape: float, x: float) -> float:
    """The continued fraction of DLMF 8.9.2 by Lentz's method (Numerical Recipes 6.2), for above the mean."""
    b = x + 1 - shape
    c, d = 1 / _TINY, 1 / b
    value = d
    for step in count(1):
        a = -step * (step - shape)
        b += 2
        d = 1 / _nonzero(a * d + b)
        c = _nonzero(b + a / c)
        value *= d * c
        if abs(d * c - 1) < _PRECISION:
            break
    return value


def _nonzero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def kolmogorov_sf(distance: float, size: float) -> float:
    """The chance of a Kolmogorov-Smirnov distance above this one, for samples of n and m, size nm / (n + m).

    Kolmogorov's limit with the correction for small samples of Stephens (1970).
    """
    root = math.sqrt(size)
    reach = (root + 0.12 + 0.11 / root) * distance
    if reach < 0.3:
        return 1.0
    terms = (math.exp(-2 * (k * reach) ** 2) * (1 if k % 2 else -1) for k in range(1, 101))
    return min(max(2 * sum(terms), 0.0), 1.0)


def critical(p_value: Callable[[float], float], level: float) -> float:
    """The distance that chance exceeds at this level: where the falling p-value crosses it."""
    low, high = 0.0, 1.0
    while p_value(high) > level and high < 1e6:
        low, high = high, high * 2
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if p_value(middle) > level else (low, middle)
    return high
