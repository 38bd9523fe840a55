"""Compute metrics from predictions. Where scikit-learn has the metric, the values are its values."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

from sluice.domain.config.prediction_metrics import PredictionMetric
from sluice.domain.predictions.table import (
    LABEL,
    PREDICTION,
    SCORE,
    Predictions,
    PredictionsError,
    class_name,
)

POSITIVE = "1"
_THRESHOLD = 0.5
_EPSILON = 1e-15
_SHOWN = 5
# The number of rows by label and predicted class; of two classes both are whether it is the positive one.
Confusion = Mapping[tuple[str, str], float]
_YES, _NO = "1", "0"


class UndefinedError(ValueError):
    """A metric has no value on these rows; the message says why."""


def value(metric: PredictionMetric, predictions: Predictions, positive: str = POSITIVE) -> float:
    """Return a metric's value; raises UndefinedError, and PredictionsError for what the file lacks."""
    if metric.kind == "ranks":
        return area(*split_scores(predictions, positive))
    if metric.kind == "mean":
        return _of_losses(metric.name, losses(metric, predictions, positive), predictions)
    return of_counts(metric, Counter(outcomes(metric, predictions, positive)))


def outcomes(metric: PredictionMetric, predictions: Predictions, positive: str) -> list[tuple[str, str]]:
    """Return each row's label and predicted class; of a metric of two classes, which is positive."""
    pairs = plain_classes(predictions, positive)
    if not metric.of_two_classes:
        return pairs
    require_positive(predictions, positive)
    return [
        (_YES if label == positive else _NO, _YES if guess == positive else _NO) for label, guess in pairs
    ]


def plain_classes(predictions: Predictions, positive: str) -> list[tuple[str, str]]:
    """Return each row's label and predicted class; without a prediction the class is by its score."""
    return list(zip(_labels(predictions), _predicted(predictions, positive), strict=True))


def _labels(predictions: Predictions) -> list[str]:
    return _named(predictions.labels)


def _named(values: Sequence[str]) -> list[str]:
    names = {value: class_name(value) for value in set(values)}
    return [names[value] for value in values]


def _predicted(predictions: Predictions, positive: str) -> list[str]:
    if predictions.predicted is not None:
        return _named(predictions.predicted)
    scores = predictions.scores or ()
    others = sorted(predictions.classes - {positive})
    if len(others) > 1:
        raise PredictionsError(
            f"has scores alone, and {len(others) + 1} classes ({_listed([*others, positive])}): "
            "let evaluate.script write prediction, or name the positive label with evaluate.positive"
        )
    other = others[0] if others else _NO if positive != _NO else _YES
    return [positive if score >= _THRESHOLD else other for score in scores]


def require_positive(predictions: Predictions, positive: str) -> None:
    """Raise PredictionsError if the positive label is none of the classes at all."""
    there = predictions.classes
    if positive not in there and not there <= {_YES, _NO}:
        raise PredictionsError(
            f"has no label {positive!r}, but {_listed(sorted(there))}: "
            "name the positive one with evaluate.positive"
        )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


# ------------------------------------------------------------------ of counts


def of_counts(metric: PredictionMetric, counts: Confusion) -> float:
    """Return a metric of a confusion matrix; raises UndefinedError."""
    return _COUNTED[metric.name](counts)


def _ratio(over: float, under: float, why: str) -> float:
    if under <= 0:
        raise UndefinedError(why)
    return over / under


def _right(counts: Confusion) -> float:
    return sum(rows for (label, guess), rows in counts.items() if label == guess)


def _accuracy(counts: Confusion) -> float:
    return _ratio(_right(counts), sum(counts.values()), "there is no row")


def _cell(counts: Confusion, label: str, guess: str) -> float:
    return counts.get((label, guess), 0)


def _recall(counts: Confusion) -> float:
    right, wrong = _cell(counts, _YES, _YES), _cell(counts, _YES, _NO)
    return _ratio(right, right + wrong, "no row has the positive label")


