"""Compare two models by their predictions of the same rows, and say how sure the gain is.

A gain is positive if the candidate is better, whatever the metric. Its interval has the confidence on either
side: with 0.95 the true gain is below `low` with a chance of at most 5 %. Each kind of metric has the test
that suits it:

* a share of right rows (accuracy, recall): McNemar's test in its exact form (Agresti 2013, 11.1), which
  holds its level for any numbers of rows, and the score interval of Tango (1998) for margins;
* a function of counts (precision, f1, mcc): a paired permutation test, which exchanges the predictions of
  rows by a seeded coin, ended early as by Besag and Clifford (1991), so it holds its level too, and an
  interval by the infinitesimal jackknife (Efron 1982), with two rows added to those that differ, as Agresti
  and Min (2005) do;
* a mean over rows (log_loss, mae, rmse): Student's paired t, and the transformation of Hall (1992), which
  allows for skewness; the more cautious of the two counts;
* an order of scores (auc): the test of DeLong, DeLong and Clarke-Pearson (1988), by the ranks of Sun and Xu
  (2014), with the degrees of freedom of Welch and Satterthwaite. Against a margin, logits of areas are
  compared: the higher an area comes out near 1, the less it varies, so a lucky candidate looked too sure.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from sluice.domain.config.prediction_metrics import PredictionMetric
from sluice.domain.predictions import scores
from sluice.domain.predictions.scores import Confusion, UndefinedError
from sluice.domain.predictions.table import Predictions
from sluice.domain.predictions.tails import half_binomial_sf, normal_sf, student_isf, student_sf
from sluice.lazy import dataclass

ROWS_MIN = 30
OF_EACH_CLASS_MIN = 10
SEED = 20261129
_PERMUTATIONS = 4999
_EXCEEDED_MAX = 50
_STEP = 1e-4
_BISECTIONS = 60
_ALIKE = 1e-12
# What both models made of a row: its label, the candidate's class, the champion's.
Cell = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A metric of two models, and the interval of the gain.

    `chance` is that of such a gain if the true one were only the margin that was asked about.
    """

    candidate: float
    champion: float
    gain: float
    low: float
    high: float
    chance: float
    rows: int
    method: str


class TooFewRowsError(UndefinedError):
    """There are too few rows for a statement with confidence."""


def compare(
    metric: PredictionMetric,
    candidate: Predictions,
    champion: Predictions,
    *,
    margin: float,
    confidence: float,
    positive: str = scores.POSITIVE,
) -> Comparison:
    """Compare rows that are paired; `margin` is the gain to hold the interval against.

    Raises UndefinedError (TooFewRowsError) and PredictionsError.
    """
    if len(candidate) < ROWS_MIN:
        raise TooFewRowsError(f"{len(candidate)} rows are too few to compare: at least {ROWS_MIN}")
    return _KINDS[metric.kind](_Question(metric, candidate, champion, margin, confidence, positive))


@dataclass(frozen=True, slots=True)
class _Question:
    """Two models' predictions of the same rows, and what is asked about their gain."""

    metric: PredictionMetric
    candidate: Predictions
    champion: Predictions
    margin: float
    confidence: float
    positive: str

    @property
    def rows(self) -> int:
        return len(self.candidate)

    @property
    def both(self) -> tuple[Predictions, Predictions]:
        return self.candidate, self.champion

    @property
    def outcomes(self) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
        """Of each row the label with the candidate's class, and with the champion's."""
        return zip(*(scores.outcomes(self.metric, each, self.positive) for each in self.both), strict=True)


# ------------------------------------------------------------------ shares


def _shares(asked: _Question) -> Comparison:
    wanted = {"recall": "1", "specificity": "0"}.get(asked.metric.name)
    right = [(a[0] == a[1], b[0] == b[1]) for a, b in asked.outcomes if wanted in (None, a[0])]
    if len(right) < OF_EACH_CLASS_MIN:
        raise TooFewRowsError(
            f"{len(right)} rows with the label are too few to compare: at least {OF_EACH_CLASS_MIN}"
        )
    n, margin = len(right), asked.margin
    won, lost = right.count((True, False)), right.count((False, True))
    both = right.count((True, True))
    low, high = tango_interval(won, lost, n, asked.confidence)
    chance = half_binomial_sf(won, won + lost) if not margin else normal_sf(_tango(won, lost, n, margin))
    if not margin and not won + lost:
        chance = 1.0
    method = "exact McNemar test" if not margin else "score test of Tango"
    return Comparison((both + won) / n, (both + lost) / n, (won - lost) / n, low, high, chance, n, method)


