"""Gates on predictions, slices, bias, size and latency: what passes, what fails, what cannot be judged."""

from __future__ import annotations

# ruff: noqa: S311 - simulations
import math
import random
from collections.abc import Sequence
from typing import Any

import pytest

import equal_models
from sluice.domain.build import gates
from sluice.domain.build.verdicts import NO_CHAMPION, Champion, Facts, GateResult, Meaning
from sluice.domain.config.statistics import Bias, Facet
from sluice.domain.predictions.table import Predictions

BETTER = "metrics.accuracy.value better_than champion with confidence 0.95"
NOT_WORSE = "metrics.accuracy.value not_worse_than champion by 0.1 with confidence 0.95"
SLICES = "for each category with n >= 30: accuracy >= 0.6"


def table(labels: Sequence[Any], predicted: Sequence[Any], **columns: Sequence[Any]) -> Predictions:
    ids = list(map(str, range(len(labels))))
    named = {name: list(map(str, values)) for name, values in columns.items()}
    return Predictions(ids, list(map(str, labels)), list(map(str, predicted)), None, named)


def right(share: float, rows: int = 100, **columns: Sequence[Any]) -> Predictions:
    """Predictions of which the first share is right."""
    good = round(share * rows)
    return table([1] * rows, [1] * good + [0] * (rows - good), **columns)


def judged(
    gate: str,
    candidate: Predictions | str,
    champion: Predictions | str | None = None,
    evaluation: Any = None,
    **meaning: Any,
) -> GateResult:
    against = None if champion is None else Champion({}, facts=Facts(champion))
    verdict = gates.judge([gate], evaluation or {}, against, Facts(candidate), Meaning(**meaning))
    return verdict.results[0]


def test_a_gain_beyond_chance_passes_and_tells_its_interval() -> None:
    result = judged(BETTER, right(0.9), right(0.7))
    assert result.passed
    assert (result.value, result.champion, result.limit, result.rows) == (0.9, 0.7, 0.7, 100)
    assert result.interval is not None
    assert 0 < result.interval[0] < 0.2 < result.interval[1]
    assert result.reason == (
        "0.9 passes against the champion's 0.7: it must gain, and its gain of 0.2 may be 0.1425 to 0.2733 "
        "with confidence 0.95 (exact McNemar test, 100 rows, chance < 0.01%)"
    )


def test_a_gain_that_may_be_chance_fails_and_says_how_likely() -> None:
    result = judged(BETTER, right(0.73), right(0.7))
    assert not result.passed
    assert result.chance == pytest.approx(0.125)
    assert "0.73 fails against the champion's 0.7" in result.reason


@pytest.mark.parametrize(("share", "passed"), [(0.7, True), (0.66, True), (0.61, False), (0.5, False)])
def test_a_loss_within_the_margin_passes_only_if_it_is_sure(share: float, passed: bool) -> None:
    assert judged(NOT_WORSE, right(share), right(0.7)).passed is passed


def test_of_a_loss_less_is_better_whatever_the_gate_says() -> None:
    ids, labels = list(map(str, range(100))), ["1", "0"] * 50
    ours = Predictions(ids, labels, None, [0.9, 0.1] * 50)
    theirs = Predictions(ids, labels, None, [0.8 - i / 1000 if i % 2 == 0 else 0.3 for i in range(100)])
    gate = "metrics.log_loss.value better_than champion with confidence 0.99"
    assert judged(gate, ours, theirs).passed
    assert not judged(gate, theirs, ours).passed
    assert judged(f"{gate} lower_is_better", ours, theirs).passed
    assert judged("predictions.log_loss better_than champion", ours, theirs).passed


def test_without_a_champion_a_comparison_passes_if_the_predictions_can_be_compared_later() -> None:
    assert judged(BETTER, right(0.5)).reason == NO_CHAMPION
    assert judged(BETTER, right(0.5)).passed
    assert judged(BETTER, right(0.5)).uncompared
    assert not judged(BETTER, "were not written").passed


