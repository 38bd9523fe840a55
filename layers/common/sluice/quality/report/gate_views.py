"""Prepare what the page of a run's gates says about each gate, in words and ready for layout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sluice.domain import wording
from sluice.domain.config import gate_syntax
from sluice.domain.config.gate_syntax import Gate, GateSyntaxError
from sluice.lazy import dataclass

SLICES_SHOWN = 50
_MARGIN = 0.08


@dataclass(frozen=True, slots=True)
class Scale:
    """The ends of an axis that all values of a gate are drawn on."""

    low: float
    high: float

    @classmethod
    def over(cls, values: Sequence[float]) -> Scale:
        low, high = min(values), max(values)
        room = (high - low) * _MARGIN or abs(high) * _MARGIN or 1.0
        return cls(low - room, high + room)

    def part(self, value: float) -> float:
        """Return where a value lies, as a fraction of the axis."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class Line:
    """One drawn value; positions are fractions of the axis. `allowed` is where it passes."""

    name: str
    passed: bool
    value: str
    limit: str
    champion: str
    interval: str
    rows: str
    at: float | None
    whiskers: tuple[float, float] | None
    limit_at: float | None
    champion_at: float | None
    allowed: tuple[float, float] | None
    reason: str


@dataclass(frozen=True, slots=True)
class GateView:
    """A gate's card: what it says, the line of the whole, and those of its slices, that failed first."""

    text: str
    passed: bool
    reason: str
    note: str
    uncompared: bool
    what: str
    part: str
    facts: tuple[tuple[str, str], ...]
    line: Line | None
    slices: tuple[Line, ...]
    slices_total: int
    start: str
    end: str


def gate_views(document: Mapping[str, Any] | None) -> list[GateView]:
    """Prepare all cards of gates.json, those that failed first; none without one."""
    found = [gate_view(result) for result in document["gates"]] if document else []
    return sorted(found, key=lambda view: view.passed)


def gate_view(result: Mapping[str, Any]) -> GateView:
    """Prepare a gate's card from its part of gates.json."""
    gate = _parsed(str(result["gate"]))
    is_gain = result.get("interval_of") == "gain"
    slices = sorted(result.get("slices") or (), key=lambda each: (bool(each["passed"]), -each["rows"]))
    drawn = slices or [result]
    # Slices are drawn by their values: a gain of one has its interval in words.
    by_gain = is_gain and not slices
    values = [number for each in drawn for number in _numbers(each, gate, is_gain=by_gain)]
    scale = Scale.over(values) if values else None
    lines = [_line(each, gate, scale, is_gain=by_gain) for each in slices[:SLICES_SHOWN]]
    whole = None if slices or scale is None else _line(result, gate, scale, is_gain=by_gain)
    return GateView(
        text=str(result["gate"]),
        passed=bool(result["passed"]),
        reason=str(result["reason"]),
        note=str(result.get("note") or ""),
        uncompared=bool(result.get("uncompared")),
        what="gain over the champion" if by_gain else "value",
        part="facet" if gate is not None and gate.source == "bias" else "slice",
        facts=tuple(_facts(result)),
        line=whole,
        slices=tuple(lines),
        slices_total=len(slices),
        start="" if scale is None else wording.number(scale.low),
        end="" if scale is None else wording.number(scale.high),
    )


def _parsed(text: str) -> Gate | None:
    """Return the gate; None if it is of a version with another grammar."""
    try:
        return gate_syntax.parse(text)
    except GateSyntaxError:
        return None


def _sign(gate: Gate | None) -> int:
    return -1 if gate is not None and gate.lower_is_better else 1


def _numbers(result: Mapping[str, Any], gate: Gate | None, *, is_gain: bool) -> Iterator[float]:
    """Yield all that a line draws."""
    low_high = result.get("interval") or ()
    if is_gain:
        yield from (*low_high, 0.0, _gain(result, gate), _limit_of_gain(result, gate))
        return
    if result.get("value") is not None:
        yield result["value"]
        yield from low_high if _is_of_value(result, gate) else ()
        if (around := _around(gate)) is not None:
            yield from around
            return
        yield from (result[name] for name in ("limit", "champion") if result.get(name) is not None)


