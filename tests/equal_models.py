"""Draw hold-outs that two models predict equally well, and have a gate judge them."""

# ruff: noqa: S311 - simulations

from __future__ import annotations

import math
import random
from functools import lru_cache

from sluice.domain.build import gates
from sluice.domain.build.verdicts import Champion, Facts
from sluice.domain.config.prediction_metrics import PredictionMetric
from sluice.domain.predictions.table import Predictions

CONFIDENCE = 0.95
COMPARISONS = 1000
SEED = 1


def most(share: float, comparisons: int) -> float:
    """The greatest share to expect of a simulation, with a chance of 99 %."""
    return share + 2.326 * math.sqrt(share * (1 - share) / comparisons)


def equal_models(rng: random.Random, n: int, needs: str) -> tuple[Predictions, Predictions]:
    """Two models that see the same signal of each row, with noise of their own."""
    ids = list(map(str, range(n)))
    if needs == "numbers":
        truth = [rng.gauss(0, 1) for _ in ids]
        signal = [y + rng.gauss(0, 0.7) for y in truth]
        labels, scores = list(map(str, truth)), [[s + rng.gauss(0, 1) for s in signal] for _ in range(2)]
    else:
        positive = [rng.random() < 0.35 for _ in ids]
        signal = [(0.7 if yes else -0.7) + rng.gauss(0, 0.7) for yes in positive]
        labels = ["1" if yes else "0" for yes in positive]
        scores = [[1 / (1 + math.exp(-(s + rng.gauss(0, 0.7)))) for s in signal] for _ in range(2)]
    return Predictions(ids, labels, None, scores[0]), Predictions(ids, labels, None, scores[1])


@lru_cache(maxsize=2)
def _drawn(n: int, times: int, needs: str) -> list[tuple[Predictions, Predictions]]:
    """The same for all metrics, as each begins with the same seed."""
    rng = random.Random(SEED)
    return [equal_models(rng, n, needs) for _ in range(times)]


def passed(metric: PredictionMetric, n: int, times: int) -> float:
    """The share of comparisons in which `better_than champion with confidence 0.95` passes."""
    drawn = _drawn(n, times, "numbers" if metric.needs == "numbers" else "classes")
    gate = f"{metric.name} better_than champion with confidence {CONFIDENCE}"
    return sum(passes(gate, candidate, champion) for candidate, champion in drawn) / times


def passes(gate: str, candidate: Predictions, champion: Predictions) -> bool:
    """Judge a gate as a run does."""
    return gates.judge([gate], {}, Champion({}, facts=Facts(champion)), Facts(candidate)).passed
