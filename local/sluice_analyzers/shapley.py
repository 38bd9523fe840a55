"""Explain a model's scores by Shapley values, estimated over random orders of the features.

In an order a feature's part is the change of the score when the row's value takes the place of the baseline's
(Strumbelj and Kononenko 2014); each order is used backwards too. The parts of a row add up to its score less
the baseline's. SageMaker Clarify estimates the same values by a regression, kernel SHAP.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

Row = Sequence[str]
Ask = Callable[[list[Row]], list[float]]
# So many rows are explained by one request to the model, or a few.
_CHUNK = 20
# Below this the features' order has changed too much, says the guide ("Feature attribution drift").
NDCG_MIN = 0.90


@dataclass(frozen=True, slots=True)
class Explanation:
    """Each row's parts by feature, and the score of the baseline."""

    parts: list[list[float]]
    expected: float


def explain(
    rows: Sequence[Row], baseline: Sequence[Row], ask: Ask, orders: int, seed: int = 0
) -> Explanation:
    """Explain each row; `ask` gives the model's scores. An order takes one row of the baseline, in turn."""
    source = random.Random(seed)  # noqa: S311 - it chooses, and hides nothing
    width = len(baseline[0])
    known = ask(list(baseline))
    parts: list[list[float]] = []
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        plans = [_orders(source, width, orders) for _ in chunk]
        points = [
            point
            for row, plan in zip(chunk, plans, strict=True)
            for number, order in enumerate(plan)
            for point in _path(row, baseline[number % len(baseline)], order)
        ]
        scores = iter(ask(points))
        for plan in plans:
            sums = [0.0] * width
            for number, order in enumerate(plan):
                before = known[number % len(baseline)]
                for feature in order:
                    score = next(scores)
                    sums[feature] += score - before
                    before = score
            parts.append([total / len(plan) for total in sums])
    return Explanation(parts, fmean(known))


def _orders(source: random.Random, width: int, count: int) -> list[list[int]]:
    found: list[list[int]] = []
    while len(found) < count:
        order = source.sample(range(width), width)
        found += [order, order[::-1]]
    return found[:count]


def _path(row: Row, baseline: Row, order: Sequence[int]) -> list[Row]:
    """Return the rows on the way from the baseline to the row."""
    current = list(baseline)
    path: list[Row] = []
    for feature in order:
        current[feature] = row[feature]
        path.append(tuple(current))
    return path


_AGGREGATES: Mapping[str, Callable[[list[float]], float]] = {
    "mean_abs": lambda values: fmean(abs(value) for value in values),
    "median": lambda values: median(abs(value) for value in values),
    "mean_sq": lambda values: fmean(value * value for value in values),
}
AGGREGATES = tuple(_AGGREGATES)


def together(explained: Explanation, names: Sequence[str], method: str) -> dict[str, float]:
    """Return each feature's part in all rows."""
    columns = zip(*explained.parts, strict=True)
    return {name: _AGGREGATES[method](list(values)) for name, values in zip(names, columns, strict=True)}


def ndcg(before: Mapping[str, float], now: Mapping[str, float]) -> float:
    """Return how far the features are in the baseline's order: 1 if they are, by its parts."""
    ideal = _gain(before, sorted(before, key=lambda name: -before[name]))
    found = _gain(before, sorted(before, key=lambda name: -now.get(name, 0.0)))
    return found / ideal if ideal else 1.0


def _gain(parts: Mapping[str, float], order: Sequence[str]) -> float:
    return sum(parts[name] / math.log2(place + 1) for place, name in enumerate(order, 1))
