"""Measure the bias of a model's predictions by the post-training metrics of SageMaker Clarify.

Facet d has the rows that may be disadvantaged, facet a all others; n(1) and n(0) are a facet's rows with a
favorable and another label, n'(1) and n'(0) those predicted so. The formulas are from the Amazon SageMaker
guide, "Post-training Data and Model Bias Metrics":

DPPL = q'_a - q'_d, DI = q'_d / q'_a, with q' the share predicted as favorable; DCAcc = n_a(1) / n'_a(1) -
n_d(1) / n'_d(1); DCRej = n_d(0) / n'_d(0) - n_a(0) / n'_a(0); SD = TNR_d - TNR_a; RD = TPR_a - TPR_d; DAR =
precision_a - precision_d; DRR = TN_d / (TN_d + FN_d) - TN_a / (TN_a + FN_a); AD = accuracy_a - accuracy_d;
TE = FN_d / FP_d - FN_a / FP_a; CDDPL is the demographic disparity of the predictions within groups; FT the
share of d whose nearest neighbours in a are predicted otherwise; GE the generalised entropy of the benefits
prediction - label + 1 of all rows, with exponent 2. 0 is no bias; for DI it is 1.

A share of nothing has no value. Clarify's code makes it 0 or infinite, and has FT with the other sign than
its guide, where what is positive is to d's disadvantage: so does `compat: clarify`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from heapq import nsmallest

from sluice.domain.config.statistics import Bias, Facet, PredictedBiasName
from sluice.domain.predictions import scores
from sluice.domain.predictions.table import (
    LABEL,
    LATENCY,
    PREDICTION,
    Predictions,
    PredictionsError,
    class_name,
)
from sluice.lazy import dataclass

FACETS_MAX = 50
NEIGHBOURS = 5
# With so few rows Clarify looks at the nearest alone.
_FEW = 10
# Each row of d looks at each of a: of more rows, those with the least digests of their ids.
NEIGHBOURHOOD_MAX = 1000


@dataclass(frozen=True, slots=True)
class FacetMetric:
    """A metric of one facet; None, with an `error`, if it has no value. It may be infinite."""

    column: str
    values: str
    rows_a: int
    rows_d: int
    value: float | None
    error: str = ""

    @property
    def facet(self) -> str:
        return f"{self.column} {self.values}".strip()


@dataclasses.dataclass(frozen=True)
class _Facet:
    """The rows of a facet: whether each is in d, has a favorable label, and is predicted so."""

    is_d: Sequence[bool]
    labels: Sequence[bool]
    guesses: Sequence[bool]
    is_clarifys: bool

    @cached_property
    def _cells(self) -> Counter[tuple[bool, bool, bool]]:
        return Counter(zip(self.is_d, self.labels, self.guesses, strict=True))

    def count(self, *, in_d: bool, label: bool | None = None, guess: bool | None = None) -> int:
        return sum(
            rows
            for (is_d, is_favorable, is_guessed), rows in self._cells.items()
            if is_d == in_d and label in (None, is_favorable) and guess in (None, is_guessed)
        )

    def ratio(self, over: float, under: float, what: str) -> float:
        if under:
            return over / under
        if self.is_clarifys:
            return math.inf if over else 0.0
        raise scores.UndefinedError(f"no row of {what}")

    def share(
        self, *, in_d: bool, label: bool | None, guess: bool | None, of: tuple[bool | None, bool | None]
    ) -> float:
        """Return the share of rows with a label and a prediction, among those with `of`."""
        whose = "the facet" if in_d else "the others"
        within = {True: "favorable", False: "not favorable", None: ""}
        what = " and ".join(
            f"{within[value]} by its {name}"
            for value, name in zip(of, ("label", "prediction"), strict=True)
            if value is not None
        )
        return self.ratio(
            self.count(in_d=in_d, label=label, guess=guess),
            self.count(in_d=in_d, label=of[0], guess=of[1]),
            f"{whose} is {what}" if what else whose,
        )


def measure(
    name: PredictedBiasName,
    predictions: Predictions,
    config: Bias,
    *,
    column: str | None = None,
    positive: str = scores.POSITIVE,
) -> list[FacetMetric]:
    """Measure a metric of each facet of the config, or of those of one column.

    Raises PredictionsError if the predictions lack what it is made of.
    """
    favorable = _favorable(predictions, config, positive)
    if name == "GE":
        return [FacetMetric("all rows", "", len(predictions), 0, *_entropy(*favorable))]
    found = []
    for facet in config.facet_models:
        if column in (None, facet.column):
            for values, is_d in _facets(facet, predictions.column(facet.column)):
                rows = _Facet(is_d, *favorable, config.compat == "clarify")
                found.append(_measured(name, facet.column, values, rows, predictions, config))
    return found


def _measured(
    name: PredictedBiasName, column: str, values: str, rows: _Facet, predictions: Predictions, config: Bias
) -> FacetMetric:
    n_d = sum(rows.is_d)
    n_a = len(rows.is_d) - n_d
    value, error = None, ""
    try:
        if not n_a or not n_d:
            raise scores.UndefinedError(f"there is no row of {'the facet' if n_a else 'the others'}")
        if name == "FT":
            value = _flips(rows, predictions, config)
        elif name == "CDDPL":
            value = _disparity(rows, predictions, config)
        else:
            value = _METRICS[name](rows)
    except scores.UndefinedError as problem:
        error = str(problem)
    return FacetMetric(column, values, n_a, n_d, value, error)


def _facets(facet: Facet, values: Sequence[str]) -> Iterator[tuple[str, list[bool]]]:
    """Yield each facet's name, and whether each row belongs to it."""
    if facet.threshold is not None:
        yield (
            f"> {facet.threshold:g}",
            [_as_number(value, facet.column) > facet.threshold for value in values],
        )
        return
    names = {value: class_name(value) for value in set(values)}
    if facet.values is not None:
        wanted = {class_name(str(value)) for value in facet.values}
        yield f"= {' or '.join(map(str, facet.values))}", [names[value] in wanted for value in values]
        return
    sizes = Counter(names[value] for value in values)
    for each in sorted(sizes, key=lambda value: (-sizes[value], value))[:FACETS_MAX]:
        yield f"= {each}", [names[value] == each for value in values]


