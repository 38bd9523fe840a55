"""Compute the tails of the distributions that tests of drift use."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import count

from sluice.domain.predictions.tails import log_choose, normal_sf

_PRECISION = 1e-15
_TINY = 1e-300
# Sum the exact distribution of a count up to this variance.
_EXACT_MAX = 10_000
_ROUNDING = 1e-6
# Steps of a ternary search: enough for the precision of a chance.
_STEPS = 60


def chi_square_sf(statistic: float, degrees: int) -> float:
    """Return the chance of a greater chi-square value: Q(degrees / 2, statistic / 2) of DLMF 8.2.4."""
    if statistic < _TINY or degrees < 1:
        return 1.0
    shape, x = degrees / 2, statistic / 2
    scale = math.exp(-x + shape * math.log(x) - math.lgamma(shape))
    tail = 1 - scale * _lower_series(shape, x) if x < shape + 1 else scale * _upper_fraction(shape, x)
    return min(max(tail, 0.0), 1.0)


def _lower_series(shape: float, x: float) -> float:
    """Sum the series DLMF 8.7.1, which converges fast below the mean."""
    term = total = 1 / shape
    for step in count(1):
        term *= x / (shape + step)
        total += term
        if term < total * _PRECISION:
            break
    return total


def _upper_fraction(shape: float, x: float) -> float:
    """Evaluate the fraction of DLMF 8.9.2 by Lentz's method (Numerical Recipes 6.2), above the mean."""
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
    """Return the chance of a greater Kolmogorov-Smirnov distance; for samples of n and m, size is nm/(n + m).

    It is Kolmogorov's limit with the correction for small samples by Stephens (1970).
    """
    root = math.sqrt(size)
    reach = (root + 0.12 + 0.11 / root) * distance
    if reach < 0.3:
        return 1.0
    terms = (math.exp(-2 * (k * reach) ** 2) * (1 if k % 2 else -1) for k in range(1, 101))
    return min(max(2 * sum(terms), 0.0), 1.0)


def shares_sf(gap: float, kind: int, n: int, m: int) -> float:
    """Return the chance that a kind's shares in samples of n and m are at least `gap` apart.

    Both samples have `kind` values of the kind, distributed by chance: their number in one sample is
    hypergeometric, as in Fisher's exact test (Agresti 2013, 3.5), and nearly normal for very many values.
    """
    if gap <= 0:
        return 1.0
    total = n + m
    mean = kind * m / total
    apart = gap * n * m / total
    variance = mean * (total - kind) / total * n / max(total - 1, 1)
    if variance > _EXACT_MAX:
        return min(2 * normal_sf(apart / math.sqrt(variance)), 1.0)
    upper = _hypergeometric_tail(math.ceil(mean + apart - _ROUNDING), kind, n, m)
    # Few values in one sample mean many in the other.
    lower = _hypergeometric_tail(math.ceil(kind - mean + apart - _ROUNDING), kind, m, n)
    return min(upper + lower, 1.0)


def _hypergeometric_tail(least: int, kind: int, n: int, m: int) -> float:
    """Return the chance that at least so many of a kind are in the sample of m."""
    if least <= max(0, kind - n):
        return 1.0
    if least > min(kind, m):
        return 0.0
    chosen = log_choose(kind, least) + log_choose(n + m - kind, m - least) - log_choose(n + m, m)
    total = term = math.exp(chosen)
    for drawn in range(least, min(kind, m)):
        term *= (kind - drawn) * (m - drawn) / ((drawn + 1) * (n - kind + drawn + 1))
        total += term
        if term < total * _PRECISION:
            break
    return total


def exclusive_sf(values: int, sizes: Mapping[int, int], share: float) -> float:
    """Bound the chance that categories with so many values in all are only in this sample.

    `sizes` counts categories by their number of values in both samples; each value is in this sample with
    chance `share`. Rare categories are often in only one sample, so all count: the bound is Chernoff's for
    the sum (Boucheron, Lugosi and Massart 2013, 2.2).
    """
    if values <= 0:
        return 1.0
    low, high = 0.0, -math.log(share)

    def exponent(tilt: float) -> float:
        grown = (
            categories * math.log1p(math.exp(size * (math.log(share) + tilt)) - share**size)
            for size, categories in sizes.items()
        )
        return sum(grown) - tilt * values

    for _ in range(_STEPS):
        third = (high - low) / 3
        if exponent(low + third) < exponent(high - third):
            high -= third
        else:
            low += third
    return min(math.exp(min(exponent(low), 0.0)), 1.0)
