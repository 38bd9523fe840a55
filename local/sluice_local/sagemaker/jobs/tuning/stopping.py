"""Which training jobs of a tuning job are stopped early, by the objective's values that they emit.

The n-th value is that of epoch n. Values are losses here: the less, the better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean, median
from typing import Protocol

# Of each rung one in so many goes on (Li et al. 2018, section 3.5).
_REDUCTION = 3


class Rule(Protocol):
    """What decides, as values come, which training job to stop."""

    def is_hopeless(self, index: int, losses: Sequence[float]) -> bool:
        """Tell whether the training job, which has just emitted the last of these, need not go on."""
        ...

    def ended(self, index: int, losses: Sequence[float]) -> None:
        """Learn all values of a training job that ended by itself."""
        ...


class Never:
    """No training job is stopped."""

    def is_hopeless(self, index: int, losses: Sequence[float]) -> bool:
        return False

    def ended(self, index: int, losses: Sequence[float]) -> None:
        pass


class MedianRule:
    """TrainingJobEarlyStoppingType Auto, as the SageMaker guide tells it ("How Early Stopping Works").

    A training job stops if its value is worse than the median of the running averages, up to the same epoch,
    of all training jobs that completed before.
    """

    def __init__(self) -> None:
        self._completed: list[list[float]] = []

    def is_hopeless(self, index: int, losses: Sequence[float]) -> bool:
        epoch = len(losses)
        averages = [mean(known[:epoch]) for known in self._completed if len(known) >= epoch]
        return bool(averages) and losses[-1] > median(averages)

    def ended(self, index: int, losses: Sequence[float]) -> None:
        if losses:
            self._completed.append(list(losses))


class Hyperband:
    """Hyperband's brackets over epochs, each with asynchronous halving (Li et al. 2020, "ASHA").

    Training jobs are dealt to brackets in turn; in bracket s the first rung is MinResource times 3^s. At a
    rung all go on until 3 of the bracket have come there, and then those in its best third. At MaxResource
    epochs each ends.
    """

    def __init__(self, least: int, most: int) -> None:
        self._most = most
        self._rungs = [least * _REDUCTION**power for power in range(_steps(least, most) + 1)]
        self._known: dict[tuple[int, int], list[float]] = {}

    def is_hopeless(self, index: int, losses: Sequence[float]) -> bool:
        epoch = len(losses)
        if epoch >= self._most:
            return True
        bracket = index % len(self._rungs)
        if epoch not in self._rungs[bracket:]:
            return False
        known = self._known.setdefault((bracket, epoch), [])
        known.append(losses[-1])
        if len(known) < _REDUCTION:
            return False
        return losses[-1] > sorted(known)[len(known) // _REDUCTION - 1]

    def ended(self, index: int, losses: Sequence[float]) -> None:
        pass


def _steps(least: int, most: int) -> int:
    """Return how often a job's epochs can be multiplied before they reach the most."""
    return max(0, math.ceil(math.log(most / least, _REDUCTION) - 1e-9) - 1)
