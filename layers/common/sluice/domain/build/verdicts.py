"""What gates are judged by, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from sluice.domain import wording
from sluice.domain.config.gate_syntax import OPERATORS, Gate
from sluice.lazy import dataclass

if TYPE_CHECKING:
    from sluice.domain.config.statistics import Bias
    from sluice.domain.predictions.table import Predictions

NO_CHAMPION = "there is no champion, as no model serves, so nothing was compared"
# The catalog keeps so many slices of a gate; gates.json has all.
_SLICES_KEPT = 20


@dataclass(frozen=True, slots=True)
class SliceResult:
    """One slice's, or one facet's, part in a gate."""

    name: str
    rows: int
    passed: bool
    value: float | None
    limit: float | None
    champion: float | None
    interval: tuple[float, float] | None
    reason: str


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate's outcome; `limit` is the value it had to reach, `champion` the champion's value.

    `interval` is of the gain over the champion or of the value, as `interval_of` says; `chance` is that of
    such a gain without a true one. A gate in slices has the worst slice's value; `skipped` slices had too few
    rows.
    """

    gate: str
    passed: bool
    value: float | None
    limit: float | None
    champion: float | None
    reason: str
    interval: tuple[float, float] | None = None
    interval_of: Literal["gain", "value"] | None = None
    confidence: float | None = None
    chance: float | None = None
    method: str = ""
    rows: int | None = None
    slices: tuple[SliceResult, ...] = ()
    skipped: int = 0
    note: str = ""
    # Whether it is a comparison that passed because there was nothing to compare with.
    uncompared: bool = False

    @property
    def shortened(self) -> GateResult:
        """The result with some of its slices, those that failed first."""
        if len(self.slices) <= _SLICES_KEPT:
            return self
        kept = sorted(self.slices, key=lambda each: each.passed)[:_SLICES_KEPT]
        return replace(self, slices=tuple(kept))


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
class Facts:
    """What is known of a model beside its evaluation; a text says why there are no predictions."""

    predictions: Predictions | str = "were not read"
    size_bytes: int | None = None

    @property
    def problem(self) -> str:
        """Why there are no predictions; empty if there are."""
        return self.predictions if isinstance(self.predictions, str) else ""


@dataclass(frozen=True, slots=True)
class Champion:
    """The model to compare with: its evaluation, or why there is none, or why it does not count."""

    evaluation: Mapping[str, Any] | None
    unscored: str = ""
    passed_over: str = ""
    facts: Facts = Facts()
    # Set if its evaluation is the one that its own run recorded, on other test data.
    recorded: str = ""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the project says its predictions mean: the positive label, and the facets of its data."""

    positive: str = "1"
    bias: Bias | None = None


def failed(gate: Gate, reason: str, value: float | None = None) -> GateResult:
    """Return the result of a gate that cannot be judged: it fails."""
    return GateResult(gate.text, False, value, None, None, reason)


def without_champion(gate: Gate, champion: Champion | None, value: float) -> GateResult | None:
    """Return the result of a comparison if there is nothing to compare with, else None.

    Without a champion it passes, as a first model needs a way in, and says that nothing was compared.
    """
    if champion is None:
        return GateResult(gate.text, True, value, None, None, NO_CHAMPION, uncompared=True)
    if champion.passed_over:
        reason = f"the champion was {champion.passed_over}, so nothing was compared"
        return GateResult(gate.text, True, value, None, None, reason, uncompared=True)
    if champion.evaluation is None:
        return failed(gate, f"the champion could not be scored: {champion.unscored}", value)
    return None


def held(gate: Gate, value: Decimal, champion: Decimal | None) -> GateResult:
    """Hold a value against a limit, or against the champion's with the gate's margin."""
    if champion is None:
        return _result(gate, value, gate.amount, None, OPERATORS[gate.relation](value, gate.amount))
    sign = -1 if gate.lower_is_better else 1
    gain = (value - champion) * sign
    if gate.relation == "not_worse_than":
        return _result(gate, value, champion - gate.amount * sign, champion, gain >= -gate.amount)
    return _result(gate, value, champion + gate.amount * sign, champion, gain > 0 and gain >= gate.amount)


def _result(gate: Gate, value: Decimal, limit: Decimal, champion: Decimal | None, passed: bool) -> GateResult:
    told, held = wording.apart(value, limit)
    against = "" if champion is None else f", the champion {wording.apart(champion, limit)[0]}"
    # The gate's own limit is written as it is there.
    held = str(limit) if champion is None else held
    reason = f"{told} {'passes' if passed else 'fails'} with limit {held}{against}"
    shown = None if champion is None else float(champion)
    return GateResult(gate.text, passed, float(value), float(limit), shown, reason)
