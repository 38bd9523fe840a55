"""Summaries of a job's metrics: how many values, their extremes, mean and deviation; no value is kept."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sluice_local.sagemaker.api.core import Item


@dataclass(slots=True)
class Summary:
    """One metric's values, by Welford's method."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    least: float = math.inf
    most: float = -math.inf
    last: float = math.nan
    last_at: Any = None

    def add(self, value: float, at: Any) -> None:
        self.count += 1
        distance = value - self.mean
        self.mean += distance / self.count
        self.squares += distance * (value - self.mean)
        self.least, self.most = min(self.least, value), max(self.most, value)
        self.last, self.last_at = value, at

    def described(self, name: str) -> Item:
        """Return the summary as trial components have it. The deviation is the sample's."""
        return {
            "MetricName": name,
            "TimeStamp": self.last_at,
            "Max": self.most,
            "Min": self.least,
            "Last": self.last,
            "Count": self.count,
            "Avg": self.mean,
            "StdDev": math.sqrt(self.squares / (self.count - 1)) if self.count > 1 else 0.0,
        }


Summaries = dict[str, Summary]


def described(summaries: Summaries) -> list[Item]:
    """Describe the summaries of metrics by name."""
    return [summary.described(name) for name, summary in summaries.items()]


def summarized(name: str, values: Iterable[tuple[float, float]]) -> Item:
    """Summarize the values of a metric, given with their times; those of one moment in order of arrival."""
    summary = Summary()
    for at, value in sorted(values, key=lambda each: each[0]):
        summary.add(value, at)
    return summary.described(name)
