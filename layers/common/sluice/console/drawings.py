"""Lay out drawings: where nodes, bars, lines and dots lie. Templates draw them as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from sluice.domain import times, wording
from sluice.lazy import dataclass

_NODE_W, _NODE_H = 140, 54
_GAP_X, _GAP_Y = 20, 12
# Around a graph, so that no line of it is cut where it is drawn smaller.
_PAD = 2
_STACKED = 6
_NAME_MAX = 14
# A scale of values that span more than this is logarithmic.
_LOGARITHMIC = 9
_WIDE, _HIGH = 640.0, 220.0
_TICKS = 4
# Values of which the least is a greater share of the greatest are drawn without 0.
_FAR = 0.5
# Words of marks need so much room. More points than these are drawn smaller.
_WORD_WIDE, _FEW = 60.0, 30


@dataclass(frozen=True, slots=True)
class Node:
    """A box of a graph: what it is called, what is said of it, its tone, and where it leads."""

    name: str
    note: str
    tone: str
    title: str = ""
    link: str = ""
    x: float = 0
    y: float = 0


@dataclass(frozen=True, slots=True)
class Graph:
    """Boxes in columns, each joined to all of the next; paths are SVG's."""

    nodes: tuple[Node, ...]
    edges: tuple[str, ...]
    width: float
    height: float
    node_width: float = _NODE_W
    node_height: float = _NODE_H


def graph(columns: Sequence[Sequence[Node]]) -> Graph:
    """Place the nodes of each column beneath each other; of a tall column the last box counts the rest."""
    shown = [_stacked(column) for column in columns if column]
    rows = max(map(len, shown), default=0)
    height = rows * (_NODE_H + _GAP_Y) - _GAP_Y if rows else 0
    placed = [
        [
            _at(node, index * (_NODE_W + _GAP_X) + _PAD, _top(len(column), row, height) + _PAD)
            for row, node in enumerate(column)
        ]
        for index, column in enumerate(shown)
    ]
    edges = [path for before, after in pairwise(placed) for path in _joined(before, after, height)]
    width = len(shown) * (_NODE_W + _GAP_X) - _GAP_X if shown else 0
    nodes = tuple(node for column in placed for node in column)
    return Graph(nodes, tuple(edges), width + 2 * _PAD, height + 2 * _PAD)


def _stacked(column: Sequence[Node]) -> list[Node]:
    if len(column) <= _STACKED:
        return [*column]
    rest = len(column) - _STACKED + 1
    return [*column[: _STACKED - 1], Node(f"{rest} more", "in the table", "")]


def _at(node: Node, x: float, y: float) -> Node:
    name = wording.shorten(node.name, _NAME_MAX)
    return Node(name, node.note, node.tone, node.title or node.name, node.link, x, y)


def _top(count: int, row: int, height: float) -> float:
    """Return where a row of a column begins, which is in the middle of the drawing."""
    column = count * (_NODE_H + _GAP_Y) - _GAP_Y
    return (height - column) / 2 + row * (_NODE_H + _GAP_Y)


def _joined(before: Sequence[Node], after: Sequence[Node], height: float) -> list[str]:
    """Join all nodes of two columns by one point between them."""
    middle = height / 2 + _PAD
    x = after[0].x - _GAP_X / 2
    into = [_curve(node.x + _NODE_W, node.y + _NODE_H / 2, x, middle) for node in before]
    return into + [_curve(x, middle, node.x - 1, node.y + _NODE_H / 2) for node in after]


def _curve(x1: float, y1: float, x2: float, y2: float) -> str:
    half = (x1 + x2) / 2
    return f"M{x1:g} {y1:g}C{half:g} {y1:g} {half:g} {y2:g} {x2:g} {y2:g}"


@dataclass(frozen=True, slots=True)
class Span:
    """A bar of a time line; `start` and `length` are fractions of the whole."""

    name: str
    note: str
    tone: str
    start: float
    length: float
    link: str = ""


@dataclass(frozen=True, slots=True)
class Spans:
    """Bars on one axis of time, and when it begins and ends, in ISO 8601."""

    rows: tuple[Span, ...]
    first: str = ""
    last: str = ""


