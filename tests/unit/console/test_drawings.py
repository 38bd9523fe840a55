"""Charts have round labels, limits with their values and one axis of time; nothing is drawn on another."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.console import drawings
from sluice.console.drawings import Axis

HOUR_S = 3600.0


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0.0, 84.95], ["0", "25", "50", "75", "100"]),
        ([0.7, 0.7382], ["0.7", "0.71", "0.72", "0.73", "0.74"]),
        ([0, 3], ["0", "1", "2", "3"]),
    ],
)
def test_labels_of_an_axis_are_round(values: list[float], labels: list[str]) -> None:
    axis = Axis.over("value", values, is_linear=True)
    assert [text for _, text in axis.ticks] == labels
    assert all(axis.low - 1e-9 <= value <= axis.high + 1e-9 for value in values)


@given(st.lists(st.floats(-1e9, 1e9).filter(lambda value: value == 0 or abs(value) > 1e-6), min_size=1))
def test_an_axis_holds_all_values_and_has_few_labels(values: list[float]) -> None:
    axis = Axis.over("value", values, is_linear=True)
    parts = [part for part, _ in axis.ticks]
    assert 2 <= len(parts) <= 7
    assert (parts[0], parts[-1]) == (0, 1)
    assert all(0 <= (axis.part(value) or 0) <= 1 for value in values)


def test_a_limit_is_drawn_at_its_value_and_says_it() -> None:
    chart = drawings.chart("drift", [(0, 0.1, "", ""), (HOUR_S, 0.3, "", "")], limits=[0.2])
    assert chart
    ((y, text),) = chart.limits
    assert text == "0.2"
    assert min(dot.y for dot in chart.dots) < y < max(dot.y for dot in chart.dots)


def test_a_chart_begins_at_zero_unless_all_is_far_from_it() -> None:
    near = drawings.chart("requests", [(0, 10, "", ""), (1, 100, "", "")])
    far = drawings.chart("accuracy", [(0, 0.91, "", ""), (1, 0.93, "", "")], limits=[0.9])
    assert near
    assert far
    assert near.y.low == 0
    assert far.y.low == pytest.approx(0.9)


def test_a_point_lies_where_its_time_does_in_the_time_that_is_drawn() -> None:
    late = drawings.chart("accuracy", [(3 * HOUR_S, 0.9, "", "")], span=(0, 4 * HOUR_S))
    alone = drawings.chart("accuracy", [(3 * HOUR_S, 0.9, "", "")])
    assert late
    assert alone
    assert late.dots[0].x == late.width * 0.75
    assert alone.dots[0].x == alone.width / 2


def test_words_of_marks_do_not_lie_on_each_other() -> None:
    points = [(0.0, 1.0, "", ""), (100.0, 1.0, "", "")]
    chart = drawings.chart("requests", points, events=[(float(at), f"v{at}") for at in range(100)])
    assert chart
    assert len(chart.events) == 100
    written = [x for x, what in chart.events if what]
    assert len(written) > 5
    assert all(after - before >= 60 for before, after in pairwise(written))


def test_a_dense_line_has_small_dots() -> None:
    few = drawings.chart("requests", [(float(at), 1.0, "", "") for at in range(10)])
    many = drawings.chart("requests", [(float(at), 1.0, "", "") for at in range(60)])
    assert few
    assert many
    assert many.radius < few.radius


def test_what_served_on_a_stage_is_one_lane() -> None:
    rows = [("staging", "v1", "", 0.0, 50.0, ""), ("production", "v1", "", 20.0, None, "")]
    spans = drawings.spans([*rows, ("staging", "v2", "good", 50.0, None, "")], now=100.0)
    lanes = drawings.lanes(spans)
    assert {name: [bar.note for bar in bars] for name, bars in lanes.items()} == {
        "staging": ["v1", "v2"],
        "production": ["v1"],
    }
    assert [(bar.start, bar.length) for bar in lanes["staging"]] == [(0.0, 0.5), (0.5, 0.5)]
    assert (spans.first, spans.last) == ("1970-01-01T00:00:00.000Z", "1970-01-01T00:01:40.000Z")