def _around(gate: Gate | None) -> tuple[float, float] | None:
    """Return the values that are within the distance from no bias that a gate allows."""
    if gate is None or gate.relation != gate_syntax.WITHIN:
        return None
    neutral = gate_syntax.NO_BIAS.get(gate.path[1], 0.0)
    return neutral - float(gate.amount), neutral + float(gate.amount)


def _is_of_value(result: Mapping[str, Any], gate: Gate | None) -> bool:
    """Tell whether an interval holds the value; a slice's is that of a gain if the gate compares."""
    if "interval_of" in result:
        return bool(result["interval_of"] == "value")
    return gate is not None and not gate.compares


def _gain(result: Mapping[str, Any], gate: Gate | None) -> float:
    return float((result["value"] - result["champion"]) * _sign(gate))


def _limit_of_gain(result: Mapping[str, Any], gate: Gate | None) -> float:
    return float((result["limit"] - result["champion"]) * _sign(gate))


def _line(result: Mapping[str, Any], gate: Gate | None, scale: Scale | None, *, is_gain: bool) -> Line:
    value, limit, champion = (result.get(name) for name in ("value", "limit", "champion"))
    interval = result.get("interval")
    if is_gain and value is not None:
        value, limit, champion = _gain(result, gate), _limit_of_gain(result, gate), None
    around = _around(gate)
    is_drawn = interval is not None and (is_gain or _is_of_value(result, gate))
    return Line(
        name=str(result.get("name") or ""),
        passed=bool(result["passed"]),
        value="none" if value is None else wording.number(value),
        limit=" to ".join(map(wording.number, around))
        if around
        else ""
        if limit is None
        else wording.number(limit),
        champion="" if champion is None else wording.number(champion),
        interval=" to ".join(map(wording.number, interval)) if interval else "",
        rows="" if result.get("rows") is None else wording.number(result["rows"]),
        at=None if value is None or scale is None else scale.part(value),
        whiskers=(scale.part(interval[0]), scale.part(interval[1])) if is_drawn and scale else None,  # type: ignore[index]
        limit_at=None if limit is None or scale is None or around else scale.part(limit),
        champion_at=None if champion is None or scale is None else scale.part(champion),
        allowed=None if limit is None or scale is None else _allowed(gate, scale, limit, is_gain=is_gain),
        reason=str(result.get("reason") or ""),
    )


def _allowed(gate: Gate | None, scale: Scale, limit: float, *, is_gain: bool) -> tuple[float, float] | None:
    """Return the part of the axis where a value passes."""
    if (around := _around(gate)) is not None:
        return scale.part(around[0]), scale.part(around[1])
    if gate is None or gate.relation == "==":
        return None
    is_below = gate.relation in ("<", "<=") or (gate.compares and not is_gain and gate.lower_is_better)
    at = scale.part(limit)
    return (0.0, at) if is_below else (at, 1.0)


def _facts(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, title in (("value", "value"), ("limit", "limit"), ("champion", "champion")):
        if result.get(name) is not None:
            yield title, wording.number(result[name])
    if interval := result.get("interval"):
        yield (
            f"interval of the {result.get('interval_of') or 'value'}",
            " to ".join(map(wording.number, interval)),
        )
    if result.get("confidence") is not None:
        yield "confidence", f"{result['confidence']:g}"
    if result.get("chance") is not None:
        yield "chance of it at the limit", wording.chance(result["chance"])
    if result.get("rows") is not None:
        yield "rows", wording.number(result["rows"])
    if result.get("method"):
        yield "method", str(result["method"])
    if result.get("skipped"):
        yield "slices of too few rows", wording.number(result["skipped"])
