"""Judge a candidate by its gates: limits on its evaluation, and comparisons with the champion's."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sluice.domain.build.verdicts import (
    Champion,
    Facts,
    GateResult,
    Meaning,
    Verdict,
    failed,
    held,
    without_champion,
)
from sluice.domain.config.gate_syntax import Gate, parse, spelled
from sluice.domain.nearest import hint

# A step in the catalog shows so many; the manifest has all.
_METRICS_SHOWN = 100
_KEYS_SHOWN = 8
NOTHING_ELSE, PLAIN = Facts(), Meaning()


def judge(
    gates: Sequence[str],
    evaluation: Mapping[str, Any],
    champion: Champion | None,
    facts: Facts = NOTHING_ELSE,
    meaning: Meaning = PLAIN,
) -> Verdict:
    """Judge the candidate's evaluation by limits and by the champion's evaluation on the same hold-out.

    A metric that is missing, NaN or not a number fails. A comparison passes, as one that compared nothing, if
    there is no champion or it is passed over, and fails if the champion could not be scored. `facts` are
    those that were measured beside the evaluation, such as predictions; what a gate needs and they lack fails
    it.
    """
    parsed = [parse(text) for text in gates]
    measured = None
    if any(gate.source != "evaluation" for gate in parsed):
        from sluice.domain.build.measured_gates import Measured

        measured = Measured(facts, champion, meaning)
    results = tuple(
        _judge(gate, evaluation, champion)
        if gate.source == "evaluation" or measured is None
        else measured.judge(gate, evaluation)
        for gate in parsed
    )
    return Verdict(all(result.passed for result in results), results)


def reads_predictions(gates: Sequence[str]) -> bool:
    """Tell whether a gate needs the predictions of the models."""
    return any(parse(text).reads_predictions for text in gates)


def _judge(gate: Gate, evaluation: Mapping[str, Any], champion: Champion | None) -> GateResult:
    value, problem = metric_at(evaluation, gate.path)
    if value is None:
        return failed(gate, f"the candidate's metric {problem}")
    if not gate.compares:
        return held(gate, value, None)
    if (result := without_champion(gate, champion, float(value))) is not None:
        return result
    theirs = champion.evaluation if champion and champion.evaluation is not None else {}
    other, problem = metric_at(theirs, gate.path)
    if other is None:
        return failed(gate, f"the champion's metric {problem}", float(value))
    result = held(gate, value, other)
    if champion is None or not champion.recorded:
        return result
    return replace(result, reason=f"{result.reason}, {champion.recorded}")


def metric_at(evaluation: Mapping[str, Any], path: tuple[str, ...]) -> tuple[Decimal | None, str]:
    """Return the number at the path as the decimal written (so that 0.8 - 0.1 is 0.7), or what is wrong."""
    found: Any = evaluation
    for depth, part in enumerate(path):
        if not isinstance(found, Mapping) or part not in found:
            meant = _meant(evaluation, path) or hint(part, _names(found))
            return None, f"{spelled(path)} is missing: {_there(path[:depth], found)}{meant}"
        found = found[part]
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None, f"{spelled(path)} is no number"
    if not math.isfinite(found):
        what = "NaN" if math.isnan(found) else "infinite, or beyond 1.8e308"
        return None, f"{spelled(path)} is {what}"
    return Decimal(str(found)), ""


def _meant(evaluation: Mapping[str, Any], path: tuple[str, ...]) -> str:
    """Suggest the number that lies only deeper, or less deep: `metrics.auc.value` where `auc` was asked."""
    wanted = _bare(path)
    same = (each for each in itertools.islice(_numbers(evaluation), _METRICS_SHOWN) if _bare(each) == wanted)
    found = next(same, None) if wanted else None
    return f"; did you mean {spelled(found)!r}?" if found else ""


def _bare(path: tuple[str, ...]) -> tuple[str, ...]:
    """Return a path without what SageMaker's form of an evaluation puts around each metric."""
    return tuple(part for part in path if part not in ("metrics", "value"))


def _numbers(evaluation: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, found in evaluation.items():
        if isinstance(found, Mapping):
            yield from _numbers(found, (*path, str(name)))
        elif isinstance(found, int | float) and not isinstance(found, bool):
            yield *path, str(name)


def _there(path: tuple[str, ...], found: Any) -> str:
    """Say what is there in place of a missing key."""
    where = spelled(path) or "evaluation.json"
    if not isinstance(found, Mapping):
        return f"{where} is no object"
    names = _names(found)
    shown = ", ".join(names[:_KEYS_SHOWN]) or "nothing"
    more = f" and {len(names) - _KEYS_SHOWN} more" if len(names) > _KEYS_SHOWN else ""
    return f"{where} has {shown}{more}"


def _names(found: Any) -> list[str]:
    return [spelled((str(name),)) for name in found] if isinstance(found, Mapping) else []


def metric_values(evaluation: Mapping[str, Any], path: tuple[str, ...] = ()) -> dict[str, float]:
    """Return the finite numbers that evaluation.json gives as a metric's `value`, by dotted paths.

    Paths omit the leading `metrics` of our own evaluations. If there are very many, returns the first. An
    evaluation of another form, such as scikit-learn's classification_report, has plain numbers: those with a
    fraction are metrics, as whole ones count rows.
    """
    found = dict(itertools.islice(_metric_values(evaluation, path), _METRICS_SHOWN))
    return found or dict(itertools.islice(_plain_values(evaluation, path), _METRICS_SHOWN))


def _metric_values(evaluation: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    for name, found in evaluation.items():
        if isinstance(found, Mapping):
            yield from _metric_values(found, _below(path, name))
        elif name == "value" and any(path) and metric_at(evaluation, ("value",))[0] is not None:
            yield ".".join(path), float(found)


def _plain_values(evaluation: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    if "value" in evaluation:
        return  # a metric of our form, whose value is no finite number
    for name, found in evaluation.items():
        if isinstance(found, Mapping):
            yield from _plain_values(found, _below(path, name))
        elif isinstance(found, float) and math.isfinite(found):
            yield ".".join((*path, name)), found


def _below(path: tuple[str, ...], name: str) -> tuple[str, ...]:
    return path if name == "metrics" and not path else (*path, name)
