"""The grammar of gates: limits on a candidate's metrics, and comparisons with the champion's.

    metrics.accuracy.value >= 0.70
    metrics.accuracy.value not_worse_than champion by 0.01
    metrics.log_loss.value better_than champion by 0.005 lower_is_better
    metrics.auc.value better_than champion with confidence 0.95
    metrics.accuracy.value not_worse_than champion by 0.01 with confidence 0.95
    for each category with n >= 30: recall >= 0.6
    predictions.f1 >= 0.7
    bias.DPPL within 0.1
    model.size_mb <= 50
    latency.p99_ms <= 20

The left side is a path into evaluation.json; quote a key with spaces, dots or other signs, as in
`report."weighted avg".f1-score >= 0.8`. Greater is better unless the gate ends in `lower_is_better`.
`not_worse_than champion by X` allows a loss of at most X; `better_than champion by X` requires a gain of at
least X, and without `by` any gain. Both models are scored on the same hold-out, so the scores compare.

With a confidence, in slices (`for each`) and below `predictions`, a metric is computed from the predictions
that evaluate.py wrote, and it is known whether greater is better. `bias` has Clarify's post-training metrics,
of each facet of data.bias; `model` and `latency` what was measured.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Literal, get_args

from sluice.domain.config import prediction_metrics
from sluice.domain.config.prediction_metrics import PredictionMetric
from sluice.domain.config.statistics import PredictedBiasName
from sluice.domain.nearest import nearest
from sluice.lazy import dataclass

OPERATORS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "==": operator.eq,
}
WITHIN = "within"
BIAS_METRICS: tuple[PredictedBiasName, ...] = get_args(PredictedBiasName)
# What a metric is without bias, if not 0.
NO_BIAS = {"DI": 1.0}
# In a configuration of Clarify two are named otherwise than in its guide.
_BIAS_ALIASES = {"DCA": "DCAcc", "DCR": "DCRej"}
SIZES = ("size_mb",)
LATENCIES = ("p50_ms", "p95_ms", "p99_ms", "mean_ms")
Source = Literal["evaluation", "predictions", "bias", "model", "latency"]
_COMPARISONS = ("not_worse_than", "better_than")
_LOWER = "lower_is_better"
_OF_COMPARISONS = f"nothing more: by, with confidence and {_LOWER} are for comparisons with the champion"
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"[^"]+"|'[^']+'""")
_PATH = re.compile(rf"({_KEY.pattern})(\.({_KEY.pattern}))*")
_WORD = re.compile(r"""("[^"]*"|'[^']*'|[^\s:])+|:""")
_QUOTE_IT = '; a key with spaces, dots or other signs is quoted, as in report."weighted avg".value'
_A_PATH = "the path of a metric, such as metrics.accuracy.value"


class GateSyntaxError(ValueError):
    """A gate cannot be parsed: what was found where (column, from 1), what was expected, the nearest word."""

    def __init__(self, text: str, column: int, found: str, expected: str, nearest: str | None = None) -> None:
        self.column, self.found, self.expected, self.nearest = column, found, expected, nearest
        meant = f"; did you mean {nearest!r}?" if nearest else ""
        super().__init__(f"{found} at column {column} of {text!r}: expected {expected}{meant}")


@dataclass(frozen=True, slots=True)
class Gate:
    """A parsed gate: `amount` is an operator's limit, or the margin of a comparison with the champion.

    `metric` is set where predictions are its source; `slice_by` is the column of a gate `for each` of its
    values that at least `rows_min` rows have.
    """

    text: str
    path: tuple[str, ...]
    relation: str
    amount: Decimal
    lower_is_better: bool = False
    confidence: Decimal | None = None
    source: Source = "evaluation"
    metric: PredictionMetric | None = None
    slice_by: str | None = None
    rows_min: int = 1

    @property
    def compares(self) -> bool:
        return self.relation in _COMPARISONS

    @property
    def reads_predictions(self) -> bool:
        return self.source in ("predictions", "bias", "latency")


