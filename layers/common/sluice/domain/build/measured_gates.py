"""Judge gates by what was measured beside the evaluation: predictions, bias, latency, the model's size."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any

from sluice.domain import wording
from sluice.domain.build.gate_results import compared, decimal, of_facet, together, with_interval
from sluice.domain.build.verdicts import (
    Champion,
    Facts,
    GateResult,
    Meaning,
    SliceResult,
    failed,
    held,
    without_champion,
)
from sluice.domain.config import prediction_metrics
from sluice.domain.config.gate_syntax import Gate
from sluice.domain.config.prediction_metrics import PredictionMetric
from sluice.domain.predictions import bias, intervals, scores
from sluice.domain.predictions.comparing import Comparison, compare
from sluice.domain.predictions.scores import UndefinedError
from sluice.domain.predictions.table import LATENCY, Predictions, PredictionsError, pair

SLICES_MAX = 1000
NO_VALUE = "(none)"
# evaluation.json and the predictions may round differently.
_ALIKE = 1e-3
_PERCENTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


class _CannotJudgeError(Exception):
    """A gate fails for this reason, before there is a value to judge."""


class Measured:
    """Both models' predictions and sizes, to judge gates by."""

    def __init__(self, candidate: Facts, champion: Champion | None, meaning: Meaning) -> None:
        self._candidate, self._champion, self._meaning = candidate, champion, meaning

    def judge(self, gate: Gate, evaluation: Mapping[str, Any]) -> GateResult:
        """Judge one gate; whatever keeps it from being judged fails it, and is its reason."""
        try:
            if gate.source == "bias":
                return self._bias(gate)
            if gate.source == "model" or gate.source == "latency":
                return self._figure(gate, self._size if gate.source == "model" else self._latency)
            result = self._whole(gate) if gate.slice_by is None else self._sliced(gate, gate.slice_by)
        except PredictionsError as error:
            return failed(gate, f"the predictions cannot be used: the file {error}")
        except (_CannotJudgeError, UndefinedError) as error:
            return failed(gate, str(error))
        return replace(result, note=_note(gate, result, evaluation))

    @property
    def _positive(self) -> str:
        return self._meaning.positive

    @property
    def _ours(self) -> Predictions:
        return _predictions(self._candidate, "candidate")

    @property
    def _rival(self) -> Facts:
        """What is known of the champion: of none, nothing."""
        return self._champion.facts if self._champion else Facts()

    @cached_property
    def _theirs(self) -> Predictions:
        """The champion's rows in the candidate's order."""
        theirs = _predictions(self._rival, "champion")
        try:
            return pair(self._ours, theirs)
        except PredictionsError as error:
            raise _CannotJudgeError(f"the predictions {error}") from None

    # -------------------------------------------------------------- predictions

    def _whole(self, gate: Gate) -> GateResult:
        metric = _metric_of(gate)
        value = _defined(metric, lambda: scores.value(metric, self._ours, self._positive))
        if not gate.compares:
            found = intervals.of_value(metric, self._ours, self._positive)
            return with_interval(held(gate, decimal(value), None), found, len(self._ours))
        if (result := without_champion(gate, self._champion, value)) is not None:
            return result
        if gate.confidence is None:
            other = _defined(metric, lambda: scores.value(metric, self._theirs, self._positive), "champion")
            return replace(held(gate, decimal(value), decimal(other)), rows=len(self._ours))
        return compared(gate, self._compared(gate, metric, self._ours, self._theirs))

    def _compared(
        self, gate: Gate, metric: PredictionMetric, ours: Predictions, theirs: Predictions
    ) -> Comparison:
        margin = float(gate.amount) * (-1 if gate.relation == "not_worse_than" else 1)
        confidence = float(gate.confidence or 0)
        return compare(metric, ours, theirs, margin=margin, confidence=confidence, positive=self._positive)

    def _sliced(self, gate: Gate, column: str) -> GateResult:
        rows_of = _slices(self._ours, column)
        judged = {name: rows for name, rows in rows_of.items() if len(rows) >= gate.rows_min}
        if not judged:
            raise _CannotJudgeError(
                f"no {column} has {gate.rows_min} rows: the largest of {len(rows_of)} has "
                f"{max(map(len, rows_of.values()))}"
            )
        metric, whole = _metric_of(gate), replace(gate, slice_by=None)
        with suppress(UndefinedError):
            # A fault of the file is told with its place there.
            scores.value(metric, self._ours, self._positive)
        results = [self._slice(whole, name, rows) for name, rows in judged.items()]
        found = together(gate, results, len(rows_of) - len(judged))
        bare = without_champion(gate, self._champion, found.value or 0.0) if gate.compares else None
        if bare is None or not (bare.uncompared and found.passed):
            return found
        return replace(found, reason=bare.reason, uncompared=True)

    def _slice(self, gate: Gate, name: str, rows: Sequence[int]) -> SliceResult:
        """Judge a gate on the rows of one slice."""
        part = Measured(Facts(self._ours.rows(rows)), self._champion_of(gate, rows), self._meaning)
        try:
            result = part._whole(gate)
        except (_CannotJudgeError, UndefinedError) as error:
            result = failed(gate, str(error))
        return SliceResult(
            name,
            len(rows),
            result.passed,
            result.value,
            result.limit,
            result.champion,
            result.interval,
            result.reason,
        )

    def _champion_of(self, gate: Gate, rows: Sequence[int]) -> Champion | None:
        """Return the champion on the rows of a slice, if it is compared with."""
        champion = self._champion
        if not gate.compares or champion is None or champion.evaluation is None:
            return champion
        return replace(champion, facts=Facts(self._theirs.rows(rows)))

    # -------------------------------------------------------------- bias

    def _bias(self, gate: Gate) -> GateResult:
        if self._meaning.bias is None:
            raise _CannotJudgeError("data.bias has no facets")
        name: Any = gate.path[1]
        column = gate.path[2] if len(gate.path) > 2 else None
        facets = bias.measure(name, self._ours, self._meaning.bias, column=column, positive=self._positive)
        results = [of_facet(gate, facet) for facet in facets]
        return together(gate, results, 0)

    # -------------------------------------------------------------- size, latency

    def _figure(self, gate: Gate, of: Callable[[Gate, Facts, str], float]) -> GateResult:
        value = of(gate, self._candidate, "candidate")
        if not gate.compares:
            return held(gate, decimal(value), None)
        if (result := without_champion(gate, self._champion, value)) is not None:
            return result
        other = of(gate, self._rival, "champion")
        return held(gate, decimal(value), decimal(other))

    def _size(self, gate: Gate, facts: Facts, role: str) -> float:
        if facts.size_bytes is None:
            raise _CannotJudgeError(f"the size of the {role}'s archive is not known")
        return round(facts.size_bytes / 1e6, 6)

    def _latency(self, gate: Gate, facts: Facts, role: str) -> float:
        try:
            found = sorted(_predictions(facts, role).numbers(LATENCY))
        except PredictionsError as error:
            raise _CannotJudgeError(f"the {role}'s predictions cannot be used: the file {error}") from None
        share = _PERCENTILES.get(gate.path[1])
        if share is None:
            return round(math.fsum(found) / len(found), 6)
        return found[max(math.ceil(share * len(found)) - 1, 0)]


