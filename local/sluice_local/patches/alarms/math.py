"""Parse and compute CloudWatch metric math over aligned series, without `eval`. Pure."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

Series = dict[int, float]
Value = float | Series | list[Series]

_TOKEN = re.compile(
    r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)|([A-Za-z_]\w*)|(&&|\|\||[<>=!]=|[-+*/^<>(),\[\]]))"
)


class MetricMathError(ValueError):
    """The expression is not metric math, or cannot be computed over its kinds of values."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The input of an expression: series by id, and all periods of the range, oldest first."""

    values: Mapping[str, Value]
    timeline: Sequence[int]
    period_s: int


Node = Callable[[Scope], Value]


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression and the ids it needs."""

    node: Node
    references: frozenset[str]

    def compute(self, scope: Scope) -> Series:
        """Return the expression's series; a constant has a value in every period of the range."""
        value = self.node(scope)
        if isinstance(value, list):
            raise MetricMathError("an alarm needs an expression that yields one time series")
        return value if isinstance(value, dict) else dict.fromkeys(scope.timeline, value)


@lru_cache(maxsize=256)
def parse(text: str) -> Expression:
    """Parse an expression; raises `MetricMathError` for unknown functions or operators."""
    parser = _Parser(_tokens(text))
    node = parser.expression()
    parser.expect("")
    return Expression(node, frozenset(parser.references))


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise MetricMathError(f"unexpected {text[position:].strip()[:10]!r} in {text!r}")
        tokens.append(match.group().strip())
        position = match.end()
    return [*tokens, ""]