def test_without_a_champion_slices_are_not_said_to_pass_a_comparison() -> None:
    gate = "for each category with n >= 30: accuracy not_worse_than champion by 0.1"
    result = judged(gate, right(0.5, category=["a", "b"] * 50))
    assert (result.passed, result.uncompared, result.reason) == (True, True, NO_CHAMPION)
    assert [each.name for each in result.slices] == ["a", "b"]
    assert not judged(gate, right(0.5, category=range(100))).passed
    recall = judged(gate.replace("accuracy", "recall"), table([0] * 60, [0] * 60, category=["a"] * 60))
    assert (recall.passed, recall.uncompared) == (False, False)


def test_without_a_champion_a_size_and_a_latency_compare_nothing() -> None:
    for gate in ("model.size_mb not_worse_than champion by 1", "latency.p50_ms not_worse_than champion by 1"):
        facts = Facts(right(0.5, latency_ms=[1] * 100), 2_000_000)
        (result,) = gates.judge([gate], {}, None, facts).results
        assert (result.passed, result.uncompared, result.reason) == (True, True, NO_CHAMPION)


@pytest.mark.parametrize(
    ("candidate", "champion", "why"),
    [
        ("were not written", right(0.5), "the candidate's predictions were not written"),
        (right(0.5), "cannot be used: x", "the champion's predictions cannot be used: x"),
        (right(0.5, 29), right(0.5, 29), "29 rows are too few to compare: at least 30"),
        (right(0.5, 40), right(0.5, 41), "the predictions do not pair by id: 1 only the champion's ('40')"),
        (
            right(0.5),
            table([0] * 100, [0] * 100),
            "the predictions do not pair by id: the id '0' has the label",
        ),
    ],
)
def test_what_cannot_be_compared_fails_and_says_why(candidate: Any, champion: Any, why: str) -> None:
    result = judged(BETTER, candidate, champion)
    assert not result.passed
    assert result.reason.startswith(why)


def test_a_champion_that_is_not_scored_or_passed_over_is_so_for_predictions_too() -> None:
    for champion, passed, words in (
        (Champion(None, unscored="no image"), False, "could not be scored: no image"),
        (Champion(None, passed_over="pushed so"), True, "pushed so"),
    ):
        result = gates.judge([BETTER], {}, champion, Facts(right(0.5))).results[0]
        assert (result.passed, words in result.reason) == (passed, True)


def test_a_limit_on_predictions_tells_the_interval_of_the_value() -> None:
    result = judged("predictions.accuracy >= 0.7", right(0.8))
    assert result.passed
    assert result.interval_of == "value"
    assert result.interval == pytest.approx((0.711, 0.867), abs=1e-3)
    assert "(between 0.7112 and 0.8666 on 100 rows)" in result.reason
    assert not judged("predictions.recall >= 0.7", table([0, 0], [0, 1])).passed


def test_evaluation_json_is_held_against_the_predictions() -> None:
    evaluation = {"metrics": {"accuracy": {"value": 0.95}}}
    result = judged(BETTER, right(0.9), right(0.7), evaluation)
    assert result.note.startswith("evaluation.json has 0.95, the predictions 0.9")
    assert judged(BETTER, right(0.95), right(0.7), evaluation).note == ""
    evaluation["metrics"]["accuracy"]["value"] = math.nan
    note = judged(BETTER, right(0.9), right(0.7), evaluation).note
    assert note == "evaluation.json has no finite number there, the predictions 0.9"


def sliced(*shares: float, rows: int = 40) -> Predictions:
    """A slice for each share, named a, b, c."""
    parts = [(right(share, rows).predicted or (), name) for share, name in zip(shares, "abc", strict=False)]
    predicted = [guess for guesses, _ in parts for guess in guesses]
    names = [name for guesses, name in parts for _ in guesses]
    return table([1] * len(predicted), predicted, category=names)


def test_each_slice_must_pass_and_the_one_that_fails_is_named() -> None:
    assert judged(SLICES, sliced(0.9, 0.7)).passed
    result = judged(SLICES, sliced(0.9, 0.5, 0.8))
    assert not result.passed
    assert (result.value, result.limit) == (0.5, 0.6)
    assert [(each.name, each.rows, each.passed) for each in result.slices] == [
        ("a", 40, True),
        ("b", 40, False),
        ("c", 40, True),
    ]
    assert result.reason.startswith("1 of 3 fail: b: 0.5 fails with limit 0.6 (between 0.352 and 0.648")