def _as_number(value: str, column: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise PredictionsError(
            f"has {value[:40]!r} in the column {column!r}, whose facet is a number"
        ) from None


def _favorable(predictions: Predictions, config: Bias, positive: str) -> tuple[list[bool], list[bool]]:
    """Return whether each label is favorable, and each prediction."""
    if config.favorable_threshold is not None:
        guesses = predictions.scores if predictions.predicted is None else predictions.numbers(PREDICTION)
        limit = config.favorable_threshold
        return [v > limit for v in predictions.numbers(LABEL)], [v > limit for v in guesses or ()]
    metric = scores.plain_classes(predictions, positive)
    wanted = {class_name(str(label)) for label in config.favorable_labels or ()}
    there = {name for pair in metric for name in pair}
    if not wanted & there:
        if not there <= {"0", "1"}:
            # A boolean's labels may be yes and no in the data: as these they are text here.
            written = "as true and false" if wanted <= {"0", "1"} else "as the data have them"
            raise PredictionsError(
                f"has none of the favorable labels {', '.join(sorted(wanted))}, but "
                f"{', '.join(sorted(there)[:5])}: write labels {written}, or as 0 and 1"
            )
        wanted = {"1"}
    return [label in wanted for label, _ in metric], [guess in wanted for _, guess in metric]


def _difference(
    sign: int, label: bool | None, guess: bool | None, of: tuple[bool | None, bool | None]
) -> Callable[[_Facet], float]:
    """Return a's share minus d's, or the opposite."""

    def measured(rows: _Facet) -> float:
        a, d = (rows.share(in_d=in_d, label=label, guess=guess, of=of) for in_d in (False, True))
        return sign * (a - d)

    return measured


def _accuracy_difference(rows: _Facet) -> float:
    right = [
        sum(rows.count(in_d=in_d, label=each, guess=each) for each in (True, False)) / rows.count(in_d=in_d)
        for in_d in (False, True)
    ]
    return right[0] - right[1]


def _impact(rows: _Facet) -> float:
    d, a = (rows.share(in_d=in_d, label=None, guess=True, of=(None, None)) for in_d in (True, False))
    return rows.ratio(d, a, "the others is predicted as favorable")


def _conditional(sign: int, outcome: bool) -> Callable[[_Facet], float]:
    """Return the labels by the predictions of an outcome, of a minus d, or the opposite."""

    def measured(rows: _Facet) -> float:
        word = "favorable" if outcome else "not favorable"
        a, d = (
            rows.ratio(
                rows.count(in_d=in_d, label=outcome),
                rows.count(in_d=in_d, guess=outcome),
                f"{'the facet' if in_d else 'the others'} is {word} by its prediction",
            )
            for in_d in (False, True)
        )
        return sign * (a - d)

    return measured


def _treatment(rows: _Facet) -> float:
    d, a = (
        rows.ratio(
            rows.count(in_d=in_d, label=True, guess=False),
            rows.count(in_d=in_d, label=False, guess=True),
            f"{'the facet' if in_d else 'the others'} is a false positive",
        )
        for in_d in (True, False)
    )
    return d - a


_METRICS: dict[str, Callable[[_Facet], float]] = {
    "DPPL": _difference(1, None, True, (None, None)),
    "DI": _impact,
    "DCAcc": _conditional(1, outcome=True),
    "DCRej": _conditional(-1, outcome=False),
    "SD": _difference(-1, False, False, (False, None)),
    "RD": _difference(1, True, True, (True, None)),
    "DAR": _difference(1, True, True, (None, True)),
    "DRR": _difference(-1, False, False, (None, False)),
    "AD": _accuracy_difference,
    "TE": _treatment,
}


def _disparity(rows: _Facet, predictions: Predictions, config: Bias) -> float:
    """Return the mean over groups of d's share of the refused minus its share of the favored."""
    if config.group is None:
        raise scores.UndefinedError("data.bias names no group")
    groups: defaultdict[str, Counter[tuple[bool, bool]]] = defaultdict(Counter)
    for group, is_d, guess in zip(predictions.column(config.group), rows.is_d, rows.guesses, strict=True):
        groups[group][is_d, guess] += 1
    return sum(counts.total() * _of_group(counts) for counts in groups.values()) / len(rows.is_d)


def _of_group(counts: Counter[tuple[bool, bool]]) -> float:
    refused, favored = (
        counts[True, guess] / both if (both := counts[True, guess] + counts[False, guess]) else 0.0
        for guess in (False, True)
    )
    return refused - favored


def _entropy(labels: Sequence[bool], guesses: Sequence[bool]) -> tuple[float | None, str]:
    benefits = [guess - label + 1 for label, guess in zip(labels, guesses, strict=True)]
    mean = sum(benefits) / len(benefits)
    if not mean:
        return None, "no row has any benefit"
    return math.fsum((benefit / mean) ** 2 - 1 for benefit in benefits) / (2 * len(benefits)), ""


def _flips(rows: _Facet, predictions: Predictions, config: Bias) -> float:
    """Return the share of d that its neighbours in a would be predicted otherwise, signed."""
    features = _features(predictions, config)
    of_a, of_d = (_sample(rows.is_d, predictions.ids, in_d=in_d) for in_d in (False, True))
    nearest = NEIGHBOURS if len(of_a) >= _FEW else 1
    worse = better = 0
    for row in of_d:
        near = nsmallest(nearest, ((math.dist(features[row], features[other]), other) for other in of_a))
        favored = 2 * sum(rows.guesses[other] for _, other in near) > len(near)
        worse += favored and not rows.guesses[row]
        better += rows.guesses[row] and not favored
    flips = (worse - better) / len(of_d)
    return -flips if rows.is_clarifys else flips


def _sample(is_d: Sequence[bool], ids: Sequence[str], *, in_d: bool) -> list[int]:
    """Return the rows of one side, or those with the least digests, which do not depend on the order."""
    chosen = [row for row, side in enumerate(is_d) if side == in_d]
    if len(chosen) <= NEIGHBOURHOOD_MAX:
        return chosen
    return sorted(chosen, key=lambda row: hashlib.sha256(ids[row].encode()).digest())[:NEIGHBOURHOOD_MAX]


def _features(predictions: Predictions, config: Bias) -> list[tuple[float, ...]]:
    """Return the columns of numbers beside facets, group and latency."""
    left_out = {facet.column for facet in config.facet_models} | {config.group, LATENCY}
    columns = []
    for name in predictions.columns:
        if name not in left_out:
            try:
                columns.append(predictions.numbers(name))
            except PredictionsError:
                continue
    if not columns:
        raise PredictionsError(
            "has no columns of numbers, which FT finds neighbours by: let evaluate.script write them"
        )
    return list(zip(*columns, strict=True))