@dataclass(frozen=True, slots=True)
class _Left:
    """The left side of a gate: where its value comes from."""

    path: tuple[str, ...]
    source: Source
    metric: PredictionMetric | None


@dataclass(frozen=True, slots=True)
class _Clauses:
    """What stands behind `champion`."""

    amount: Decimal
    confidence: Decimal | None
    lower_is_better: bool


class _Words:
    """The words of a gate, taken one by one, each with the column where it starts."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._words = [(match.group(), match.start() + 1) for match in _WORD.finditer(text)]
        self._next = 0

    def __bool__(self) -> bool:
        return self._next < len(self._words)

    def take(self, expected: str) -> str:
        if not self:
            raise GateSyntaxError(self.text, len(self.text) + 1, "the end", expected)
        self._next += 1
        return self._words[self._next - 1][0]

    def take_if(self, word: str) -> bool:
        found = bool(self) and self._words[self._next][0] == word
        self._next += found
        return found

    def require(self, word: str, expected: str | None = None) -> None:
        """Take a word that must come next."""
        expected = expected or repr(word)
        if self.take(expected) != word:
            raise self.refuse(expected, (word,))

    def has(self, word: str) -> bool:
        """Tell whether a word comes later than the next one."""
        return any(each == word for each, _ in self._words[self._next + 1 :])

    def refuse(self, expected: str, choices: Sequence[str] = ()) -> GateSyntaxError:
        """Make the error about the word just taken."""
        word, column = self._words[self._next - 1]
        return GateSyntaxError(self.text, column, repr(word), expected, nearest(word, choices))


def parse(text: str) -> Gate:
    """Parse a gate; raises GateSyntaxError."""
    words = _Words(text)
    slice_by, rows_min = _slices(words)
    left = _left(words, needs_metric=slice_by is not None or words.has("confidence"))
    relations = (*OPERATORS, *_COMPARISONS, *([WITHIN] if left.source == "bias" else []))
    expected = f"one of {', '.join(relations)}"
    relation = words.take(expected)
    if relation not in relations:
        needs_quotes = "." in relation or relation == ":"
        raise words.refuse(expected + (_QUOTE_IT if needs_quotes else ""), relations[len(OPERATORS) :])
    if left.source == "bias" and relation in _COMPARISONS:
        raise words.refuse(
            f"one of {', '.join((*OPERATORS, WITHIN))}, as bias is not compared with the champion"
        )
    if relation in _COMPARISONS:
        clauses = _comparison(words, left, relation)
    else:
        least = "a number of at least 0" if relation == WITHIN else "a number"
        clauses = _Clauses(_number(words, least), None, lower_is_better=False)
        if relation == WITHIN and clauses.amount < 0:
            raise words.refuse(least)
    if words:
        is_misplaced = words.take("") in ("by", "with", _LOWER) and relation not in _COMPARISONS
        raise words.refuse(_OF_COMPARISONS if is_misplaced else "nothing more")
    return Gate(
        text,
        left.path,
        relation,
        clauses.amount,
        clauses.lower_is_better,
        clauses.confidence,
        left.source,
        left.metric,
        slice_by,
        rows_min,
    )


def _slices(words: _Words) -> tuple[str | None, int]:
    """Return the column of `for each COLUMN [with n >= N]:`, if the gate begins so, and N."""
    if not words.take_if("for"):
        return None, 1
    words.require("each")
    column = words.take("a column of the predictions")
    if not _KEY.fullmatch(column):
        raise words.refuse(
            "a column of the predictions, quoted if its name has other signs than letters, digits, _ and -"
        )
    rows_min = 1
    if words.take_if("with"):
        words.require("n", "'n >=' and a number of rows")
        words.require(">=", "'>=' and a number of rows")
        count = words.take("a number of rows")
        if not re.fullmatch(r"[1-9][0-9]{0,8}", count):
            raise words.refuse("a number of rows, of at least 1")
        rows_min = int(count)
    words.require(":", "':'" if rows_min > 1 else "'with n >=' or ':'")
    return _unquoted(column), rows_min


def _unquoted(key: str) -> str:
    return key[1:-1] if key[0] in "\"'" else key


def _left(words: _Words, *, needs_metric: bool) -> _Left:
    """Take the path, and tell where its value comes from; a first key in quotes is evaluation.json's."""
    path = words.take(_A_PATH)
    if not _PATH.fullmatch(path):
        raise words.refuse(_A_PATH)
    parts = tuple(map(_unquoted, _KEY.findall(path)))
    first = "" if path[0] in "\"'" else parts[0]
    if first in ("bias", "model", "latency"):
        if needs_metric:
            raise words.refuse(
                "a metric that is computed from predictions", tuple(prediction_metrics.METRICS)
            )
        return _measured(words, first, parts)
    if not needs_metric and first != "predictions":
        return _Left(parts, "evaluation", None)
    metric = prediction_metrics.find(parts)
    if metric is None:
        known = tuple(prediction_metrics.METRICS)
        expected = f"a metric that is computed from predictions: {', '.join(known)}"
        error = words.refuse(expected)
        near = nearest(prediction_metrics.name_in(parts), known)
        raise GateSyntaxError(words.text, error.column, error.found, expected, near)
    return _Left(parts, "predictions", metric)