def _predictions(facts: Facts, role: str) -> Predictions:
    if isinstance(facts.predictions, str):
        raise _CannotJudgeError(f"the {role}'s predictions {facts.predictions}")
    return facts.predictions


def _metric_of(gate: Gate) -> PredictionMetric:
    return gate.metric or prediction_metrics.METRICS[gate.path[-1]]


def _defined(metric: PredictionMetric, of: Callable[[], float], role: str = "candidate") -> float:
    try:
        return of()
    except UndefinedError as error:
        raise _CannotJudgeError(f"the {role}'s {metric.name} is not defined: {error}") from None


def _slices(predictions: Predictions, column: str) -> dict[str, list[int]]:
    rows_of: defaultdict[str, list[int]] = defaultdict(list)
    for row, value in enumerate(predictions.column(column)):
        rows_of[value or NO_VALUE].append(row)
    if len(rows_of) > SLICES_MAX:
        raise _CannotJudgeError(f"{column} has {len(rows_of)} values, at most {SLICES_MAX}: slice by another")
    return {name: rows_of[name] for name in sorted(rows_of)}


def _note(gate: Gate, result: GateResult, evaluation: Mapping[str, Any]) -> str:
    """Say if evaluation.json has another value at the gate's path than the predictions."""
    found: Any = evaluation
    for key in gate.path:
        found = found.get(key) if isinstance(found, Mapping) else None
    if gate.slice_by is not None or result.value is None or isinstance(found, bool):
        return ""
    if not isinstance(found, int | float) or abs(found - result.value) <= _ALIKE:
        return ""
    if not math.isfinite(found):
        return f"evaluation.json has no finite number there, the predictions {wording.number(result.value)}"
    evaluated, predicted = wording.apart(found, result.value)
    return (
        f"evaluation.json has {evaluated}, the predictions {predicted}: they may differ in the "
        "positive label or the threshold"
    )
