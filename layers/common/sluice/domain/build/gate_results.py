"""Put results of gates into words: intervals, comparisons, slices and facets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from sluice.domain import wording
from sluice.domain.build.verdicts import GateResult, SliceResult
from sluice.domain.config.gate_syntax import NO_BIAS, OPERATORS, WITHIN, Gate
from sluice.domain.predictions.bias import FacetMetric
from sluice.domain.predictions.comparing import Comparison
from sluice.domain.wording import number

_SLICES_SHOWN = 3


def decimal(value: float) -> Decimal:
    return Decimal(str(value))


def with_interval(result: GateResult, interval: tuple[float, float] | None, rows: int) -> GateResult:
    if interval is None:
        return replace(result, rows=rows)
    low, high = interval
    reason = f"{result.reason} (between {number(low)} and {number(high)} on {rows} rows)"
    return replace(result, reason=reason, interval=interval, interval_of="value", rows=rows, confidence=0.95)


def compared(gate: Gate, found: Comparison) -> GateResult:
    """Pass only if the interval is wholly on the right side of the margin, and the test agrees."""
    margin = float(gate.amount)
    allowed = 1 - float(gate.confidence or 0)
    if gate.relation == "not_worse_than":
        passed = found.low >= -margin
        wanted = f"may lose at most {margin:g}"
    else:
        passed = found.low > margin if not margin else found.low >= margin
        passed = passed and (bool(margin) or found.chance <= allowed)
        wanted = f"must gain at least {margin:g}" if margin else "must gain"
    sign = -1 if gate.lower_is_better else 1
    limit = found.champion + sign * (margin if gate.relation == "better_than" else -margin)
    reason = (
        f"{number(found.candidate)} {'passes' if passed else 'fails'} against the champion's "
        f"{number(found.champion)}: it {wanted}, and its gain of {number(found.gain)} may be "
        f"{number(found.low)} to {number(found.high)} with confidence {gate.confidence} "
        f"({found.method}, {found.rows} rows, chance {wording.chance(found.chance)})"
    )
    return GateResult(
        gate.text,
        passed,
        found.candidate,
        limit,
        found.champion,
        reason,
        interval=(found.low, found.high),
        interval_of="gain",
        confidence=float(gate.confidence or 0),
        chance=found.chance,
        method=found.method,
        rows=found.rows,
    )


def _neutral(gate: Gate) -> float:
    """Return the value of a bias metric that means no bias."""
    return NO_BIAS.get(gate.path[1], 0.0)


def of_facet(gate: Gate, facet: FacetMetric) -> SliceResult:
    value, neutral = facet.value, decimal(_neutral(gate))
    if value is None:
        passed, reason = False, f"has no value: {facet.error}"
    elif not math.isfinite(value):
        passed, reason = False, "is infinite"
    elif gate.relation == WITHIN:
        passed = abs(decimal(value) - neutral) <= gate.amount
        reason = f"{number(value)} is {'' if passed else 'not '}within {gate.amount} of {float(neutral):g}"
    else:
        passed = OPERATORS[gate.relation](decimal(value), gate.amount)
        reason = f"{number(value)} {'passes' if passed else 'fails'} with limit {gate.amount}"
    finite = value if value is not None and math.isfinite(value) else None
    return SliceResult(
        facet.facet, facet.rows_d or facet.rows_a, passed, finite, float(gate.amount), None, None, reason
    )


def together(gate: Gate, slices: Sequence[SliceResult], skipped: int) -> GateResult:
    """Return the result of a gate that each slice must pass; its value is that of the worst."""
    bad = [each for each in slices if not each.passed]
    worst = _worst(gate, bad or slices)
    left_out = f"; {skipped} with fewer than {gate.rows_min} rows were not judged" if skipped else ""
    told = "; ".join(f"{each.name}: {each.reason}" for each in (bad or [worst])[:_SLICES_SHOWN])
    more = f" and {len(bad) - _SLICES_SHOWN} more" if len(bad) > _SLICES_SHOWN else ""
    what = f"{len(bad)} of {len(slices)} fail: " if bad else f"all {len(slices)} pass, the worst of them "
    what = "" if len(slices) == 1 else what
    return GateResult(
        gate.text,
        not bad,
        worst.value,
        worst.limit,
        worst.champion,
        f"{what}{told}{more}{left_out}",
        rows=sum(each.rows for each in slices),
        confidence=None if gate.confidence is None else float(gate.confidence),
        slices=tuple(slices),
        skipped=skipped,
    )


def _worst(gate: Gate, slices: Sequence[SliceResult]) -> SliceResult:
    """Return the slice that is nearest to failing, or farthest beyond it; one without a value first."""

    def distance(each: SliceResult) -> float:
        if each.value is None:
            return -math.inf
        if gate.relation == WITHIN:
            return -abs(each.value - _neutral(gate))
        below = gate.relation in ("<", "<=") or (gate.compares and gate.lower_is_better)
        limit = each.limit or 0.0
        return limit - each.value if below else each.value - limit

    return min(slices, key=distance)
