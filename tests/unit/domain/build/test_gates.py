"""Gates are read with their errors placed, and judged without floating-point accidents."""

import contextlib
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.domain.build import gates
from sluice.domain.build.verdicts import NO_CHAMPION, Champion, Verdict
from sluice.domain.config import gate_syntax


def evaluation(accuracy: Any) -> dict[str, Any]:
    return {"metrics": {"accuracy": {"value": accuracy}}}


def judged(gate: str, value: Any, champion: Any = None) -> Verdict:
    against = None if champion is None else evaluation(champion)
    return gates.judge(
        [f"metrics.accuracy.value {gate}"], evaluation(value), Champion(against) if against else None
    )


@pytest.mark.parametrize(
    ("gate", "value", "passed"),
    [
        (">= 0.7", 0.7, True),
        (">= 0.7", 0.69, False),
        ("> 0.7", 0.7, False),
        ("<= 0.7", 0.7, True),
        ("<= 0.7", 0.71, False),
        ("< 0.7", 0.7, False),
        ("== 1", 1.0, True),
        ("== 1", 0.99, False),
        (">= -1e-3", 0, True),
    ],
)
def test_a_limit_is_inclusive_only_where_it_says_so(gate: str, value: Any, passed: bool) -> None:
    assert judged(gate, value).passed is passed


@pytest.mark.parametrize(
    ("gate", "value", "champion", "passed"),
    [
        ("not_worse_than champion by 0.1", 0.7, 0.8, True),  # 0.8 - 0.1 is 0.7000000000000001 in floats
        ("not_worse_than champion by 0.1", 0.699, 0.8, False),
        ("not_worse_than champion", 0.8, 0.8, True),
        ("better_than champion", 0.8, 0.8, False),
        ("better_than champion", 0.801, 0.8, True),
        ("better_than champion by 0.1", 0.8, 0.7, True),
        ("better_than champion by 0.1", 0.79, 0.7, False),
        ("not_worse_than champion by 0.1 lower_is_better", 0.8, 0.7, True),
        ("not_worse_than champion by 0.1 lower_is_better", 0.81, 0.7, False),
        ("better_than champion lower_is_better", 0.69, 0.7, True),
        ("better_than champion by 0.1 lower_is_better", 0.61, 0.7, False),
    ],
)
def test_a_comparison_allows_exactly_its_margin(gate: str, value: Any, champion: Any, passed: bool) -> None:
    assert judged(gate, value, champion).passed is passed


@pytest.mark.parametrize("value", [None, "0.9", True, math.nan, math.inf, {"value": 1}])
@pytest.mark.parametrize("gate", [">= 0.1", "not_worse_than champion by 1"])
def test_a_metric_that_is_no_finite_number_fails(gate: str, value: Any) -> None:
    verdict = judged(gate, value, champion=0.5)
    assert not verdict.passed
    assert verdict.results[0].value is None
    assert "the candidate's metric metrics.accuracy.value" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("document", "there"),
    [
        ({}, "evaluation.json has nothing"),
        ({"metrics": {}}, "metrics has nothing"),
        ({"metrics": 1}, "metrics is no object"),
        ({"metrics": {"accuracy": 0.9}}, "metrics.accuracy is no object; did you mean 'metrics.accuracy'?"),
        (
            {"metrics": {"acuracy": {}, "weighted avg": {}}},
            "metrics has acuracy, \"weighted avg\"; did you mean 'acuracy'?",
        ),
        ({"accuracy": 0.9}, "evaluation.json has accuracy; did you mean 'accuracy'?"),
        (
            {"metrics": {f"m{n}": {} for n in range(10)}},
            "metrics has m0, m1, m2, m3, m4, m5, m6, m7 and 2 more",
        ),
    ],
)
def test_a_missing_metric_fails_and_says_what_there_is(document: dict[str, Any], there: str) -> None:
    verdict = gates.judge(["metrics.accuracy.value >= 0"], document, None)
    assert verdict.reasons == (
        f"metrics.accuracy.value >= 0: the candidate's metric metrics.accuracy.value is missing: {there}",
    )


def test_a_metric_that_lies_deeper_than_asked_is_named_with_its_path() -> None:
    verdict = gates.judge(["accuracy >= 0.5"], {"metrics": {"accuracy": {"value": 0.9}}}, None)
    there = "evaluation.json has metrics; did you mean 'metrics.accuracy.value'?"
    assert verdict.reasons == (f"accuracy >= 0.5: the candidate's metric accuracy is missing: {there}",)


