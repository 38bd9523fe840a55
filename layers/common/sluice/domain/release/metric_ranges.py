"""Bound the values that metrics and expressions over them can have: an alarm beyond them never fires."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

SAGEMAKER = "AWS/SageMaker"
REQUESTS = "Invocations"
# Each request adds a 0 or a 1.
ERRORS = ("Invocation4XXErrors", "Invocation5XXErrors", "InvocationModelErrors")
LATENCIES = ("ModelLatency", "OverheadLatency")
# An endpoint answers within a minute or not at all; these metrics are in microseconds.
LONGEST_ANSWER_US = 60_000_000
_SHARES = {"CPUUtilization": inf, "MemoryUtilization": 100.0, "DiskUtilization": 100.0}
_COUNTS = ("Sum", "SampleCount")


@dataclass(frozen=True, slots=True)
class Range:
    """The least and the largest value; `counts` are the error metrics whose sum it is, if it is one."""

    low: float = -inf
    high: float = inf
    counts: frozenset[str] = field(default=frozenset())


ANY = Range()


def of_metric(name: str, stat: str) -> Range:
    """Return the range of a statistic of one of SageMaker's metrics; of an unknown one any value."""
    if stat in _COUNTS:
        is_count = stat == "Sum" and name in (*ERRORS, REQUESTS)
        return Range(0, inf, frozenset([name] if is_count else []))
    if name in ERRORS:
        return Range(0, 1)
    if name in LATENCIES:
        return Range(0, LONGEST_ANSWER_US if name == "ModelLatency" else inf)
    return Range(0, _SHARES[name]) if name in _SHARES else ANY


def of_expression(text: str, known: Mapping[str, Range]) -> Range:
    """Return the range of metric math, as far as it is arithmetic and IF; of anything else any value."""
    try:
        return _of(ast.parse(_as_python(text), mode="eval").body, known)
    except (SyntaxError, ValueError, RecursionError):
        return ANY


def smallest_sample(text: str, requests: frozenset[str]) -> float:
    """Return the number of requests below which an expression judges nothing; 0 if it always judges.

    `requests` are the ids that count them: `IF(requests >= 50, errors / requests, 0)` judges from 50 on.
    """
    try:
        node = ast.parse(_as_python(text), mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return 0
    parts = _of_if(node)
    return _floor(parts[0], requests) if parts and isinstance(parts[0], ast.Compare) else 0


def references(text: str) -> set[str]:
    """Return the ids of metrics and expressions that an expression names."""
    return {word for word in re.findall(r"[A-Za-z_]\w*", text) if word[0].islower()}


def _as_python(text: str) -> str:
    """Write metric math so that Python reads the same tree: it has other words for and, or and powers."""
    words = {"&&": " and ", "||": " or ", "AND": "and", "OR": "or", "^": "**"}
    return re.sub(r"&&|\|\||\^|\bAND\b|\bOR\b", lambda found: words[found[0]], text.strip())


def _of_if(node: ast.expr) -> list[ast.expr]:
    """Return the condition and the two values of an IF; empty for anything else."""
    is_if = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "IF"
    return node.args if is_if and isinstance(node, ast.Call) and len(node.args) == 3 else []


def _floor(condition: ast.Compare, requests: frozenset[str]) -> float:
    left, right, relation = condition.left, condition.comparators[0], condition.ops[0]
    if isinstance(right, ast.Name) and isinstance(left, ast.Constant):
        left, right = right, left
        relation = {ast.Lt: ast.Gt, ast.LtE: ast.GtE}.get(type(relation), ast.Eq)()
    counts = isinstance(left, ast.Name) and left.id in requests and isinstance(right, ast.Constant)
    if not counts or not isinstance(relation, ast.Gt | ast.GtE):
        return 0
    return float(right.value) + isinstance(relation, ast.Gt)  # type: ignore[attr-defined]


def _of(node: ast.expr, known: Mapping[str, Range]) -> Range:
    match node:
        case ast.Constant(value=int() | float() as value):
            return Range(value, value)
        case ast.Name(id=name):
            return known.get(name, ANY)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = _of(operand, known)
            return Range(-inner.high, -inner.low)
        case ast.Compare() | ast.BoolOp():
            return Range(0, 1)
        case ast.BinOp(left=left, op=operator, right=right):
            return _combined(operator, _of(left, known), _of(right, known))
        case ast.Call() if parts := _of_if(node):
            either = [_of(part, known) for part in parts[1:]]
            return Range(min(each.low for each in either), max(each.high for each in either))
    return ANY


def _combined(operator: ast.operator, left: Range, right: Range) -> Range:
    if isinstance(operator, ast.Add):
        both = left.counts | right.counts if left.counts and right.counts else frozenset[str]()
        return Range(left.low + right.low, left.high + right.high, both)
    if isinstance(operator, ast.Sub):
        return Range(left.low - right.high, left.high - right.low)
    if isinstance(operator, ast.Mult):
        return _at_corners(left, right, lambda a, b: 0.0 if 0 in (a, b) else a * b)
    if isinstance(operator, ast.Div):
        if right.counts == {REQUESTS} and left.counts:
            # No request is counted twice among 4XX and 5XX, and none fails more than once.
            return Range(0, 1)
        if right.low > 0:
            return _at_corners(left, right, lambda a, b: 0.0 if b == inf else a / b)
        return Range(0, inf) if left.low >= 0 and right.low >= 0 else ANY
    return ANY


def _at_corners(left: Range, right: Range, compute: Callable[[float, float], float]) -> Range:
    values = [compute(a, b) for a in (left.low, left.high) for b in (right.low, right.high)]
    return Range(min(values), max(values))


def of_query(query: Mapping[str, Any], known: Mapping[str, Range]) -> Range:
    """Return the range of an element of an alarm's `Metrics`."""
    if "Expression" in query:
        return of_expression(query["Expression"], known)
    metric = query["MetricStat"]["Metric"]
    return of_metric(metric["MetricName"], query["MetricStat"]["Stat"])
