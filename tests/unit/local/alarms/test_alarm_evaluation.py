"""An alarm's state from its datapoints: the tables of the CloudWatch user guide, row by row."""

from __future__ import annotations

from typing import Any

import pytest

from sluice_local.patches.alarms.evaluation import Evaluation, evaluate, queries, timeline

NOW = 1_772_359_230.0  # 2026-03-01T10:00:30Z, in the middle of a minute
NEWEST = 1_772_359_200
LEVELS = {"0": 0.0, "X": 9.0}


def alarm(**members: Any) -> dict[str, Any]:
    return {
        "Namespace": "Demo",
        "MetricName": "Errors",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 3,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "StateValue": "OK",
        **members,
    }


def judge(pattern: str, **members: Any) -> Evaluation:
    """`pattern` as in the guide: oldest first, 0 within the threshold, X breaching, - missing."""
    symbols = pattern.split()
    starts = [NEWEST - 60 * age for age in reversed(range(len(symbols)))]
    data = {at: LEVELS[symbol] for at, symbol in zip(starts, symbols, strict=True) if symbol != "-"}
    return evaluate(alarm(**members), {"m1": data}, NOW)


@pytest.mark.parametrize(
    ("pattern", "missing", "ignore", "breaching", "not_breaching"),
    [
        ("0 - X - X", "OK", "OK", "OK", "OK"),
        ("0 - - - -", "OK", "OK", "OK", "OK"),
        ("- - - - -", "INSUFFICIENT_DATA", None, "ALARM", "OK"),
        ("0 X X - X", "ALARM", "ALARM", "ALARM", "ALARM"),
        ("- - X - -", "ALARM", None, "ALARM", "OK"),
        ("- - - - X", "OK", None, "ALARM", "OK"),
    ],
)
@pytest.mark.parametrize("current", ["OK", "ALARM", "INSUFFICIENT_DATA"])
def test_three_of_three_treats_missing_data_as_the_guide_says(
    pattern: str, missing: str, ignore: str | None, breaching: str, not_breaching: str, current: str
) -> None:
    states = {
        treatment: judge(pattern, TreatMissingData=treatment, StateValue=current).state
        for treatment in ("missing", "ignore", "breaching", "notBreaching")
    }
    assert states == {
        "missing": missing,
        "ignore": ignore or current,
        "breaching": breaching,
        "notBreaching": not_breaching,
    }


@pytest.mark.parametrize(
    ("pattern", "missing", "ignore", "breaching", "not_breaching"),
    [
        ("0 - X - X", "ALARM", "ALARM", "ALARM", "ALARM"),
        ("0 0 X 0 X", "ALARM", "ALARM", "ALARM", "ALARM"),
        ("0 - X - -", "OK", "OK", "ALARM", "OK"),
        ("- - - - 0", "OK", "OK", "ALARM", "OK"),
        ("- - - X -", "ALARM", None, "ALARM", "OK"),
    ],
)
def test_two_of_three_treats_missing_data_as_the_guide_says(
    pattern: str, missing: str, ignore: str | None, breaching: str, not_breaching: str
) -> None:
    states = {
        treatment: judge(pattern, TreatMissingData=treatment, DatapointsToAlarm=2, StateValue="OK").state
        for treatment in ("missing", "ignore", "breaching", "notBreaching")
    }
    assert states == {
        "missing": missing,
        "ignore": ignore or "OK",
        "breaching": breaching,
        "notBreaching": not_breaching,
    }


def test_missing_data_is_missing_unless_the_alarm_says_otherwise() -> None:
    assert judge("- - - - -").state == "INSUFFICIENT_DATA"


@pytest.mark.parametrize(
    ("comparison", "at_threshold"),
    [
        ("GreaterThanThreshold", "OK"),
        ("GreaterThanOrEqualToThreshold", "ALARM"),
        ("LessThanThreshold", "OK"),
        ("LessThanOrEqualToThreshold", "ALARM"),
    ],
)
def test_the_threshold_itself_breaches_only_where_equality_is_named(
    comparison: str, at_threshold: str
) -> None:
    verdict = evaluate(alarm(EvaluationPeriods=1, ComparisonOperator=comparison), {"m1": {NEWEST: 1.0}}, NOW)
    assert verdict.state == at_threshold