def test_a_limit_that_the_champion_sets_has_as_many_digits_as_the_value() -> None:
    gate = "rmse not_worse_than champion by 500 lower_is_better"
    (result,) = gates.judge([gate], {"rmse": 7856.11}, Champion({"rmse": 7974.980085355112})).results
    assert result.reason == "7,856 passes with limit 8,475, the champion 7,975"


def test_a_value_is_written_without_zeros_at_its_end() -> None:
    (result,) = gates.judge(["rmse >= 0.6"], {"rmse": 0.8226299694}, None).results
    assert result.reason == "0.8226 passes with limit 0.6"
    assert judged("<= 1.0", 1.0).results[0].reason == "1 passes with limit 1.0"


def test_without_a_champion_a_comparison_passes_and_says_so() -> None:
    result = judged("better_than champion by 0.5", 0.1).results[0]
    assert (result.passed, result.reason, result.value, result.champion) == (True, NO_CHAMPION, 0.1, None)
    assert result.uncompared
    assert not judged("better_than champion by 0.5", 0.9, 0.1).results[0].uncompared
    assert not judged(">= 0.05", 0.1).results[0].uncompared


def test_a_champion_without_the_metric_cannot_be_compared_with() -> None:
    verdict = gates.judge(["metrics.accuracy.value not_worse_than champion"], evaluation(0.9), Champion({}))
    assert "the champion's metric" in verdict.reasons[0]


def test_a_result_shows_the_value_its_limit_and_the_champion() -> None:
    result = judged("not_worse_than champion by 0.01", 0.7, 0.8).results[0]
    assert (result.value, result.limit, result.champion) == (0.7, 0.79, 0.8)
    assert result.reason == "0.7 fails with limit 0.79, the champion 0.8"


def test_one_failed_gate_fails_the_verdict_and_alone_gives_a_reason() -> None:
    verdict = gates.judge(
        ["metrics.accuracy.value >= 0.5", "metrics.accuracy.value > 0.9"], evaluation(0.8), None
    )
    assert [result.passed for result in verdict.results] == [True, False]
    assert not verdict.passed
    assert verdict.reasons == ("metrics.accuracy.value > 0.9: 0.8 fails with limit 0.9",)


@given(st.decimals(0, 1, places=4), st.decimals(0, 1, places=4), st.decimals(0, 1, places=4), st.booleans())
def test_comparisons_agree_with_exact_arithmetic(
    value: Decimal, champion: Decimal, margin: Decimal, lower: bool
) -> None:
    gain = champion - value if lower else value - champion
    tail = f"champion by {margin}" + " lower_is_better" * lower
    assert judged(f"not_worse_than {tail}", float(value), float(champion)).passed == (gain >= -margin)
    assert judged(f"better_than {tail}", float(value), float(champion)).passed == (
        gain > 0 and gain >= margin
    )


@pytest.mark.parametrize(
    ("text", "column", "expected", "nearest"),
    [
        ("", 1, "the path of a metric", None),
        ("metrics..value >= 1", 1, "the path of a metric", None),
        ("a.b", 4, "one of >=", None),
        ("a.b => 1", 5, "one of >=", None),
        ("a.b  not_worse_then champion", 6, "one of >=", "not_worse_than"),
        ("a.b >=", 7, "a number", None),
        ("a.b >= x", 8, "a number", None),
        ("a.b >= nan", 8, "a number", None),
        ("a.b >= 1 2", 10, "nothing more", None),
        ("a.b <= 1 lower_is_better", 10, "nothing more: by, with confidence", None),
        ("a.b >= 1 by 2", 10, "nothing more: by, with confidence", None),
        ("a.b better_than", 16, "'champion'", None),
        ("a.b better_than chanpion", 17, "'champion'", "champion"),
        ("a.b better_than champion by", 28, "a number of at least 0", None),
        ("a.b better_than champion by -1", 29, "a number of at least 0", None),
        ("a.b better_than champion lower_better", 26, "'by', 'lower_is_better'", "lower_is_better"),
        ("a.b better_than champion lower_is_better 1", 42, "nothing more", None),
    ],
)
def test_a_gate_that_cannot_be_read_says_where_and_what_was_expected(
    text: str, column: int, expected: str, nearest: str | None
) -> None:
    with pytest.raises(gate_syntax.GateSyntaxError) as caught:
        gate_syntax.parse(text)
    assert caught.value.column == column
    assert caught.value.expected.startswith(expected)
    assert caught.value.nearest == nearest
    assert "\n" not in str(caught.value)


