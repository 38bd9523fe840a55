"""A model that fails makes each alarm that we accept fire before its bake ends, as AWS delivers metrics.

The endpoint's requests are simulated second by second; a minute's metrics are known a minute after its end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from sluice.domain import cloudwatch
from sluice.domain.config.models import Alarms
from sluice.domain.release import alarms
from sluice_local.patches.alarms.evaluation import evaluate
from sluice_local.sagemaker.hosting import serving_metrics

GUARDED = alarms.Guarded("sluice", "reviews", "production", "sluice--reviews--production")
LIMITS = Alarms(error_rate=0.05, p99_latency_ms=500, min_requests=50)
ERROR_RATE, P99_LATENCY = GUARDED.alarm_names
REQUESTS_PER_S = 20
MINUTE_S, LATE_S = cloudwatch.DELIVERED_EVERY_S, cloudwatch.DELIVERED_LATE_S
SHIFT_AT_S = 600

# What a model answers so many seconds after it got traffic: a status, and milliseconds.
Model = Callable[[int], tuple[int, float]]


def healthy(_: int) -> tuple[int, float]:
    return 200, 20


def fails(_: int) -> tuple[int, float]:
    return 500, 20


def is_slow(_: int) -> tuple[int, float]:
    return 200, 900


def expects_another_schema(_: int) -> tuple[int, float]:
    """Its script raises where a column is missing."""
    return 500, 2


def leaks(age_s: int) -> tuple[int, float]:
    """It grows slower, as its memory fills, and is killed in the end."""
    return (0, 60_000) if age_s >= 170 else (200, 20 + 12 * age_s)


def blames_the_client(_: int) -> tuple[int, float]:
    return 400, 2


def known_values(
    model: Model, share: float, shift_at_s: int, until_s: int
) -> dict[str, dict[int, list[float]]]:
    """The values of each metric by minute, of the old model and a share of the traffic for a new one."""
    found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for second in range(shift_at_s - 300, until_s):
        for request in range(REQUESTS_PER_S):
            is_new = second >= shift_at_s and request < share * REQUESTS_PER_S
            status, latency_ms = model(second - shift_at_s) if is_new else healthy(0)
            for metric, value in serving_metrics.values(status, latency_ms * 1000, 1, 2).items():
                found[metric][second // MINUTE_S * MINUTE_S].append(value)
    return found


def statistic(values: list[float], stat: str) -> float:
    return sum(values) if stat == "Sum" else sorted(values)[round(0.99 * len(values)) - 1]


def fires_after(
    request: dict[str, Any], model: Model, share: float, phase_s: int, until_s: int
) -> int | None:
    """The seconds from the shift of traffic to ALARM, or None if there is none within `until_s`."""
    shift_at_s = SHIFT_AT_S + phase_s
    values = known_values(model, share, shift_at_s, shift_at_s + until_s)
    alarm = {**request, "StateValue": "OK"}
    for now in range(shift_at_s, shift_at_s + until_s + 1):
        datapoints = {
            query["Id"]: {
                minute: statistic(seen, query["MetricStat"]["Stat"])
                for minute, seen in values[query["MetricStat"]["Metric"]["MetricName"]].items()
                if minute + MINUTE_S + LATE_S <= now
            }
            for query in request["Metrics"]
            if "MetricStat" in query
        }
        if evaluate(alarm, datapoints, now).state == "ALARM":
            return now - shift_at_s
    return None


def requested(errors: tuple[str, ...] = ("5XX",)) -> dict[str, dict[str, Any]]:
    return {each["AlarmName"]: each for each in alarms.requests(GUARDED, LIMITS, errors)}


@pytest.mark.parametrize("phase_s", [0, 1, 30, 59])
@pytest.mark.parametrize("share", [0.1, 1.0])
@pytest.mark.parametrize(
    ("model", "name"),
    [(fails, ERROR_RATE), (expects_another_schema, ERROR_RATE), (is_slow, P99_LATENCY), (leaks, P99_LATENCY)],
)
def test_a_bad_model_is_noticed_within_the_shortest_bake(
    model: Model, name: str, share: float, phase_s: int
) -> None:
    after_s = fires_after(requested()[name], model, share, phase_s, alarms.SETTLES_S)
    assert after_s is not None
    assert after_s <= alarms.SETTLES_S


@pytest.mark.parametrize("name", [ERROR_RATE, P99_LATENCY])
def test_a_healthy_model_is_left_alone(name: str) -> None:
    assert fires_after(requested()[name], healthy, 1.0, 30, 2 * alarms.SETTLES_S) is None


def test_only_errors_that_the_project_names_are_the_models() -> None:
    until_s = alarms.SETTLES_S
    assert fires_after(requested()[ERROR_RATE], blames_the_client, 1.0, 30, until_s) is None
    named = requested(("4XX", "5XX"))[ERROR_RATE]
    assert fires_after(named, blames_the_client, 1.0, 30, until_s) is not None


def test_a_shorter_bake_would_miss_a_failure_that_began_late_in_a_minute() -> None:
    request, too_short_s = requested()[ERROR_RATE], 140
    noticed = {phase_s: fires_after(request, fails, 0.1, phase_s, too_short_s) for phase_s in (0, 29, 31, 59)}
    assert noticed[0] is not None
    assert noticed[31] is None
