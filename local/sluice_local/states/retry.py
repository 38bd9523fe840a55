"""Decide which errors a Retry or Catch handles, and how long a retry waits. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

# No wildcard matches these.
_TERMINAL = frozenset({"States.Runtime", "States.DataLimitExceeded"})
_TIMEOUTS = frozenset({"States.Timeout", "States.HeartbeatTimeout"})


def matches(error_equals: Sequence[str], names: Set[str]) -> bool:
    """Tell whether an ErrorEquals list matches an error with any of the `names`."""
    if not names.isdisjoint(error_equals):
        return True
    if names & _TERMINAL:
        return False
    return "States.ALL" in error_equals or ("States.TaskFailed" in error_equals and not names & _TIMEOUTS)


class Retries:
    """The retries of one state, each retrier counting its own attempts."""

    def __init__(
        self, retriers: Sequence[Mapping[str, Any]], uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._retriers = retriers
        self._attempts = [0] * len(retriers)
        self._uniform = uniform

    @property
    def count(self) -> int:
        """The number of retries of the state."""
        return sum(self._attempts)

    def next_delay_s(self, names: Set[str]) -> float | None:
        """Return the seconds until the next attempt; None if the first matching retrier has none left."""
        for index, retrier in enumerate(self._retriers):
            if matches(retrier["ErrorEquals"], names):
                attempt = self._attempts[index]
                if attempt >= retrier.get("MaxAttempts", 3):
                    return None
                self._attempts[index] += 1
                return self._delay_s(retrier, attempt)
        return None

    def _delay_s(self, retrier: Mapping[str, Any], attempt: int) -> float:
        exponential = (
            float(retrier.get("IntervalSeconds", 1)) * float(retrier.get("BackoffRate", 2.0)) ** attempt
        )
        delay = min(exponential, float(retrier.get("MaxDelaySeconds", exponential)))
        return self._uniform(0, delay) if retrier.get("JitterStrategy") == "FULL" else delay