def spans(rows: Sequence[tuple[str, str, str, float | None, float | None, str]], now: float) -> Spans:
    """Put rows of (name, note, tone, began, ended, link) in seconds on one axis, which ends with the last."""
    known = [row for row in rows if row[3] is not None]
    if not known:
        return Spans(())
    first = min(began for *_, began, _, _ in known if began is not None)
    last = max(ended if ended is not None else now for *_, ended, _ in known)
    whole = max(last - first, 1e-9)
    found = []
    for name, note, tone, began, ended, link in known:
        assert began is not None  # noqa: S101 - the others were left out
        until = max(ended if ended is not None else now, began)
        found.append(Span(name, note, tone, (began - first) / whole, (until - began) / whole, link))
    return Spans(tuple(found), times.to_iso(_moment(first)), times.to_iso(_moment(last)))


def lanes(spans: Spans) -> dict[str, list[Span]]:
    """Group bars by their names, in the order in which these come."""
    found: dict[str, list[Span]] = {}
    for row in spans.rows:
        found.setdefault(row.name, []).append(row)
    return found


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@dataclass(frozen=True, slots=True)
class Axis:
    """A scale of numbers, or of names in the order in which they come."""

    name: str
    low: float
    high: float
    is_log: bool = False
    names: tuple[str, ...] = ()
    # From one label to the next, where labels are round numbers.
    step: float = 0.0

    @classmethod
    def over(cls, name: str, values: Sequence[Any], *, is_linear: bool = False) -> Axis:
        """Make the axis that holds all values; None is left out."""
        known = [value for value in values if value is not None]
        if not all(_is_number(value) for value in known):
            named = tuple(dict.fromkeys(map(str, known)))
            return cls(name, 0, max(len(named) - 1, 1), names=named)
        low, high = (min(known), max(known)) if known else (0.0, 1.0)
        is_log = not is_linear and low > 0 and high / low > _LOGARITHMIC
        if is_log:
            return cls(name, low, high, is_log)
        if low == high:
            low, high = low - (abs(low) / 2 or 1), high + (abs(high) / 2 or 1)
        step = _round_step((high - low) / _TICKS)
        # Rounding keeps a bound that is round already: its quotient may be a little off in binary.
        first, last = math.floor(round(low / step, 9)), math.ceil(round(high / step, 9))
        return cls(name, first * step, last * step, step=step)

    def part(self, value: Any) -> float | None:
        """Return where a value lies, from 0 to 1; None if it does not."""
        if self.names:
            return self.names.index(str(value)) / self.high if str(value) in self.names else None
        if not _is_number(value) or (self.is_log and value <= 0):
            return None
        low, high, at = (
            map(math.log, (self.low, self.high, value)) if self.is_log else (self.low, self.high, value)
        )
        return min(max((at - low) / (high - low), 0.0), 1.0)

    @property
    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Where labels stand, and what they say."""
        if self.names:
            return tuple((index / self.high, name) for index, name in enumerate(self.names))
        if self.is_log:
            return ((0.0, wording.number(self.low)), (1.0, wording.number(self.high)))
        count = max(round((self.high - self.low) / self.step), 1) if self.step else _TICKS
        parts = [index / count for index in range(count + 1)]
        return tuple((part, wording.number(self.low + part * (self.high - self.low))) for part in parts)


def _round_step(step: float) -> float:
    """Return the next greater of 1, 2, 2.5, 5 and 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * each for each in (1, 2, 2.5, 5, 10) if power * each >= step * (1 - 1e-9))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True, slots=True)
class Dot:
    """A point of a plot with its words; `is_chosen` is drawn apart."""

    x: float
    y: float
    title: str
    is_chosen: bool = False
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Plot:
    """Axes, dots and lines; x and y are in the drawing's units."""

    x: Axis
    y: Axis
    dots: tuple[Dot, ...]
    width: float = _WIDE
    height: float = _HIGH


def scatter(x: Axis, y: Axis, rows: Sequence[tuple[Any, Any, str, bool]]) -> Plot:
    """Place rows of (x, y, words, whether it was chosen); what has no place is left out."""
    dots = [
        Dot(px * _WIDE, (1 - py) * _HIGH, title, is_chosen)
        for vx, vy, title, is_chosen in rows
        if (px := x.part(vx)) is not None and (py := y.part(vy)) is not None
    ]
    return Plot(x, y, tuple(sorted(dots, key=lambda dot: dot.is_chosen)))


