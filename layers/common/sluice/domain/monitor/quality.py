"""Judge whether a model became worse than it was on its hold-out data, by predictions whose labels came.

The loss against the hold-out has an interval by the method of variance estimates recovery (Zou and Donner
2008; for shares it is Newcombe's 1998), which takes each side's own interval, so it suits every metric that
has one. A window has decayed if the whole interval of its loss is above what is allowed. All tests of a
window share the level (Bonferroni), so of stable windows at most one in two hundred is called decayed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from sluice.domain.config.monitor import WatchedQuality
from sluice.domain.config.prediction_metrics import METRICS, PredictionMetric
from sluice.domain.predictions import intervals, scores
from sluice.domain.predictions.scores import UndefinedError
from sluice.domain.predictions.table import Predictions, PredictionsError, class_name
from sluice.domain.wording import number
from sluice.lazy import dataclass

# The chance that a window of a stable model is called decayed.
LEVEL = 0.005
ALL = ""
SLICES_MAX = 50


@dataclass(frozen=True, slots=True)
class Measured:
    """A metric of a window's predictions, or of those in a slice. `reason` says why it is not ok.

    `interval` holds the value with 95 %; `loss_interval` the loss against the hold-out, with the level that
    the window's tests share.
    """

    slice: str
    rows: int
    value: float | None = None
    interval: tuple[float, float] | None = None
    baseline: float | None = None
    baseline_rows: int = 0
    loss: float | None = None
    loss_interval: tuple[float, float] | None = None
    has_decayed: bool = False
    reason: str = ""

    @property
    def is_judged(self) -> bool:
        """Whether there is a verdict about it at all."""
        return self.value is not None


def measure(
    predictions: Predictions | None, baseline: Predictions | None, limits: WatchedQuality, positive: str
) -> list[Measured]:
    """Judge all predictions of a window, first, and those in each slice; a slice with few labels is left out.

    Without a baseline only the metric's own limit is judged.
    """
    labels = len(predictions) if predictions is not None else 0
    if predictions is None or labels < limits.min_labels:
        return [Measured(ALL, labels, reason=f"{labels} labels, and at least {limits.min_labels} are needed")]
    parts = [(ALL, predictions, baseline), *_slices(predictions, baseline, limits)]
    level = LEVEL / len(parts)
    return [_measured(name, ours, theirs, limits, positive, level) for name, ours, theirs in parts]


def _slices(
    predictions: Predictions, baseline: Predictions | None, limits: WatchedQuality
) -> Iterator[tuple[str, Predictions, Predictions | None]]:
    for column in limits.slices:
        rows = _rows_by_value(predictions, column)
        known = _rows_by_value(baseline, column) if baseline and column in baseline.columns else {}
        largest = sorted(rows, key=lambda value: (-len(rows[value]), value))[:SLICES_MAX]
        for value in largest:
            if len(rows[value]) >= limits.min_labels:
                before = known.get(value, [])
                theirs = baseline.rows(before) if baseline and len(before) >= limits.min_labels else None
                yield f"{column} = {value or 'none'}", predictions.rows(rows[value]), theirs


def _rows_by_value(predictions: Predictions, column: str) -> Mapping[str, list[int]]:
    found: dict[str, list[int]] = {}
    for row, value in enumerate(predictions.column(column)):
        found.setdefault(class_name(value), []).append(row)
    return found


def _measured(
    name: str,
    ours: Predictions,
    theirs: Predictions | None,
    limits: WatchedQuality,
    positive: str,
    level: float,
) -> Measured:
    metric = METRICS[limits.metric]
    try:
        value = scores.value(metric, ours, positive)
        interval = intervals.of_value(metric, ours, positive)
        # A one-sided test is at the edge of an interval of twice its level.
        wide = intervals.of_value(metric, ours, positive, 1 - 2 * level)
    except (UndefinedError, PredictionsError) as problem:
        return Measured(name, len(ours), reason=f"{metric.name} has no value: {problem}")
    if wide is None:
        return Measured(name, len(ours), reason=f"{metric.name} of so few labels has no interval")
    found = Measured(name, len(ours), value, interval)
    beyond = _beyond_limit(metric, limits, wide)
    compared = _compared(metric, found, wide, theirs, positive, level)
    loss = compared.loss_interval
    if loss is not None and loss[0] > limits.max_loss:
        reason = (
            f"{metric.name} is {number(value)}, and was {number(compared.baseline)} on the hold-out data: "
            f"{number(compared.loss)} worse, surely {number(loss[0])} at least, "
            f"where {number(limits.max_loss)} is allowed"
        )
        return _decayed(compared, "; ".join(filter(None, (reason, beyond))))
    return _decayed(compared, beyond) if beyond else compared


def _decayed(measured: Measured, reason: str) -> Measured:
    return replace(measured, has_decayed=True, reason=reason)


def _beyond_limit(metric: PredictionMetric, limits: WatchedQuality, wide: tuple[float, float]) -> str:
    """Say that a value is beyond the metric's own limit, whatever chance did; empty if it is not."""
    if limits.limit is None:
        return ""
    best = wide[0] if metric.lower_is_better else wide[1]
    is_beyond = best > limits.limit if metric.lower_is_better else best < limits.limit
    if not is_beyond:
        return ""
    word = "at most" if metric.lower_is_better else "at least"
    return f"{metric.name} is {number(best)} at best, and {word} {number(limits.limit)} is wanted"


def _compared(
    metric: PredictionMetric,
    found: Measured,
    wide: tuple[float, float],
    theirs: Predictions | None,
    positive: str,
    level: float,
) -> Measured:
    """Add the loss against the hold-out data, with its interval."""
    if theirs is None or found.value is None:
        return found
    try:
        before = scores.value(metric, theirs, positive)
        known = intervals.of_value(metric, theirs, positive, 1 - 2 * level)
    except (UndefinedError, PredictionsError):
        return found
    if known is None:
        return found
    sign = 1 if metric.lower_is_better else -1
    loss = sign * (found.value - before)
    ours = sorted(sign * edge for edge in wide)
    earlier = sorted(sign * edge for edge in known)
    now, then = sign * found.value, sign * before
    interval = (
        loss - math.hypot(now - ours[0], earlier[1] - then),
        loss + math.hypot(ours[1] - now, then - earlier[0]),
    )
    return replace(found, baseline=before, baseline_rows=len(theirs), loss=loss, loss_interval=interval)
