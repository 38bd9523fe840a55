"""Gates: what a candidate's evaluation must reach, and how it must compare with the champion's.

    metrics.accuracy.value >= 0.70
    metrics.accuracy.value not_worse_than champion by 0.01
    metrics.log_loss.value better_than champion by 0.005 lower_is_better

The left side is a path into evaluation.json; a key that has spaces, dots or other signs is quoted, as in
`report."weighted avg".f1-score >= 0.8`. Greater is better unless the gate ends in `lower_is_better`.
`not_worse_than champion by X` allows a loss of X at most; `better_than champion by X` asks for a gain of X at
least and, without `by`, for any gain at all. Both models are scored on the same hold-out, so they compare.
"""

from __future__ import annotations

import itertools
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from sluice.domain.nearest import hint, nearest

_OPERATORS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "==": operator.eq,
}
_COMPARISONS = ("not_worse_than", "better_than")
_LOWER = "lower_is_better"
# A step of the catalog shows them; the manifest has all.
_METRICS_SHOWN = 100
_KEYS_SHOWN = 8
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"[^"]+"|'[^']+'""")
_PATH = re.compile(rf"({_KEY.pattern})(\.({_KEY.pattern}))*")
_WORD = re.compile(r"""("[^"]*"|'[^']*'|\S)+""")
_QUOTE_IT = '; a key with spaces or dots is quoted, as in report."weighted avg".value'


