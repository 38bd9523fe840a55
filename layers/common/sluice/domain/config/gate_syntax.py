"""The grammar of gates: limits on a candidate's evaluation, and comparisons with the champion's.

    metrics.accuracy.value >= 0.70
    metrics.accuracy.value not_worse_than champion by 0.01
    metrics.log_loss.value better_than champion by 0.005 lower_is_better

The left side is a path into evaluation.json; quote a key with spaces, dots or other signs, as in
`report."weighted avg".f1-score >= 0.8`. Greater is better unless the gate ends in `lower_is_better`.
`not_worse_than champion by X` allows a loss of at most X; `better_than champion by X` requires a gain of at
least X, and without `by` any gain. Both models are scored on the same hold-out, so the scores compare.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from sluice.domain.nearest import nearest

OPERATORS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "==": operator.eq,
}
_COMPARISONS = ("not_worse_than", "better_than")
_LOWER = "lower_is_better"
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"[^"]+"|'[^']+'""")
_PATH = re.compile(rf"({_KEY.pattern})(\.({_KEY.pattern}))*")
_WORD = re.compile(r"""("[^"]*"|'[^']*'|\S)+""")
_QUOTE_IT = '; a key with spaces or dots is quoted, as in report."weighted avg".value'


class GateSyntaxError(ValueError):
    """A gate cannot be parsed: what was found where (column, from 1), what was expected, the nearest word."""

    def __init__(self, text: str, column: int, found: str, expected: str, nearest: str | None = None) -> None:
        self.column, self.found, self.expected, self.nearest = column, found, expected, nearest
        meant = f"; did you mean {nearest!r}?" if nearest else ""
        super().__init__(f"{found} at column {column} of {text!r}: expected {expected}{meant}")


@dataclass(frozen=True, slots=True)
class Gate:
    """A parsed gate: `amount` is an operator's limit, or the margin of a comparison with the champion."""

    text: str
    path: tuple[str, ...]
    relation: str
    amount: Decimal
    lower_is_better: bool = False

    @property
    def compares(self) -> bool:
        return self.relation in _COMPARISONS


class _Words:
    """The words of a gate, taken one by one, each with the column where it starts."""

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
        """Make the error about the word just taken."""
        word, column = self._words[self._next - 1]
        return GateSyntaxError(self._text, column, repr(word), expected, nearest(word, choices))


def parse(text: str) -> Gate:
    """Parse a gate; raises GateSyntaxError."""
    words = _Words(text)
    path = words.take("the path of a metric, such as metrics.accuracy.value")
    if not _PATH.fullmatch(path):
        raise words.refuse("the path of a metric, such as metrics.accuracy.value")
    relations = (*OPERATORS, *_COMPARISONS)
    expected = f"one of {', '.join(relations)}"
    relation = words.take(expected)
    if relation not in relations:
        raise words.refuse(expected + (_QUOTE_IT if "." in relation else ""), _COMPARISONS)
    parts = tuple(key[1:-1] if key[0] in "\"'" else key for key in _KEY.findall(path))
    if relation in OPERATORS:
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


def spelled(path: Sequence[str]) -> str:
    """Write a path as a gate names it."""
    return ".".join(key if _BARE.fullmatch(key) else f'"{key}"' for key in path)