@dataclass(frozen=True, slots=True)
class Parallel:
    """Axes beside each other, and a line across them for each row."""

    axes: tuple[tuple[float, Axis], ...]
    lines: tuple[tuple[str, str, bool], ...]
    width: float = _WIDE
    height: float = _HIGH


def parallel(axes: Sequence[Axis], rows: Sequence[tuple[Mapping[str, Any], str, bool]]) -> Parallel:
    """Draw rows of (value of each axis, words, whether it was chosen); one without all values is left out."""
    step = _WIDE / max(len(axes) - 1, 1)
    lines = []
    for values, title, is_chosen in rows:
        parts = [axis.part(values.get(axis.name)) for axis in axes]
        if None not in parts:
            points = (f"{i * step:g} {(1 - (part or 0)) * _HIGH:.1f}" for i, part in enumerate(parts))
            lines.append(("M" + "L".join(points), title, is_chosen))
    lines.sort(key=lambda line: line[2])
    return Parallel(tuple((i * step, axis) for i, axis in enumerate(axes)), tuple(lines))


@dataclass(frozen=True, slots=True)
class Chart:
    """A line over time with its dots, marks of events, and limits with their values."""

    y: Axis
    path: str
    dots: tuple[Dot, ...]
    events: tuple[tuple[float, str], ...]
    limits: tuple[tuple[float, str], ...]
    band: str
    start: str
    end: str
    width: float = _WIDE
    height: float = 150.0

    @property
    def radius(self) -> float:
        return 4.5 if len(self.dots) <= _FEW else 2.5


def chart(
    name: str,
    points: Sequence[tuple[float, float, str, str]],
    *,
    limits: Sequence[float] = (),
    events: Sequence[tuple[float, str]] = (),
    bands: Sequence[tuple[float, float, float]] = (),
    ends: tuple[str, str] = ("", ""),
    span: tuple[float, float] | None = None,
) -> Chart | None:
    """Draw points of (time, value, words, tone); `bands` are (time, low, high). None without points.

    Limits are drawn with their values. `span` is the time that is drawn, by default from the first to the
    last point. The axis begins at 0, unless all is far from it.
    """
    if not points:
        return None
    moments = [at for at, *_ in points]
    first, last = span or (moments[0], moments[-1])
    whole = max(last - first, 1e-9)
    known = [value for _, value, *_ in points] + [edge for _, *both in bands for edge in both]
    drawn = [*known, *limits]
    is_far = min(drawn) > 0 and min(drawn) > _FAR * max(drawn)
    y, high = Axis.over(name, drawn if is_far else [*drawn, 0.0], is_linear=True), 150.0

    def at(moment: float, value: float) -> tuple[float, float]:
        x = 0.5 if first == last else (moment - first) / whole
        return x * _WIDE, (1 - (y.part(value) or 0.0)) * high

    dots = tuple(Dot(*at(when, value), title, tone=tone) for when, value, title, tone in points)
    lower = [at(when, low) for when, low, _ in bands]
    upper = [at(when, high_) for when, _, high_ in bands]
    marks = [((when - first) / whole, what) for when, what in events]
    return Chart(
        y=y,
        path=_path([(dot.x, dot.y) for dot in dots]),
        dots=dots,
        events=_apart([(part * _WIDE, what) for part, what in marks if 0 <= part <= 1]),
        limits=tuple((at(first, limit)[1], wording.number(limit)) for limit in limits),
        band=_path([*upper, *reversed(lower)]) + "Z" if bands else "",
        start=ends[0],
        end=ends[1],
    )


def _apart(marks: Sequence[tuple[float, str]]) -> tuple[tuple[float, str], ...]:
    """Leave out the words of marks that would lie on those of the mark before."""
    found: list[tuple[float, str]] = []
    written = -_WIDE
    for x, what in sorted(marks):
        has_room = x - written >= _WORD_WIDE
        found.append((x, what if has_room else ""))
        written = x if has_room else written
    return tuple(found)


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) if points else ""