class GateSyntaxError(ValueError):
    """A gate cannot be read: what was found at which column (from 1), what was expected, the nearest word."""

    def __init__(self, text: str, column: int, found: str, expected: str, nearest: str | None = None) -> None:
        self.column, self.found, self.expected, self.nearest = column, found, expected, nearest
        meant = f"; did you mean {nearest!r}?" if nearest else ""
        super().__init__(f"{found} at column {column} of {text!r}: expected {expected}{meant}")


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate as read: `amount` is a limit for an operator, a margin for a comparison with the champion."""

    text: str
    path: tuple[str, ...]
    relation: str
    amount: Decimal
    lower_is_better: bool = False

    @property
    def compares(self) -> bool:
        return self.relation in _COMPARISONS


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate's outcome; `limit` is the value it had to reach, `champion` the champion's value."""

    gate: str
    passed: bool
    value: float | None
    limit: float | None
    champion: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether all gates passed, and each one's result."""

    passed: bool
    results: tuple[GateResult, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it did not pass, a line per failed gate."""
        return tuple(f"{result.gate}: {result.reason}" for result in self.results if not result.passed)


class _Words:
    """The words of a gate, taken one by one with the column each starts at."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._words = [(match.group(), match.start() + 1) for match in _WORD.finditer(text)]
        self._next = 0

    def __bool__(self) -> bool:
        return self._next < len(self._words)

    def take(self, expected: str) -> str:
        if not self:
            raise GateSyntaxError(self._text, len(self._text) + 1, "the end", expected)
        self._next += 1
        return self._words[self._next - 1][0]

    def take_if(self, word: str) -> bool:
        found = bool(self) and self._words[self._next][0] == word
        self._next += found
        return found

    def refuse(self, expected: str, choices: Sequence[str] = ()) -> GateSyntaxError:
        """The error about the word just taken."""
        word, column = self._words[self._next - 1]
        return GateSyntaxError(self._text, column, repr(word), expected, nearest(word, choices))


def parse(text: str) -> Gate:
    """Read a gate; raises GateSyntaxError."""
    words = _Words(text)
    path = words.take("the path of a metric, such as metrics.accuracy.value")
    if not _PATH.fullmatch(path):
        raise words.refuse("the path of a metric, such as metrics.accuracy.value")
    relations = (*_OPERATORS, *_COMPARISONS)
    expected = f"one of {', '.join(relations)}"
    relation = words.take(expected)
    if relation not in relations:
        raise words.refuse(expected + (_QUOTE_IT if "." in relation else ""), _COMPARISONS)
    parts = tuple(key[1:-1] if key[0] in "\"'" else key for key in _KEY.findall(path))
    if relation in _OPERATORS:
        gate = Gate(text, parts, relation, _number(words, "a number"))
    else:
        gate = _comparison(text, parts, relation, words)
    if words:
        words.take("")
        raise words.refuse("nothing more")
    return gate


def _comparison(text: str, path: tuple[str, ...], relation: str, words: _Words) -> Gate:
    if words.take("'champion'") != "champion":
        raise words.refuse("'champion'", ("champion",))
    amount = _number(words, "a number of at least 0") if words.take_if("by") else Decimal(0)
    if amount < 0:
        raise words.refuse("a number of at least 0")
    lower = words.take_if(_LOWER)
    if words and not lower:
        words.take("")
        raise words.refuse(f"'by', '{_LOWER}' or the end", ("by", _LOWER))
    return Gate(text, path, relation, amount, lower)


def _number(words: _Words, expected: str) -> Decimal:
    word = words.take(expected)
    try:
        number = Decimal(word)
    except InvalidOperation:
        raise words.refuse(expected) from None
    if not number.is_finite():
        raise words.refuse(expected)
    return number


@dataclass(frozen=True, slots=True)
class Champion:
    """The model to compare with: its evaluation, or why there is none; or why it does not count."""

    evaluation: Mapping[str, Any] | None
    unscored: str = ""
    passed_over: str = ""


def judge(gates: Sequence[str], evaluation: Mapping[str, Any], champion: Champion | None) -> Verdict:
    """Judge the candidate's evaluation against limits and the champion's, made on the same hold-out.

    A metric that is missing, NaN or no number fails. Without a champion, or where one is passed over, a
    comparison passes; with one that could not be scored it fails.
    """
    results = tuple(_judge(parse(text), evaluation, champion) for text in gates)
    return Verdict(all(result.passed for result in results), results)


def _judge(gate: Gate, evaluation: Mapping[str, Any], champion: Champion | None) -> GateResult:
    value, problem = _metric(evaluation, gate.path)
    if value is None:
        return GateResult(gate.text, False, None, None, None, f"the candidate's metric {problem}")
    if not gate.compares:
        return _result(gate, value, gate.amount, None, _OPERATORS[gate.relation](value, gate.amount))
    if champion is None:
        return GateResult(gate.text, True, float(value), None, None, "no champion")
    if champion.passed_over:
        return GateResult(gate.text, True, float(value), None, None, champion.passed_over)
    if champion.evaluation is None:
        reason = f"the champion could not be scored: {champion.unscored}"
        return GateResult(gate.text, False, float(value), None, None, reason)
    other, problem = _metric(champion.evaluation, gate.path)
    if other is None:
        return GateResult(gate.text, False, float(value), None, None, f"the champion's metric {problem}")
    return _compare(gate, value, other)


def _compare(gate: Gate, value: Decimal, champion: Decimal) -> GateResult:
    sign = -1 if gate.lower_is_better else 1
    gain = (value - champion) * sign
    if gate.relation == "not_worse_than":
        return _result(gate, value, champion - gate.amount * sign, champion, gain >= -gate.amount)
    return _result(gate, value, champion + gate.amount * sign, champion, gain > 0 and gain >= gate.amount)


def _result(gate: Gate, value: Decimal, limit: Decimal, champion: Decimal | None, passed: bool) -> GateResult:
    against = "" if champion is None else f", the champion {champion}"
    reason = f"{value} {'passes' if passed else 'fails'} with limit {limit}{against}"
    shown = None if champion is None else float(champion)
    return GateResult(gate.text, passed, float(value), float(limit), shown, reason)


def _metric(evaluation: Mapping[str, Any], path: tuple[str, ...]) -> tuple[Decimal | None, str]:
    """The number at the path, as the decimal written (so that 0.8 - 0.1 is 0.7), or what is wrong."""
    found: Any = evaluation
    for depth, part in enumerate(path):
        if not isinstance(found, Mapping) or part not in found:
            return None, f"{_spelled(path)} is missing: {_there(path[:depth], part, found)}"
        found = found[part]
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None, f"{_spelled(path)} is no number"
    if not math.isfinite(found):
        what = "NaN" if math.isnan(found) else "infinite, or beyond 1.8e308"
        return None, f"{_spelled(path)} is {what}"
    return Decimal(str(found)), ""


def _there(path: tuple[str, ...], missing: str, found: Any) -> str:
    """What there is where a key is missing."""
    where = _spelled(path) or "evaluation.json"
    if not isinstance(found, Mapping):
        return f"{where} is no object"
    names = [_spelled((str(name),)) for name in found]
    shown = ", ".join(names[:_KEYS_SHOWN]) or "nothing"
    more = f" and {len(names) - _KEYS_SHOWN} more" if len(names) > _KEYS_SHOWN else ""
    return f"{where} has {shown}{more}{hint(missing, names)}"


def _spelled(path: Sequence[str]) -> str:
    """A path as a gate names it."""
    return ".".join(key if _BARE.fullmatch(key) else f'"{key}"' for key in path)


def metric_values(evaluation: Mapping[str, Any], path: tuple[str, ...] = ()) -> dict[str, float]:
    """Every finite number that evaluation.json gives as a metric's `value`, by the metric's dotted path.

    The leading `metrics`, under which our own evaluations keep them, is left out. Of very many the first.
    """
    return dict(itertools.islice(_metric_values(evaluation, path), _METRICS_SHOWN))


def _metric_values(evaluation: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    for name, found in evaluation.items():
        if isinstance(found, Mapping):
            yield from _metric_values(found, path if name == "metrics" and not path else (*path, name))
        elif name == "value" and any(path) and _metric(evaluation, ("value",))[0] is not None:
            yield ".".join(path), float(found)