def test_a_gate_is_read_into_its_parts() -> None:
    gate = gate_syntax.parse("metrics.log-loss.value not_worse_than champion by 0.01 lower_is_better")
    assert gate.path == ("metrics", "log-loss", "value")
    assert (gate.relation, gate.amount, gate.lower_is_better) == ("not_worse_than", Decimal("0.01"), True)


@given(st.text())
def test_any_text_is_read_or_refused_with_a_syntax_error(text: str) -> None:
    with contextlib.suppress(gate_syntax.GateSyntaxError):
        assert gate_syntax.parse(text).text == text


def test_the_metrics_of_an_evaluation_are_its_values_by_their_paths() -> None:
    evaluation = {
        "metrics": {"accuracy": {"value": 0.8, "standard_deviation": 0.1}, "auc": {"value": math.nan}},
        "regression_metrics": {"mse": {"value": 2}},
        "rows": 100,
    }
    assert gates.metric_values(evaluation) == {"accuracy": 0.8, "regression_metrics.mse": 2.0}


def test_the_metrics_of_an_evaluation_of_another_form_are_its_numbers_with_a_fraction() -> None:
    """Gates read any path, so `sluice run`, compare and reproduce have to see what is there."""
    report = {"accuracy": 0.9, "great": {"f1-score": 1.0, "support": 50}, "rows": 100, "text": "0.5"}
    assert gates.metric_values({"report": report, "log_loss": math.inf, "is_good": True}) == {
        "report.accuracy": 0.9,
        "report.great.f1-score": 1.0,
    }
    assert gates.metric_values({"metrics": {"accuracy": 0.8}}) == {"accuracy": 0.8}
    # One that measured nothing must not be taken for one that did.
    assert gates.metric_values({"metrics": {"auc": {"value": math.nan, "deviation": 0.1}}, "rows": 9}) == {}


def test_a_champion_that_could_not_be_scored_fails_what_compares_and_nothing_else() -> None:
    texts = ["metrics.accuracy.value >= 0.5", "metrics.accuracy.value not_worse_than champion"]
    verdict = gates.judge(texts, evaluation(0.9), Champion(None, unscored="no such image"))
    assert [result.passed for result in verdict.results] == [True, False]
    assert verdict.reasons == (f"{texts[1]}: the champion could not be scored: no such image",)


def test_a_champion_that_is_passed_over_fails_nothing_and_limits_still_hold() -> None:
    texts = ["metrics.accuracy.value >= 0.5", "metrics.accuracy.value better_than champion"]
    passed_over = Champion(None, passed_over="pushed with --replace-champion")
    assert gates.judge(texts, evaluation(0.6), passed_over).passed
    assert gates.judge(texts, evaluation(0.6), passed_over).results[1].reason == (
        "the champion was pushed with --replace-champion, so nothing was compared"
    )
    assert not gates.judge(texts, evaluation(0.4), passed_over).passed


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ('report."weighted avg".f1-score', ("report", "weighted avg", "f1-score")),
        ("report.'weighted avg'.value", ("report", "weighted avg", "value")),
        ('"precision@0.5"', ("precision@0.5",)),
        ("\"a 'b'\".c", ("a 'b'", "c")),
        ("metrics.accuracy.value", ("metrics", "accuracy", "value")),
    ],
)
def test_a_key_of_any_name_is_quoted(path: str, keys: tuple[str, ...]) -> None:
    evaluation: Any = 0.5
    for key in reversed(keys):
        evaluation = {key: evaluation}
    for relation, passes in ((">= 0.5", True), ("> 0.5", False), ("not_worse_than champion by 0.1", True)):
        verdict = gates.judge([f"{path} {relation}"], evaluation, None)
        assert verdict.passed is passes
    assert gate_syntax.parse(f"{path} better_than champion").path == keys