def _measured(words: _Words, first: str, parts: tuple[str, ...]) -> _Left:
    known: dict[str, tuple[str, ...]] = {"bias": BIAS_METRICS, "model": SIZES, "latency": LATENCIES}
    name = parts[1] if len(parts) > 1 else ""
    name = _BIAS_ALIASES.get(name, name) if first == "bias" else name
    longest = 3 if first == "bias" else 2
    if name not in known[first] or len(parts) > longest:
        choices = tuple(f"{first}.{each}" for each in known[first])
        column = ", and .COLUMN behind it for the facets of one column" if first == "bias" else ""
        raise words.refuse(
            f"one of {', '.join(choices)}{column}; a key of evaluation.json is quoted", choices
        )
    source: Source = "bias" if first == "bias" else "model" if first == "model" else "latency"
    return _Left((first, name, *parts[2:]), source, None)


def _comparison(words: _Words, left: _Left, relation: str) -> _Clauses:
    words.require("champion")
    amount = _number(words, "a number of at least 0") if words.take_if("by") else Decimal(0)
    if amount < 0:
        raise words.refuse("a number of at least 0")
    confidence = _confidence(words)
    lower = words.take_if(_LOWER)
    if lower and left.metric is not None and not left.metric.lower_is_better:
        raise words.refuse(f"nothing more, as of {left.metric.name} greater is better")
    confidence = confidence or _confidence(words)
    if words and not lower:
        words.take("")
        raise words.refuse(f"'by', '{_LOWER}', 'with confidence' or the end", ("by", _LOWER, "with"))
    if confidence is not None and relation == "not_worse_than" and not amount:
        raise GateSyntaxError(
            words.text,
            words.text.index("champion") + len("champion") + 1,
            "no margin",
            "'by' and a number above 0: to be not worse by nothing takes as much as better_than",
        )
    if left.source == "predictions" and left.metric is not None:
        return _Clauses(amount, confidence, left.metric.lower_is_better)
    return _Clauses(amount, confidence, lower or left.source in ("model", "latency"))


def _confidence(words: _Words) -> Decimal | None:
    if not words.take_if("with"):
        return None
    words.require("confidence")
    expected = "a number above 0.5 and below 1, such as 0.95"
    confidence = _number(words, expected)
    if not Decimal("0.5") < confidence < 1:
        raise words.refuse(expected)
    return confidence


def _number(words: _Words, expected: str) -> Decimal:
    word = words.take(expected)
    try:
        number = Decimal(word)
    except InvalidOperation:
        raise words.refuse(expected) from None
    if not number.is_finite():
        raise words.refuse(expected)
    return number


def spelled(path: Sequence[str]) -> str:
    """Write a path as a gate names it."""
    return ".".join(key if _BARE.fullmatch(key) else f'"{key}"' for key in path)
