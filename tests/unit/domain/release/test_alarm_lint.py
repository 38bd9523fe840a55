"""An alarm that cannot guard a deployment is told why; those that we make can."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.domain.config.models import Alarms
from sluice.domain.release import alarm_lint, alarms, metric_ranges
from sluice.domain.release.alarm_lint import Guarding

ENDPOINT = "sluice--reviews--production"
GUARDED = alarms.Guarded("sluice", "reviews", "production", ENDPOINT)
CANARY = Guarding(ENDPOINT, 600)
DIMENSIONS = [{"Name": "EndpointName", "Value": ENDPOINT}, {"Name": "VariantName", "Value": "AllTraffic"}]

# As AWS's guide to deployment guardrails shows it, for a canary of 600 s.
AWS_SAMPLE = {
    "AlarmName": "EndToEndDeploymentHighErrorRateAlarm",
    "Namespace": "AWS/SageMaker",
    "MetricName": "Invocation4XXErrors",
    "Statistic": "Average",
    "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanThreshold",
    "Period": 600,
    "EvaluationPeriods": 2,
    "Dimensions": DIMENSIONS,
    "StateValue": "OK",
}


def alarm(**members: Any) -> dict[str, Any]:
    """An alarm that nothing is wrong with, but for these members."""
    sound = {
        "Namespace": "AWS/SageMaker",
        "MetricName": "Invocation5XXErrors",
        "Statistic": "Sum",
        "Threshold": 10.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "Period": 60,
        "EvaluationPeriods": 2,
        "Dimensions": DIMENSIONS,
        "TreatMissingData": "notBreaching",
        "StateValue": "OK",
    }
    return {**sound, **members}


def math(expression: str, **stats: tuple[str, str]) -> dict[str, Any]:
    """An alarm on metric math; `stats` are metrics and statistics by id."""
    queries = [
        {
            "Id": name,
            "ReturnData": False,
            "MetricStat": {
                "Metric": {"Namespace": "AWS/SageMaker", "MetricName": metric, "Dimensions": DIMENSIONS},
                "Period": 60,
                "Stat": stat,
            },
        }
        for name, (metric, stat) in stats.items()
    ]
    made = alarm(Metrics=[{"Id": "judged", "Expression": expression, "ReturnData": True}, *queries])
    return {key: value for key, value in made.items() if key not in ("MetricName", "Statistic", "Period")}


def faults(found: dict[str, Any] | None, guarding: Guarding = CANARY) -> list[str]:
    return alarm_lint.faults("mine", found, guarding)


def test_awss_own_sample_can_never_fire_and_not_in_its_canary() -> None:
    reach, window, sample, missing = faults(AWS_SAMPLE)
    assert reach == "the alarm mine can never fire: it fires above 1, but what it watches is from 0 to 1"
    assert "needs 2 x 600 s of a failure" in window
    assert "a bake lasts 600 s: it cannot fire in time" in window
    assert "judges Average of Invocation4XXErrors however few requests" in sample
    assert "TreatMissingData" in missing


def test_a_sound_alarm_has_no_fault() -> None:
    assert faults(alarm()) == []


@pytest.mark.parametrize("errors", [["5XX"], ["4XX", "5XX"]])
@given(st.floats(0.0001, 0.9999), st.integers(1, 59_999), st.integers(2, 10_000))
def test_every_alarm_that_we_make_can_fire_in_the_shortest_bake_that_we_accept(
    errors: list[str], error_rate: float, latency_ms: int, min_requests: int
) -> None:
    limits = Alarms(error_rate=error_rate, p99_latency_ms=latency_ms, min_requests=min_requests)
    for request in alarms.requests(GUARDED, limits, errors):
        assert faults({**request, "StateValue": "OK"}, Guarding(ENDPOINT, alarms.SETTLES_S)) == []


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"ExtendedStatistic": "p99", "Statistic": None, "EvaluateLowSampleCountPercentile": "ignore",
          "MetricName": "ModelLatency", "Threshold": 6e7},
         "can never fire: it fires above 6e+07"),
        ({"ComparisonOperator": "LessThanThreshold", "Threshold": 0}, "can never fire: it fires below 0"),
        ({"ComparisonOperator": "GreaterThanOrEqualToThreshold", "Threshold": 0}, "always fires"),
        ({"Period": 10}, "has a period of 10 s, but SageMaker sends a value every 60 s"),
        ({"Period": 300}, "needs 2 x 300 s"),
        ({"EvaluationPeriods": 60}, "needs 60 x 60 s"),
        ({"Dimensions": DIMENSIONS[:1]}, "without EndpointName and VariantName"),
        ({"Dimensions": [{**DIMENSIONS[0], "Value": "other"}, DIMENSIONS[1]]}, "watches other/AllTraffic"),
        ({"TreatMissingData": "missing"}, "leaves open what no data mean"),
        ({"Statistic": "Average", "Threshold": 0.1}, "judges Average of Invocation5XXErrors"),
        ({"StateValue": "INSUFFICIENT_DATA"}, "may watch what does not exist"),
    ],
)  # fmt: skip
def test_a_fault_is_named(members: dict[str, Any], said: str) -> None:
    (fault,) = faults(alarm(**members))
    assert said in fault


def test_of_a_threshold_that_cloudwatch_learns_no_reach_is_known() -> None:
    learnt = alarm(ComparisonOperator="GreaterThanUpperThreshold", ThresholdMetricId="band", Threshold=None)
    assert not any("fire" in each for each in faults(learnt))


def test_an_expression_that_cannot_be_parsed_has_no_smallest_sample() -> None:
    assert metric_ranges.smallest_sample("IF(n >= 50, e / n, 0)", frozenset({"n"})) == 50
    assert metric_ranges.smallest_sample("IF(n >= 50, e /", frozenset({"n"})) == 0


@pytest.mark.parametrize("text", ["e > 1", "e > 1 and n < 5"])
def test_a_comparison_is_0_or_1(text: str) -> None:
    assert metric_ranges.of_expression(text, {}) == metric_ranges.Range(0, 1)


def test_an_alarm_that_does_not_exist_is_named() -> None:
    assert faults(None) == ["the alarm mine does not exist, or is no metric alarm"]


def test_before_the_first_release_no_alarm_has_data() -> None:
    assert faults(alarm(StateValue="INSUFFICIENT_DATA"), Guarding(ENDPOINT, 600, is_live=False)) == []


def test_of_an_unwatched_bake_no_window_is_asked() -> None:
    assert faults(alarm(Period=3600), Guarding(ENDPOINT, None)) == []


def test_two_of_many_datapoints_are_enough() -> None:
    assert faults(alarm(EvaluationPeriods=60, DatapointsToAlarm=2)) == []


def test_an_alarm_on_a_metric_of_ones_own_is_held_to_its_window_only() -> None:
    own = alarm(Namespace="Shop", MetricName="Refunds", Dimensions=[], Statistic="Average", Threshold=1e9)
    assert faults(own) == []


RATE = {"e": ("Invocation5XXErrors", "Sum"), "n": ("Invocations", "Sum")}


@pytest.mark.parametrize(
    ("expression", "threshold", "said"),
    [
        ("IF(n >= 50, e / n, 0)", 0.05, None),
        ("IF(n > 49, 100 * e / n, 0)", 5, None),
        ("IF(50 <= n, 100*(e/n), 0)", 5, None),
        ("IF(n >= 50, e / n, 0)", 1, "can never fire"),
        ("IF(n >= 50, 100 * (e / n), 0)", 100, "can never fire"),
        ("e / n", 0.05, "however few requests"),
        ("IF(n >= 1, e / n, 0)", 0.05, "however few requests"),
        ("IF(n < 50, e / n, 0)", 0.05, "however few requests"),
        ("IF(n >= 50, 1 - e / n, 1)", -0.5, "always fires"),
    ],
)
def test_metric_math_is_judged_by_what_it_can_be(expression: str, threshold: float, said: str | None) -> None:
    found = faults({**math(expression, **RATE), "Threshold": threshold})
    assert (said in " ".join(found)) if said else found == [], found


@pytest.mark.parametrize("text", ["RATE(e)", "e +", "e[0]", "(" * 500, "IF(e)", "n ^ 2", "SUM([e, n])", ""])
def test_of_what_is_not_understood_any_value_is_possible(text: str) -> None:
    known = {name: metric_ranges.of_metric(*stat) for name, stat in RATE.items()}
    assert metric_ranges.of_expression(text, known) == metric_ranges.ANY


@given(
    st.integers(0, 1000), st.integers(0, 1000),
    st.sampled_from(["e", "n", "e + n", "e - n", "e * n", "-e", "IF(n > 5, e, 1 - n)", "e / (n + 1)"]),
)  # fmt: skip
def test_a_value_is_within_the_range_of_its_expression(errors: int, requests: int, text: str) -> None:
    known = {name: metric_ranges.of_metric(*stat) for name, stat in RATE.items()}
    names = {"e": errors, "n": errors + requests, "IF": lambda when, so, other: so if when else other}
    value = eval(text, {}, names)  # noqa: S307 - the expressions above
    found = metric_ranges.of_expression(text, known)
    assert found.low <= value <= found.high


def test_an_expression_of_expressions_is_followed_and_a_circle_ends() -> None:
    found = math("IF(n >= 50, rate, 0)", **RATE)
    found["Metrics"].append({"Id": "rate", "Expression": "e / n", "ReturnData": False})
    assert faults({**found, "Threshold": 1}) != []
    circle = math("again + 1", **RATE)
    circle["Metrics"].append({"Id": "again", "Expression": "judged", "ReturnData": False})
    assert faults(circle) == []
