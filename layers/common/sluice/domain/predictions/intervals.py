"""How sure a metric of one model is: an interval that holds the true value, by default with 95 %."""

from __future__ import annotations

import math
from collections import Counter
from statistics import NormalDist

from sluice.domain.config.prediction_metrics import PredictionMetric
from sluice.domain.predictions import scores
from sluice.domain.predictions.table import Predictions
from sluice.domain.predictions.tails import student_isf

CONFIDENCE = 0.95
_STEP = 1e-4
# Of which values a metric can be, if it is no share and no loss without a limit.
_RANGES = {"mcc": (-1.0, 1.0), "r2": (-math.inf, 1.0), "brier": (0.0, 1.0)}


def of_value(
    metric: PredictionMetric, predictions: Predictions, positive: str, confidence: float = CONFIDENCE
) -> tuple[float, float] | None:
    """Return the interval of a metric; None where so few rows allow none."""
    if len(predictions) < 2:
        return None
    if metric.kind == "share":
        return _wilson(metric, predictions, positive, confidence)
    value = scores.value(metric, predictions, positive)
    error = _error(metric, predictions, positive)
    if error is None:
        return None
    reach = student_isf((1 - confidence) / 2, len(predictions) - 1) * error
    least, greatest = _RANGES.get(metric.name, (0.0, math.inf) if metric.kind == "mean" else (0.0, 1.0))
    return max(value - reach, least), min(value + reach, greatest)


def _wilson(
    metric: PredictionMetric, predictions: Predictions, positive: str, confidence: float
) -> tuple[float, float] | None:
    """Return the score interval of a share (Wilson 1927; Agresti 2013, 1.4.2)."""
    wanted = {"recall": "1", "specificity": "0"}.get(metric.name)
    outcomes = scores.outcomes(metric, predictions, positive)
    right = [label == guess for label, guess in outcomes if wanted in (None, label)]
    n = len(right)
    if not n:
        return None
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, z2 = sum(right) / n, z * z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    reach = z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(middle - reach, 0.0), min(middle + reach, 1.0)


def _error(metric: PredictionMetric, predictions: Predictions, positive: str) -> float | None:
    if metric.kind == "ranks":
        return _error_of_area(*scores.split_scores(predictions, positive))
    if metric.kind == "mean":
        return _error_of_mean(metric, predictions, positive)
    cells = Counter(scores.outcomes(metric, predictions, positive))
    n, squares = len(predictions), 0.0
    at = scores.of_counts(metric, cells)
    for cell, rows in cells.items():
        heavier: Counter[tuple[str, str]] = Counter(cells)
        heavier[cell] += n * _STEP  # type: ignore[assignment]
        squares += rows * ((scores.of_counts(metric, heavier) - at) / _STEP) ** 2
    return math.sqrt(squares) / n


def _error_of_mean(metric: PredictionMetric, predictions: Predictions, positive: str) -> float | None:
    found = scores.losses(metric, predictions, positive)
    if metric.name == "r2":
        # The labels' variance is of these rows too, and varies with them.
        scale, unexplained = scores.variance_of_labels(predictions), math.fsum(found) / len(found)
        squares = scores.squares_of_labels(predictions)
        found = [(loss - unexplained * s / scale) / scale for loss, s in zip(found, squares, strict=True)]
    n, mean = len(found), math.fsum(found) / len(found)
    error = math.sqrt(math.fsum((loss - mean) ** 2 for loss in found) / (n - 1) / n)
    if metric.name == "rmse":
        return error / (2 * math.sqrt(mean)) if mean else 0.0
    return error


def _error_of_area(positives: list[float], negatives: list[float]) -> float | None:
    """Return the error of DeLong, DeLong and Clarke-Pearson (1988)."""
    if min(len(positives), len(negatives)) < 2:
        return None
    placed = scores.placements(positives, negatives)
    return math.sqrt(sum(scores.variance(each) / len(each) for each in placed))