def test_a_missing_key_is_spelt_as_a_gate_names_it() -> None:
    gate = 'report."weighted avg".f1 >= 0.5'
    assert gates.judge([gate], {"report": {}}, None).reasons == (
        f'{gate}: the candidate\'s metric report."weighted avg".f1 is missing: report has nothing',
    )


@pytest.mark.parametrize("text", ["report.weighted avg.f1 >= 0.5", 'a."b >= 0.5', 'a."" >= 0.5', 'a"b" >= 1'])
def test_a_key_that_is_not_quoted_as_it_must_be_is_refused(text: str) -> None:
    with pytest.raises(gate_syntax.GateSyntaxError):
        gate_syntax.parse(text)
    with pytest.raises(gate_syntax.GateSyntaxError, match="a key with spaces, dots or other signs is quoted"):
        gate_syntax.parse("report.weighted avg.f1 >= 0.5")


@pytest.mark.parametrize(
    ("text", "column", "expected", "nearest"),
    [
        (
            "metrics.acuracy better_than champion with confidence 0.9",
            1,
            "a metric that is computed",
            "accuracy",
        ),
        ("a.auc better_than champion with", 32, "'confidence'", None),
        ("a.auc better_than champion with confidence", 43, "a number above 0.5", None),
        ("a.auc better_than champion with confidence 95", 44, "a number above 0.5", None),
        ("a.auc better_than champion wiht confidence 0.9", 28, "'by', 'lower_is_better'", "with"),
        ("a.auc not_worse_than champion with confidence 0.9", 30, "'by' and a number above 0", None),
        (
            "a.auc better_than champion with confidence 0.9 lower_is_better",
            48,
            "nothing more, as of auc",
            None,
        ),
        ("for category: recall >= 1", 5, "'each'", None),
        ("for each a.b: recall >= 1", 10, "a column of the predictions", None),
        ("for each category with m >= 3: recall >= 1", 24, "'n >='", None),
        ("for each category with n > 3: recall >= 1", 26, "'>='", ">="),
        ("for each category with n >= 0: recall >= 1", 29, "a number of rows", None),
        ("for each category recall >= 1", 19, "'with n >='", None),
        ("for each category: recal >= 1", 20, "a metric that is computed", "recall"),
        ("for each category: bias.DI >= 1", 20, "a metric that is computed", None),
        ("predictions.f2 >= 1", 1, "a metric that is computed", None),
        ("bias.DPL within 1", 1, "one of bias.DPPL", "bias.DPPL"),
        ("bias.DPPL within -1", 18, "a number of at least 0", None),
        ("bias.DPPL better_than champion", 11, "one of >=", None),
        ("metrics.f1.value within 1", 18, "one of >=", None),
        ("model.size <= 1", 1, "one of model.size_mb", "model.size_mb"),
        ("latency.p90_ms <= 1", 1, "one of latency.p50_ms", "latency.p99_ms"),
    ],
)
def test_a_gate_on_what_was_measured_that_cannot_be_read_says_where(
    text: str, column: int, expected: str, nearest: str | None
) -> None:
    with pytest.raises(gate_syntax.GateSyntaxError) as caught:
        gate_syntax.parse(text)
    assert (caught.value.column, caught.value.nearest) == (column, nearest)
    assert caught.value.expected.startswith(expected)


def test_a_gate_in_slices_is_read_into_its_parts() -> None:
    text = "for each 'product group' with n >= 30: metrics.recall.value not_worse_than champion by 0.05"
    gate = gate_syntax.parse(text)
    assert (gate.slice_by, gate.rows_min, gate.source) == ("product group", 30, "predictions")
    assert gate.metric is not None
    assert (gate.metric.name, gate.amount) == ("recall", Decimal("0.05"))
    assert gate_syntax.parse("for each c: f1 >= 1").rows_min == 1


def test_a_first_key_in_quotes_is_a_key_of_evaluation_json() -> None:
    assert gate_syntax.parse('"latency".p99 <= 5').source == "evaluation"
    assert gates.judge(['"bias".x <= 5'], {"bias": {"x": 4}}, None).passed


def test_clarifys_two_names_of_a_metric_are_one() -> None:
    assert gate_syntax.parse("bias.DCA within 1").path == ("bias", "DCAcc")
    assert gate_syntax.parse("bias.DCR.sex within 1").path == ("bias", "DCRej", "sex")
