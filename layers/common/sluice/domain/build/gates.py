"""Judge a candidate by its gates: limits on its evaluation, and comparisons with the champion's."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sluice.domain.config.gate_syntax import OPERATORS, Gate, parse, spelled
from sluice.domain.nearest import hint

# A step in the catalog shows so many; the manifest has all.
_METRICS_SHOWN = 100
_KEYS_SHOWN = 8


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
        """Why it did not pass: a line for each failed gate."""
        return tuple(f"{result.gate}: {result.reason}" for result in self.results if not result.passed)


@dataclass(frozen=True, slots=True)
class Champion:
    """The model to compare with: its evaluation, or why there is none, or why it does not count."""

    evaluation: Mapping[str, Any] | None
    unscored: str = ""
    passed_over: str = ""


def judge(gates: Sequence[str], evaluation: Mapping[str, Any], champion: Champion | None) -> Verdict:
    """Judge the candidate's evaluation by limits and by the champion's evaluation on the same hold-out.

    A metric that is missing, NaN or not a number fails. A comparison passes if there is no champion or it is
    passed over, and fails if the champion could not be scored.
    """
    results = tuple(_judge(parse(text), evaluation, champion) for text in gates)
    return Verdict(all(result.passed for result in results), results)


def _judge(gate: Gate, evaluation: Mapping[str, Any], champion: Champion | None) -> GateResult:
    value, problem = _metric(evaluation, gate.path)
    if value is None:
        return GateResult(gate.text, False, None, None, None, f"the candidate's metric {problem}")
    if not gate.compares:
        return _result(gate, value, gate.amount, None, OPERATORS[gate.relation](value, gate.amount))
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
    """Return the number at the path as the decimal written (so that 0.8 - 0.1 is 0.7), or what is wrong."""
    found: Any = evaluation
    for depth, part in enumerate(path):
        if not isinstance(found, Mapping) or part not in found:
            return None, f"{spelled(path)} is missing: {_there(path[:depth], part, found)}"
        found = found[part]
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None, f"{spelled(path)} is no number"
    if not math.isfinite(found):
        what = "NaN" if math.isnan(found) else "infinite, or beyond 1.8e308"
        return None, f"{spelled(path)} is {what}"
    return Decimal(str(found)), ""


def _there(path: tuple[str, ...], missing: str, found: Any) -> str:
    """Say what is there in place of a missing key."""
    where = spelled(path) or "evaluation.json"
    if not isinstance(found, Mapping):
        return f"{where} is no object"
    names = [spelled((str(name),)) for name in found]
    shown = ", ".join(names[:_KEYS_SHOWN]) or "nothing"
    more = f" and {len(names) - _KEYS_SHOWN} more" if len(names) > _KEYS_SHOWN else ""
    return f"{where} has {shown}{more}{hint(missing, names)}"


def metric_values(evaluation: Mapping[str, Any], path: tuple[str, ...] = ()) -> dict[str, float]:
    """Return the finite numbers that evaluation.json gives as a metric's `value`, by dotted paths.

    Paths omit the leading `metrics` of our own evaluations. If there are very many, returns the first.
    """
    return dict(itertools.islice(_metric_values(evaluation, path), _METRICS_SHOWN))


def _metric_values(evaluation: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    for name, found in evaluation.items():
        if isinstance(found, Mapping):
            yield from _metric_values(found, path if name == "metrics" and not path else (*path, name))
        elif name == "value" and any(path) and _metric(evaluation, ("value",))[0] is not None:
            yield ".".join(path), float(found)
