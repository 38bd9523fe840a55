"""The page of a run's gates shows each gate with its value, interval, limit and slices."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from sluice.domain import canonical, wording
from sluice.domain.build import gate_report, gates
from sluice.domain.build.verdicts import Champion, Facts
from sluice.domain.predictions.table import Predictions
from sluice.quality.report import gates_page
from sluice.quality.report.gate_views import gate_view

CHAMPION = {"package_version": 3, "stage": "production"}
BETTER = "metrics.accuracy.value better_than champion with confidence 0.95"
SLICES = "for each category with n >= 30: accuracy >= 0.6"


def table(right: int, rows: int = 120) -> Predictions:
    guesses = ["1"] * right + ["0"] * (rows - right)
    category = [f"<b>{'ab'[row % 2]}</b>" if row < 100 else "few" for row in range(rows)]
    return Predictions(list(map(str, range(rows))), ["1"] * rows, guesses, None, {"category": category})


def document(*texts: str, candidate: int = 100, champion: int | None = 90) -> dict[str, Any]:
    against = None if champion is None else Champion({"loss": 0.4}, facts=Facts(table(champion)))
    verdict = gates.judge(texts, {"loss": 0.5}, against, Facts(table(candidate), 2_000_000))
    made = gate_report.document(
        verdict,
        pipeline="reviews",
        run_id="reviews-00002",
        project_version="ab",
        judged_at="2026-11-29T01:02:03.000Z",
        evaluation_sha256="cd",
        champion=CHAMPION if champion is not None else None,
        models=(),
    )
    read: dict[str, Any] = json.loads(canonical.to_json(made))
    return read


def test_the_page_says_the_verdict_each_gate_and_why() -> None:
    page = gates_page.render(document(BETTER, "loss <= 0.4"))
    assert "<title>Rejected: gates of reviews-00002</title>" in page
    assert "The candidate fails 1 gate, so it is not registered." in page
    assert "The champion is version 3, which served on production." in page
    assert "0.5 fails with limit 0.4" in page
    assert page.index("loss &lt;= 0.4") < page.index(BETTER)
    assert "exact McNemar test" in page
    assert "<script" not in page


def test_without_a_champion_the_page_says_so() -> None:
    page = gates_page.render(document(BETTER, champion=None))
    assert "No model served to compare it with, so nothing was compared." in page
    assert '<span class="tag warn">nothing compared</span>' in page
    limits = gates_page.render(document("loss <= 0.9", champion=None))
    assert "No model served to compare it with." in limits
    assert "nothing compared" not in limits


def test_columns_that_no_slice_fills_are_left_out() -> None:
    compared = "for each category with n >= 30: accuracy not_worse_than champion by 0.5"
    assert '<th scope="col" class="wide">interval</th>' not in gates_page.render(document(compared))
    assert '<th scope="col" class="wide">limit</th>' in gates_page.render(document(compared))
    bare = gates_page.render(document(compared, champion=None))
    assert '<th scope="col" class="wide">limit</th>' not in bare
    assert '<th scope="col" class="wide">interval</th>' in gates_page.render(document(SLICES))


def test_names_of_slices_are_escaped_and_those_that_failed_come_first() -> None:
    page = gates_page.render(document(SLICES.replace("0.6", "0.9"), candidate=99))
    assert "<b>a</b>" not in page
    assert "&lt;b&gt;a&lt;/b&gt;" in page
    assert "slices of too few rows" in page


def test_a_gain_is_drawn_with_its_interval_and_the_limit() -> None:
    (result,) = document(BETTER)["gates"]
    line = gate_view(result).line
    assert line is not None
    assert line.whiskers is not None
    assert line.at is not None
    assert line.limit_at is not None
    assert line.limit_at < line.whiskers[0] < line.at < line.whiskers[1]
    assert line.allowed == (line.limit_at, 1.0)
    assert line.champion_at is None


def test_of_a_loss_the_allowed_part_is_below() -> None:
    (result,) = document("loss not_worse_than champion by 0.2 lower_is_better")["gates"]
    line = gate_view(result).line
    assert line is not None
    assert line.at is not None
    assert line.limit_at is not None
    assert line.champion_at is not None
    assert line.champion_at < line.at < line.limit_at
    assert line.allowed == (0.0, line.limit_at)


@pytest.mark.parametrize(("metric", "low", "high"), [("DI", 0.75, 1.25), ("DPPL", -0.25, 0.25)])
def test_of_a_bias_the_allowed_part_is_around_where_there_is_none(
    metric: str, low: float, high: float
) -> None:
    result = {
        "gate": f"bias.{metric} within 0.25",
        "passed": True,
        "value": high,
        "limit": 0.25,
        "reason": "x",
    }
    line = gate_view(result).line
    assert line is not None
    assert line.at is not None
    assert line.allowed is not None
    assert (line.limit, line.limit_at) == (f"{wording.number(low)} to {wording.number(high)}", None)
    # The axis is 8 % longer than what is drawn, on each side.
    assert line.allowed == pytest.approx((0.08 / 1.16, 1.08 / 1.16))
    assert line.at == line.allowed[1]


@pytest.mark.parametrize(
    ("slices", "is_shown"),
    [(SLICES, False), ("for each category with n >= 30: accuracy not_worse_than champion by 0.5", True)],
)
def test_slices_have_a_column_of_the_champion_only_if_it_is_known(slices: str, is_shown: bool) -> None:
    page = gates_page.render(document(slices))
    assert ('class="wide">champion</th>' in page) is is_shown


def test_slices_share_one_axis() -> None:
    (result,) = document(SLICES)["gates"]
    view = gate_view(result)
    assert view.line is None
    assert {line.limit_at for line in view.slices} == {view.slices[0].limit_at}
    assert all(line.whiskers for line in view.slices)


@pytest.mark.parametrize(
    "gate", ["metrics.x >= 1", "bias.DI >= 1", "predictions.auc >= 1", "latency.p99_ms < 1"]
)
def test_a_gate_without_a_value_has_its_reason_and_no_drawing(gate: str) -> None:
    made = document(gate)
    view = gate_view(made["gates"][0])
    assert (view.line, view.passed) == (None, False)
    assert made["gates"][0]["reason"].replace("'", "&#39;") in gates_page.render(made)


def test_results_of_earlier_runs_are_drawn_too() -> None:
    """The step of a run has no intervals, if an earlier version judged it."""
    result = {
        "gate": "loss <= 0.4",
        "passed": True,
        "value": 0.3,
        "limit": 0.4,
        "champion": None,
        "reason": "x",
    }
    assert gate_view(result).line is not None
    assert gate_view({**result, "gate": "a grammar of tomorrow"}).line is not None


def test_a_result_is_plain_data() -> None:
    verdict = gates.judge([SLICES], {}, None, Facts(table(80)))
    assert canonical.to_json([asdict(result) for result in verdict.results])