def test_a_slice_of_few_rows_is_not_judged_and_counted() -> None:
    few = sliced(0.9, 0.8)
    few.columns["category"][:15] = ["z"] * 15  # type: ignore[index]
    result = judged(SLICES, few)
    assert (result.passed, result.skipped, [each.name for each in result.slices]) == (True, 2, ["b"])
    assert "2 with fewer than 30 rows were not judged" in result.reason


def test_without_a_slice_of_enough_rows_the_gate_fails() -> None:
    result = judged(SLICES, sliced(0.9, 0.9, rows=20))
    assert not result.passed
    assert result.reason == "no category has 30 rows: the largest of 2 has 20"


def test_rows_without_a_value_are_a_slice_of_their_own() -> None:
    missing = right(0.9, 80, category=["a"] * 40 + [""] * 40)
    assert [each.name for each in judged(SLICES, missing).slices] == ["(none)", "a"]


def test_a_slice_in_which_the_metric_has_no_value_fails() -> None:
    found = table([1] * 40 + [0] * 40, [1] * 40 + [0] * 40, category=["a"] * 40 + ["b"] * 40)
    result = judged("for each category: recall >= 0.5", found)
    assert not result.passed
    assert "b: the candidate's recall is not defined: no row has the positive label" in result.reason


def test_a_positive_label_that_a_slice_lacks_is_no_fault_of_the_file() -> None:
    found = table(["good"] * 3 + ["bad"] * 3, ["good"] * 6, category=["a"] * 3 + ["b"] * 3)
    result = judged("for each category: accuracy >= 0", found, positive="good")
    assert result.passed
    result = judged("for each category: recall >= 0.5", found, positive="good")
    assert "b: the candidate's recall is not defined" in result.reason


@pytest.mark.parametrize(
    ("gate", "why"),
    [
        (
            "for each categry: accuracy >= 0",
            "has no column 'categry': it has category; did you mean 'category'",
        ),
        ("for each category: auc >= 0", "has no column 'score', which auc is computed from"),
    ],
)
def test_a_column_that_predictions_lack_fails_the_gate(gate: str, why: str) -> None:
    assert why in judged(gate, sliced(0.9)).reason


def test_a_column_of_very_many_values_is_no_slice() -> None:
    found = right(1, 1001, category=range(1001))
    assert judged(SLICES, found).reason == "category has 1001 values, at most 1000: slice by another"


def test_a_regression_in_one_slice_is_caught_where_the_whole_hides_it() -> None:
    """The candidate is better on two large slices and worse on a small one."""
    rng = random.Random(3)
    names = [name for name, rows in (("a", 400), ("b", 400), ("c", 60)) for _ in range(rows)]
    ours = [int(rng.random() < {"a": 0.9, "b": 0.9, "c": 0.55}[name]) for name in names]
    theirs = [int(rng.random() < 0.85) for _ in names]
    labels = [1] * len(names)
    found = [table(labels, guesses, category=names) for guesses in (ours, theirs)]
    whole = "accuracy not_worse_than champion by 0.02 with confidence 0.95"
    assert judged(whole, *found).passed
    result = judged(f"for each category with n >= 30: {whole.replace('0.02', '0.1')}", *found)
    assert not result.passed
    assert [(each.name, each.passed) for each in result.slices] == [("a", True), ("b", True), ("c", False)]
    assert result.reason.startswith("1 of 3 fail: c: ")


@pytest.mark.parametrize(
    ("gate", "passed"),
    [("bias.DPPL within 0.1", False), ("bias.DPPL within 0.6", True), ("bias.DI >= 0.8", False)],
)
def test_bias_is_judged_of_each_facet(gate: str, passed: bool) -> None:
    found = table([1] * 40, [1] * 20 + [1] * 10 + [0] * 10, sex=["m"] * 20 + ["f"] * 20)
    config = Bias(facets=(Facet(column="sex", values=("f",)),), favorable_labels=(1,))
    result = judged(gate, found, bias=config)
    assert result.passed is passed
    assert [each.name for each in result.slices] == ["sex = f"]