class _Parser:
    """Recursive descent; each method consumes one level of precedence, loosest first."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self.references: set[str] = set()

    def expect(self, token: str) -> None:
        if self._take() != token:
            raise MetricMathError(f"expected {token or 'the end'!r}, found {self._tokens[self._at - 1]!r}")

    def expression(self) -> Node:
        return self._left_associative(0)

    def _left_associative(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        node = self._left_associative(level + 1)
        while (operation := _LEVELS[level].get(self._peek().upper())) is not None:
            self._take()
            node = _binary(operation, node, self._left_associative(level + 1))
        return node

    def _unary(self) -> Node:
        if self._peek() == "-":
            self._take()
            operand = self._unary()
            return lambda scope: _each(operator.neg, operand(scope))
        return self._power()

    def _power(self) -> Node:
        base = self._atom()
        if self._peek() != "^":
            return base
        self._take()
        return _binary(operator.pow, base, self._unary())

    def _atom(self) -> Node:
        symbol = self._take()
        if symbol == "(":
            node = self.expression()
            self.expect(")")
            return node
        if symbol == "[":
            return _array(self._arguments("]"))
        if symbol[:1].isdigit() or symbol[:1] == ".":
            number = float(symbol)
            return lambda scope: number
        if not symbol[:1].isalpha():
            raise MetricMathError(f"unexpected {symbol or 'end'!r}")
        return self._call(symbol) if self._peek() == "(" else self._reference(symbol)

    def _reference(self, name: str) -> Node:
        if not name[0].islower():
            raise MetricMathError(f"{name!r} is not the id of a metric: ids start with a lower-case letter")
        self.references.add(name)
        return lambda scope: scope.values[name]

    def _call(self, name: str) -> Node:
        self._take()
        if name == "FILL":
            return self._fill()
        arguments = self._arguments(")")
        function, arities = _FUNCTIONS.get(name, (None, ()))
        if function is None:
            raise MetricMathError(f"unknown function {name!r}")
        if len(arguments) not in arities:
            raise MetricMathError(f"{name} takes {' or '.join(map(str, arities))} arguments")
        return lambda scope: function(scope, *(argument(scope) for argument in arguments))

    def _fill(self) -> Node:
        series = self.expression()
        self.expect(",")
        if (interpolation := _INTERPOLATIONS.get(self._peek())) is not None:
            self._take()
            node: Node = partial(_interpolated, series, interpolation)
        else:
            node = partial(_filled, series, self.expression())
        self.expect(")")
        return node

    def _arguments(self, closing: str) -> list[Node]:
        if self._peek() == closing:
            self._take()
            return []
        arguments = [self.expression()]
        while self._peek() == ",":
            self._take()
            arguments.append(self.expression())
        self.expect(closing)
        return arguments

    def _peek(self) -> str:
        return self._tokens[self._at]

    def _take(self) -> str:
        self._at = min(self._at + 1, len(self._tokens))
        return self._tokens[self._at - 1]


def _binary(operation: Callable[[float, float], float], left: Node, right: Node) -> Node:
    return lambda scope: _combine(operation, left(scope), right(scope))


def _combine(operation: Callable[[float, float], float], left: Value, right: Value) -> Value:
    """Combine element by element; a moment that either side lacks, or that divides by zero, has no result."""
    if isinstance(left, list):
        return [_series(_combine(operation, each, right)) for each in left]
    if isinstance(right, list):
        return [_series(_combine(operation, left, each)) for each in right]
    if isinstance(left, dict) and isinstance(right, dict):
        pairs = {at: (left[at], right[at]) for at in left if at in right}
    elif isinstance(left, dict):
        pairs = {at: (value, _scalar(right)) for at, value in left.items()}
    elif isinstance(right, dict):
        pairs = {at: (left, value) for at, value in right.items()}
    else:
        return operation(left, right)
    return {at: result for at, (a, b) in pairs.items() if math.isfinite(result := operation(a, b))}


def _each(function: Callable[[float], float], value: Value) -> Value:
    if isinstance(value, list):
        return [{at: function(each) for at, each in series.items()} for series in value]
    if isinstance(value, dict):
        return {at: function(each) for at, each in value.items()}
    return function(value)


def _array(nodes: Sequence[Node]) -> Node:
    return lambda scope: [_series(node(scope)) for node in nodes]


def _series(value: Value) -> Series:
    if not isinstance(value, dict):
        raise MetricMathError("an array holds time series only")
    return value


def _scalar(value: Value) -> float:
    if isinstance(value, (dict, list)):
        raise MetricMathError("a number is needed here, not a time series")
    return value


def _aggregate(summary: Callable[[Sequence[float]], float], scope: Scope, value: Value) -> Value:
    """Aggregate an array over its series at each moment, or one series over its moments."""
    if isinstance(value, list):
        moments = sorted({at for series in value for at in series})
        return {at: summary([series[at] for series in value if at in series]) for at in moments}
    if isinstance(value, dict):
        return summary(list(value.values())) if value else {}
    return value


def _if(scope: Scope, condition: Value, then: Value, otherwise: Value | None = None) -> Value:
    """Choose at each moment; if the chosen side has no value then, neither has the result."""
    if not isinstance(condition, dict):
        chosen = then if _scalar(condition) else otherwise
        return {} if chosen is None else chosen
    result = {}
    for at, holds in condition.items():
        chosen = then if holds else otherwise
        value = chosen.get(at) if isinstance(chosen, dict) else chosen
        if value is not None:
            result[at] = _scalar(value)
    return result


def _filled(series: Node, filler: Node, scope: Scope) -> Value:
    known, default = _series(series(scope)), filler(scope)
    candidates = default if isinstance(default, dict) else dict.fromkeys(scope.timeline, _scalar(default))
    filled = {**candidates, **known}
    return {at: filled[at] for at in scope.timeline if at in filled}


def _interpolated(series: Node, between: Callable[..., float | None], scope: Scope) -> Value:
    known = _series(series(scope))
    result = {}
    for at in scope.timeline:
        before = max((each for each in known if each <= at), default=None)
        after = min((each for each in known if each >= at), default=None)
        value = between(known, at, before, after)
        if value is not None:
            result[at] = value
    return result


def _repeated(known: Series, at: int, before: int | None, after: int | None) -> float | None:
    return None if before is None else known[before]


def _linear(known: Series, at: int, before: int | None, after: int | None) -> float | None:
    if before is None or after is None:
        return None
    if before == after:
        return known[at]
    return known[before] + (known[after] - known[before]) * (at - before) / (after - before)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _divide(left: float, right: float) -> float:
    return left / right if right else math.nan


def _truth(comparison: Callable[[float, float], bool]) -> Callable[[float, float], float]:
    return lambda left, right: float(comparison(left, right))


def _both(left: float, right: float) -> bool:
    return bool(left) and bool(right)


def _either(left: float, right: float) -> bool:
    return bool(left) or bool(right)


_OR, _AND = _truth(_either), _truth(_both)
_LEVELS: tuple[dict[str, Callable[[float, float], float]], ...] = (
    {"OR": _OR, "||": _OR},
    {"AND": _AND, "&&": _AND},
    {
        "==": _truth(operator.eq),
        "!=": _truth(operator.ne),
        "<=": _truth(operator.le),
        ">=": _truth(operator.ge),
        "<": _truth(operator.lt),
        ">": _truth(operator.gt),
    },
    {"+": operator.add, "-": operator.sub},
    {"*": operator.mul, "/": _divide},
)
_FUNCTIONS: dict[str, tuple[Callable[..., Value], tuple[int, ...]]] = {
    "SUM": (partial(_aggregate, math.fsum), (1,)),
    "AVG": (partial(_aggregate, _mean), (1,)),
    "MAX": (partial(_aggregate, max), (1,)),
    "MIN": (partial(_aggregate, min), (1,)),
    "ABS": (lambda scope, value: _each(abs, value), (1,)),
    "CEIL": (lambda scope, value: _each(math.ceil, value), (1,)),
    "FLOOR": (lambda scope, value: _each(math.floor, value), (1,)),
    "PERIOD": (lambda scope, value: float(scope.period_s), (1,)),
    "IF": (_if, (2, 3)),
}
_INTERPOLATIONS = {"REPEAT": _repeated, "LINEAR": _linear}