def _specificity(counts: Confusion) -> float:
    right, wrong = _cell(counts, _NO, _NO), _cell(counts, _NO, _YES)
    return _ratio(right, right + wrong, "each row has the positive label")


def _precision(counts: Confusion) -> float:
    right, wrong = _cell(counts, _YES, _YES), _cell(counts, _NO, _YES)
    return _ratio(right, right + wrong, "no row is predicted as positive")


def _f1(counts: Confusion) -> float:
    right, wrong = _cell(counts, _YES, _YES), _cell(counts, _NO, _YES) + _cell(counts, _YES, _NO)
    return _ratio(2 * right, 2 * right + wrong, "no row is positive, nor predicted so")


def _by_class(counts: Confusion) -> dict[str, tuple[float, float, float]]:
    """Return by class the rows that are right, that have the label, and that are predicted so."""
    right, labelled, predicted = Counter[str](), Counter[str](), Counter[str]()
    for (label, guess), rows in counts.items():
        if rows:
            labelled[label] += rows  # type: ignore[assignment]
            predicted[guess] += rows  # type: ignore[assignment]
            right[label] += rows if label == guess else 0  # type: ignore[assignment]
    return {name: (right[name], labelled[name], predicted[name]) for name in sorted({*labelled, *predicted})}


def _macro(of_class: Callable[[float, float, float], float]) -> Callable[[Confusion], float]:
    """Average over the classes that are a label or predicted; a class without a value counts 0."""

    def average(counts: Confusion) -> float:
        found = _by_class(counts)
        return _ratio(sum(of_class(*each) for each in found.values()), len(found), "there is no row")

    return average


def _class_precision(right: float, _labelled: float, predicted: float) -> float:
    return right / predicted if predicted else 0.0


def _class_recall(right: float, labelled: float, _predicted: float) -> float:
    return right / labelled if labelled else 0.0


def _class_f1(right: float, labelled: float, predicted: float) -> float:
    return 2 * right / (labelled + predicted) if labelled + predicted else 0.0


def _f1_weighted(counts: Confusion) -> float:
    found = _by_class(counts)
    total = sum(labelled for _, labelled, _ in found.values())
    return _ratio(sum(each[1] * _class_f1(*each) for each in found.values()), total, "there is no row")


def _balanced_accuracy(counts: Confusion) -> float:
    shares = [_class_recall(*each) for each in _by_class(counts).values() if each[1]]
    return _ratio(sum(shares), len(shares), "there is no row")


def _mcc(counts: Confusion) -> float:
    """Return Matthews's coefficient, of several classes Gorodkin's (2004)."""
    found = list(_by_class(counts).values())
    total = sum(counts.values())
    covered = _right(counts) * total - sum(labelled * predicted for _, labelled, predicted in found)
    spread = [total * total - sum(each[side] ** 2 for each in found) for side in (1, 2)]
    if min(spread) <= 0:
        raise UndefinedError("all rows have one label, or one class is predicted for all")
    return covered / math.sqrt(spread[0] * spread[1])


_COUNTED: dict[str, Callable[[Confusion], float]] = {
    "accuracy": _accuracy,
    "recall": _recall,
    "specificity": _specificity,
    "precision": _precision,
    "f1": _f1,
    "balanced_accuracy": _balanced_accuracy,
    "mcc": _mcc,
    "precision_macro": _macro(_class_precision),
    "recall_macro": _macro(_class_recall),
    "f1_macro": _macro(_class_f1),
    "f1_weighted": _f1_weighted,
}


# ------------------------------------------------------------------ of rows