def _tango(won: int, lost: int, n: int, gain: float) -> float:
    """Return the score statistic against a gain; its variance is the most likely one with that gain."""
    b = -won - lost + (2 * n - won + lost) * gain
    c = -lost * gain * (1 - gain)
    share = (math.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
    variance = n * (2 * share + gain * (1 - gain))
    over = won - lost - n * gain
    if variance <= _ALIKE:
        return math.copysign(math.inf, over) if abs(over) > _ALIKE else 0.0
    return over / math.sqrt(variance)


def tango_interval(won: int, lost: int, n: int, confidence: float) -> tuple[float, float]:
    """Return the gains that the score test does not refuse; swapping the models mirrors them."""
    return _tango_low(won, lost, n, confidence), -_tango_low(lost, won, n, confidence)


def _tango_low(won: int, lost: int, n: int, confidence: float) -> float:
    low, high = -1.0, (won - lost) / n
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if normal_sf(_tango(won, lost, n, middle)) < 1 - confidence:
            low = middle
        else:
            high = middle
    return low


# ------------------------------------------------------------------ functions of counts


def _counts(asked: _Question) -> Comparison:
    metric, margin = asked.metric, asked.margin
    cells = Counter((label, mine, other) for (label, mine), (_, other) in asked.outcomes)
    ours = scores.of_counts(metric, _margin(cells, 1))
    theirs = scores.of_counts(metric, _margin(cells, 2))

    def gain_of(counted: Counter[Cell]) -> float:
        return _or_zero(metric, _margin(counted, 1)) - _or_zero(metric, _margin(counted, 2))

    error = _jackknife(_enlarged(cells), gain_of)
    gain, reach = ours - theirs, student_isf(1 - asked.confidence, asked.rows - 1) * error
    if margin:
        chance, method = student_sf((gain - margin) / error, asked.rows - 1), "jackknife"
    else:
        chance, method = _permuted(metric, cells, gain), "paired permutation test"
    return Comparison(ours, theirs, gain, gain - reach, gain + reach, chance, asked.rows, method)


def _or_zero(metric: PredictionMetric, counts: Confusion) -> float:
    try:
        return scores.of_counts(metric, counts)
    except UndefinedError:
        return 0.0


def _margin(cells: Counter[Cell], side: int) -> Counter[tuple[str, str]]:
    """Return the confusion matrix of the candidate (1) or the champion (2)."""
    counts: Counter[tuple[str, str]] = Counter()
    for cell, rows in cells.items():
        counts[cell[0], cell[side]] += rows
    return counts


def _enlarged(cells: Counter[Cell]) -> Counter[Cell]:
    """Add two rows, spread over all ways to differ: without any the error would be 0."""
    labels = sorted({cell[0] for cell in cells})
    guesses = sorted({guess for cell in cells for guess in cell})
    ways = [
        (label, mine, other) for label in labels for mine in guesses for other in guesses if mine != other
    ]
    # One class alone has no other to differ by.
    part = 2 / len(ways) if ways else 0.0
    enlarged: Counter[Cell] = Counter(cells)
    for way in ways:
        enlarged[way] += part  # type: ignore[assignment]
    return enlarged


def _jackknife(cells: Counter[Cell], of: Callable[[Counter[Cell]], float]) -> float:
    """Return the standard error by each row's influence: the slope of the value in the row's weight."""
    n = sum(cells.values())
    at = of(cells)
    squares = 0.0
    for cell, rows in cells.items():
        heavier = Counter(cells)
        heavier[cell] += n * _STEP  # type: ignore[assignment]
        squares += rows * ((of(heavier) - at) / _STEP) ** 2
    return max(math.sqrt(squares) / n, _ALIKE)


def _permuted(metric: PredictionMetric, cells: Counter[Cell], gain: float) -> float:
    """Return the chance of such a gain if a coin decided, for each row, whose prediction is whose."""
    coins = random.Random(SEED)  # noqa: S311 - the same coins each time, so that a verdict can be repeated
    alike: Counter[tuple[str, str]] = Counter()
    apart: Counter[Cell] = Counter()
    for (label, mine, other), rows in sorted(cells.items()):
        if mine == other:
            alike[label, mine] += rows
        else:
            apart[label, min(mine, other), max(mine, other)] += rows
    if not apart:
        return 1.0
    exceeded = 0
    for drawn in range(1, _PERMUTATIONS + 1):
        ours, theirs = Counter(alike), Counter(alike)
        for (label, one, other), rows in apart.items():
            heads = coins.getrandbits(rows).bit_count()
            ours[label, one] += heads
            ours[label, other] += rows - heads
            theirs[label, other] += heads
            theirs[label, one] += rows - heads
        exceeded += _or_zero(metric, ours) - _or_zero(metric, theirs) >= gain - _ALIKE
        if exceeded == _EXCEEDED_MAX:
            return exceeded / drawn
    return (exceeded + 1) / (_PERMUTATIONS + 1)


# ------------------------------------------------------------------ means


def _means(asked: _Question) -> Comparison:
    metric = asked.metric
    ours, theirs = (scores.value(metric, each, asked.positive) for each in asked.both)
    mine, others = (scores.losses(metric, each, asked.positive) for each in asked.both)
    if metric.name == "rmse":
        # Linear in the losses, as its interval is wanted in the metric's own unit.
        mine = [loss / (2 * ours) if ours else 0.0 for loss in mine]
        others = [loss / (2 * theirs) if theirs else 0.0 for loss in others]
    gain = theirs - ours if metric.lower_is_better else ours - theirs
    gains = [theirs_ - mine_ for mine_, theirs_ in zip(mine, others, strict=True)]
    if metric.name == "r2":
        # The labels' variance is of these rows too, and varies with them.
        scale = scores.variance_of_labels(asked.candidate)
        squares = scores.squares_of_labels(asked.candidate)
        gains = [(each - gain * square) / scale for each, square in zip(gains, squares, strict=True)]
    spread = _Spread.of(gains)
    low, high = gain - spread.reach(asked.confidence), gain + spread.mirrored().reach(asked.confidence)
    chance = spread.chance(gain - asked.margin)
    return Comparison(ours, theirs, gain, low, high, chance, len(gains), "paired t test")


@dataclass(frozen=True, slots=True)
class _Spread:
    """How the gains of rows spread about their mean: number, standard deviation, skewness."""

    n: int
    deviation: float
    skewness: float

    @classmethod
    def of(cls, gains: Sequence[float]) -> _Spread:
        n = len(gains)
        mean = math.fsum(gains) / n
        square = math.fsum((gain - mean) ** 2 for gain in gains)
        deviation = math.sqrt(square / (n - 1))
        if deviation <= _ALIKE * max(1.0, abs(mean)):
            return cls(n, 0.0, 0.0)
        cube = math.fsum(((gain - mean) / deviation) ** 3 for gain in gains)
        return cls(n, deviation, cube / n)

    def mirrored(self) -> _Spread:
        return _Spread(self.n, self.deviation, -self.skewness)

    def reach(self, confidence: float) -> float:
        """Return how far below the mean the true one may be."""
        t = student_isf(1 - confidence, self.n - 1)
        return self.deviation / math.sqrt(self.n) * max(t, self._hall(t))

    def _hall(self, t: float) -> float:
        """Return the quantile for skewed values: the inverse of Hall's monotone cubic."""
        a = self.skewness / 3
        if abs(a) < _ALIKE:
            return t
        root = math.sqrt(self.n)
        inside = 1 + 3 * a * (t / root - self.skewness / (6 * self.n))
        return root / a * (math.copysign(abs(inside) ** (1 / 3), inside) - 1)

    def chance(self, over: float) -> float:
        """Return the chance of a mean that is so far over the true one."""
        if not self.deviation:
            return 0.0 if over > _ALIKE else 1.0
        t = over / self.deviation * math.sqrt(self.n)
        a = self.skewness / 3
        root = math.sqrt(self.n)
        cubic = t + a * t * t / root + (a * a * t**3) / (3 * self.n) + self.skewness / (6 * root)
        return max(student_sf(t, self.n - 1), student_sf(cubic, self.n - 1))


# ------------------------------------------------------------------ ranks


def _ranks(asked: _Question) -> Comparison:
    ours, theirs = (scores.split_scores(each, asked.positive) for each in asked.both)
    least = min(map(len, ours))
    if least < OF_EACH_CLASS_MIN:
        raise TooFewRowsError(f"{least} rows of a label are too few: at least {OF_EACH_CLASS_MIN} of each")
    areas = [scores.area(*each) for each in (ours, theirs)]
    placed = [scores.placements(*each) for each in (ours, theirs)]
    parts = [
        scores.variance([a - b for a, b in zip(placed[0][side], placed[1][side], strict=True)])
        / len(ours[side])
        for side in (0, 1)
    ]
    gain, error = areas[0] - areas[1], math.sqrt(sum(parts))
    if asked.margin and error > _ALIKE:
        return _logits(asked, _Areas.of(areas, placed))
    if error <= _ALIKE:
        chance = 0.0 if gain > asked.margin + _ALIKE else 1.0
        return Comparison(areas[0], areas[1], gain, gain, gain, chance, asked.rows, "DeLong test")
    squares = sum(part**2 / (len(ours[side]) - 1) for side, part in enumerate(parts))
    degrees = sum(parts) ** 2 / squares
    reach = student_isf(1 - asked.confidence, degrees) * error
    chance = student_sf((gain - asked.margin) / error, degrees)
    return Comparison(areas[0], areas[1], gain, gain - reach, gain + reach, chance, asked.rows, "DeLong test")


@dataclass(frozen=True, slots=True)
class _Areas:
    """The areas of both models, and of the rows of each label: number, variances of both, covariance."""

    ours: float
    theirs: float
    sides: Sequence[tuple[int, float, float, float]]

    @classmethod
    def of(cls, areas: Sequence[float], placed: Sequence[Sequence[Sequence[float]]]) -> _Areas:
        sides = []
        for mine, others in zip(*placed, strict=True):
            own, other = scores.variance(mine), scores.variance(others)
            apart = scores.variance([a - b for a, b in zip(mine, others, strict=True)])
            sides.append((len(mine), own, other, (own + other - apart) / 2))
        return cls(areas[0], areas[1], sides)

    def chance(self, gain: float) -> float:
        """Return the chance of such areas if the true gain were this one."""
        wanted = self.theirs + gain
        if not 0 < wanted < 1:
            return 1.0 if wanted >= 1 else 0.0
        # Half a pair of rows from the end: there the logit has none.
        end = 0.5 / math.prod(n for n, *_ in self.sides)
        ours = min(max(self.ours, end), 1 - end)
        a, b = 1 / (ours * (1 - ours)), 1 / (wanted * (1 - wanted))
        parts = [
            max(a * a * own + b * b * other - 2 * a * b * both, 0.0) / n for n, own, other, both in self.sides
        ]
        over, error = _logit(ours) - _logit(wanted), math.sqrt(sum(parts))
        if error <= _ALIKE:
            return 0.0 if over > _ALIKE else 1.0
        degrees = error**4 / sum(part**2 / (n - 1) for part, (n, *_) in zip(parts, self.sides, strict=True))
        return student_sf(over / error, degrees)


def _logits(asked: _Question, areas: _Areas) -> Comparison:
    gain, refused = areas.ours - areas.theirs, 1 - asked.confidence
    low = _where(lambda at: areas.chance(at) < refused, -1.0, gain)
    high = _where(lambda at: areas.chance(at) <= 1 - refused, gain, 1.0)
    chance = areas.chance(asked.margin)
    return Comparison(areas.ours, areas.theirs, gain, low, high, chance, asked.rows, "DeLong test of logits")


def _where(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Return how far from `low` on a condition holds, by bisection."""
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _logit(area: float) -> float:
    return math.log(area / (1 - area))


_KINDS: Mapping[str, Callable[[_Question], Comparison]] = {
    "share": _shares,
    "counts": _counts,
    "mean": _means,
    "ranks": _ranks,
}