def test_the_open_period_counts() -> None:
    assert judge("0 0 X", EvaluationPeriods=1).state == "ALARM"


def test_data_older_than_the_evaluation_range_does_not_count() -> None:
    assert judge("X - - -", EvaluationPeriods=1).state == "INSUFFICIENT_DATA"
    assert judge("X - -", EvaluationPeriods=1).state == "ALARM"


def test_the_range_is_aligned_to_the_period() -> None:
    assert timeline(alarm(EvaluationPeriods=1), NOW) == [NEWEST - 120, NEWEST - 60, NEWEST]


def test_the_reason_of_an_alarm_names_datapoints_and_threshold() -> None:
    assert judge("X", EvaluationPeriods=1).reason == (
        "Threshold Crossed: 1 out of the last 1 datapoint [9.0 (01/03/26 10:00:00)] was greater than the "
        "threshold (1.0) (minimum 1 datapoint for OK -> ALARM transition)."
    )


def test_the_reason_of_ok_names_what_did_not_breach() -> None:
    reason = judge("0 X 0", DatapointsToAlarm=2).reason
    assert "2 out of the last 3 datapoints" in reason
    assert "were not greater than the threshold" in reason
    assert "(minimum 2 datapoints for ALARM -> OK transition)" in reason


def test_the_reason_says_how_missing_data_was_treated() -> None:
    assert judge("- - -", TreatMissingData="notBreaching").reason == (
        "Threshold Crossed: no datapoints were received for 3 periods and "
        "3 missing datapoints were treated as [NotBreaching]."
    )
    assert judge("- - -").reason == "Insufficient Data: 3 datapoints were unknown."


def test_the_reason_data_holds_what_was_evaluated() -> None:
    assert judge("0 X", EvaluationPeriods=2).reason_data == {
        "version": "1.0",
        "queryDate": "2026-03-01T10:00:30.000+0000",
        "startDate": "2026-03-01T09:59:00.000+0000",
        "statistic": "Sum",
        "period": 60,
        "recentDatapoints": [0.0, 9.0],
        "threshold": 1.0,
        "evaluatedDatapoints": [
            {"timestamp": "2026-03-01T10:00:00.000+0000", "value": 9.0},
            {"timestamp": "2026-03-01T09:59:00.000+0000", "value": 0.0},
        ],
    }


def math_alarm(*expressions: tuple[str, str], **members: Any) -> dict[str, Any]:
    metrics = [
        {"Id": name, "MetricStat": {"Metric": {}, "Period": 60, "Stat": "Sum"}, "ReturnData": False}
        for name in ("errors", "requests")
    ]
    steps = [
        {"Id": name, "Expression": text, "ReturnData": name == expressions[-1][0]}
        for name, text in expressions
    ]
    return alarm(Metrics=metrics + steps, EvaluationPeriods=1, Threshold=0.05, **members)


def test_metric_math_is_evaluated_through_the_expressions_it_stands_on() -> None:
    spec = math_alarm(("rate", "errors / requests"), ("shown", "IF(requests > 9, rate, 0)"))
    data = {"errors": {NEWEST: 2.0}, "requests": {NEWEST: 20.0}}
    assert evaluate(spec, data, NOW).state == "ALARM"
    assert evaluate(spec, data | {"requests": {NEWEST: 9.0}}, NOW).state == "OK"


def test_a_filled_metric_is_never_missing() -> None:
    spec = math_alarm(("shown", "FILL(errors, 0)"))
    assert evaluate(spec, {}, NOW).state == "OK"


def test_an_expression_that_stands_on_itself_is_insufficient_data_with_the_reason() -> None:
    verdict = evaluate(math_alarm(("shown", "shown + 1")), {}, NOW)
    assert verdict.state == "INSUFFICIENT_DATA"
    assert "refers to itself" in verdict.reason


def test_a_percentile_alarm_asks_for_its_extended_statistic() -> None:
    spec = alarm(ExtendedStatistic="p99", Dimensions=[{"Name": "EndpointName", "Value": "e"}])
    del spec["Statistic"]
    (query,) = queries(spec)
    assert query["MetricStat"]["Stat"] == "p99"
    assert query["MetricStat"]["Metric"]["Dimensions"] == [{"Name": "EndpointName", "Value": "e"}]