def losses(metric: PredictionMetric, predictions: Predictions, positive: str) -> list[float]:
    """Return each row's loss, of which the metric is a mean, or a function of the mean."""
    if metric.needs == "numbers":
        labels = predictions.numbers(LABEL)
        scores = predictions.scores
        guesses = predictions.numbers(PREDICTION) if predictions.predicted is not None else scores or ()
        errors = [guess - label for label, guess in zip(labels, guesses, strict=True)]
        return [abs(error) for error in errors] if metric.name == "mae" else [e * e for e in errors]
    chances, is_positive = _chances(predictions, metric.name), _is_positive(predictions, positive)
    if metric.name == "brier":
        return [(chance - yes) ** 2 for chance, yes in zip(chances, is_positive, strict=True)]
    return [
        -math.log(max(chance if yes else 1 - chance, _EPSILON))
        for chance, yes in zip(chances, is_positive, strict=True)
    ]


def _of_losses(name: str, found: Sequence[float], predictions: Predictions) -> float:
    mean = math.fsum(found) / len(found)
    if name == "rmse":
        return math.sqrt(mean)
    if name == "r2":
        return 1 - mean / variance_of_labels(predictions)
    return mean


def variance_of_labels(predictions: Predictions) -> float:
    """Return the labels' variance, which r2 is measured by; raises UndefinedError if they are all alike."""
    squares = squares_of_labels(predictions)
    variance = math.fsum(squares) / len(squares)
    if not variance:
        raise UndefinedError("all rows have one label")
    return variance


def squares_of_labels(predictions: Predictions) -> list[float]:
    """Return each label's squared distance from their mean."""
    labels = predictions.numbers(LABEL)
    mean = math.fsum(labels) / len(labels)
    return [(label - mean) ** 2 for label in labels]


def _is_positive(predictions: Predictions, positive: str) -> list[bool]:
    require_positive(predictions, positive)
    return [label == positive for label in _labels(predictions)]


def _scores(predictions: Predictions, metric: str) -> Sequence[float]:
    if predictions.scores is None:
        raise PredictionsError(
            f"has no column 'score', which {metric} is computed from: let evaluate.script write it"
        )
    return predictions.scores


def _chances(predictions: Predictions, metric: str) -> Sequence[float]:
    scores = _scores(predictions, metric)
    for row, score in enumerate(scores):
        if not 0 <= score <= 1:
            raise PredictionsError(
                f"has {score:g} in {predictions.place(row)}, column {SCORE!r}: {metric} needs the chance of "
                "the positive label, 0 to 1"
            )
    return scores


def split_scores(predictions: Predictions, positive: str) -> tuple[list[float], list[float]]:
    """Return the scores of rows with the positive label, and of the others."""
    scores, yes = _scores(predictions, "auc"), _is_positive(predictions, positive)
    found = (
        [score for score, is_one in zip(scores, yes, strict=True) if is_one],
        [score for score, is_one in zip(scores, yes, strict=True) if not is_one],
    )
    if not all(found):
        raise UndefinedError("all rows have one label")
    return found


def area(positives: Sequence[float], negatives: Sequence[float]) -> float:
    """Return the area below the ROC curve: the chance that a positive row has the greater score."""
    ranks = midranks([*positives, *negatives])
    most = len(positives)
    return (math.fsum(ranks[:most]) - most * (most + 1) / 2) / (most * len(negatives))


def midranks(values: Sequence[float]) -> list[float]:
    """Return each value's rank from 1; equal values share the mean of theirs."""
    ranks = [0.0] * len(values)
    below = 0
    for _, group in groupby(sorted(range(len(values)), key=values.__getitem__), key=values.__getitem__):
        rows = list(group)
        for row in rows:
            ranks[row] = below + (len(rows) + 1) / 2
        below += len(rows)
    return ranks


def placements(positives: Sequence[float], negatives: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return each positive row's share of negatives below it, each negative one's of positives above."""
    together = midranks([*positives, *negatives])
    most, least = len(positives), len(negatives)
    above = [(whole - own) / least for whole, own in zip(together[:most], midranks(positives), strict=True)]
    below = [
        1 - (whole - own) / most for whole, own in zip(together[most:], midranks(negatives), strict=True)
    ]
    return above, below


def variance(values: Sequence[float]) -> float:
    """Return the variance of a sample."""
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