@pytest.mark.parametrize(
    ("compat", "why"),
    [
        (None, "sex = f: has no value: no row of the others is predicted as favorable"),
        ("clarify", "sex = f: is infinite"),
    ],
)
def test_a_disparity_from_nothing_fails(compat: Any, why: str) -> None:
    found = table([1, 0] * 20, [0] * 20 + [1] * 20, sex=["m"] * 20 + ["f"] * 20)
    facets = (Facet(column="sex", values=("f",)),)
    config = Bias(facets=facets, favorable_labels=(1,), compat=compat)
    result = judged("bias.DI >= 0.8", found, bias=config)
    assert (result.passed, result.value, result.reason) == (False, None, why)


def test_a_single_row_has_a_value_and_no_interval() -> None:
    result = judged("predictions.accuracy >= 0.5", right(1, 1))
    assert (result.passed, result.value, result.interval, result.rows) == (True, 1, None, 1)


def test_a_size_without_a_champion_to_compare_it_with_passes() -> None:
    gate = "model.size_mb not_worse_than champion by 1"
    (alone,) = gates.judge([gate], {}, None, Facts(size_bytes=9_000_000)).results
    assert (alone.passed, alone.champion) == (True, None)
    against = Champion({}, facts=Facts(size_bytes=1_000_000))
    assert not gates.judge([gate], {}, against, Facts(size_bytes=9_000_000)).results[0].passed


def test_bias_without_a_value_fails() -> None:
    found = table([1] * 4, [1] * 4, sex=["m"] * 4)
    config = Bias(facets=(Facet(column="sex", values=("f",)),), favorable_labels=(1,))
    result = judged("bias.AD within 1", found, bias=config)
    assert not result.passed
    assert "sex = f: has no value: there is no row of the facet" in result.reason
    assert "data.bias has no facets" in judged("bias.AD within 1", found).reason


def test_latency_is_that_of_the_rows_and_size_that_of_the_archive() -> None:
    found = right(1, 100, latency_ms=range(1, 101))
    assert judged("latency.p99_ms <= 99", found).value == 99
    assert judged("latency.p50_ms <= 50", found).passed
    assert judged("latency.mean_ms < 50.5", found).passed is False
    slower = right(1, 100, latency_ms=range(11, 111))
    assert not judged("latency.p95_ms not_worse_than champion by 5", slower, found).passed
    assert judged("latency.p95_ms not_worse_than champion by 10", slower, found).passed
    assert "has no column 'latency_ms'" in judged("latency.p99_ms <= 99", right(1)).reason
    verdict = gates.judge(["model.size_mb <= 1.5"], {}, None, Facts(size_bytes=1_500_000))
    assert (verdict.passed, verdict.results[0].value) == (True, 1.5)
    unknown = gates.judge(["model.size_mb <= 1.5"], {}, None)
    assert unknown.reasons == ("model.size_mb <= 1.5: the size of the candidate's archive is not known",)


def test_predictions_are_read_only_if_a_gate_asks_for_them() -> None:
    assert not gates.reads_predictions(["metrics.accuracy.value >= 0.7", "model.size_mb <= 5"])
    for gate in (BETTER, SLICES, "predictions.f1 > 0", "bias.DI >= 0.8", "latency.p99_ms <= 5"):
        assert gates.reads_predictions([gate])


def test_a_long_list_of_slices_is_kept_short_with_those_that_failed() -> None:
    found = table([1] * 60, [1] * 50 + [0] * 10, category=[row % 30 for row in range(60)])
    result = judged("for each category: accuracy >= 1", found)
    assert len(result.slices) == 30
    assert len(result.shortened.slices) == 20
    assert [each.passed for each in result.shortened.slices].count(False) == 10


@pytest.mark.parametrize("needs", ["classes", "numbers"])
def test_any_metric_is_judged_as_a_limit_and_as_a_comparison(needs: str) -> None:
    from sluice.domain.config.prediction_metrics import METRICS

    ours, theirs = equal_models.equal_models(random.Random(2), 120, needs)
    for metric in METRICS.values():
        if (metric.needs == "numbers") == (needs == "numbers"):
            assert judged(f"predictions.{metric.name} >= -9", ours).passed
            gate = f"{metric.name} not_worse_than champion by 9 with confidence 0.99"
            assert judged(gate, ours, theirs).passed, metric
