"""Decide a metric alarm's state from its datapoints, as the CloudWatch user guide documents. Pure."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sluice_local.patches.alarms import math
from sluice_local.patches.alarms.math import MetricMathError, Scope, Series

AlarmState = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]

# Periods before EvaluationPeriods that count before missing data is treated; AWS's tables show two.
_EXTRA_PERIODS = 2
_COMPARISONS = {
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
COMPARISON_OPERATORS = frozenset(_COMPARISONS)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The state that an alarm should have, and CloudWatch's reason."""

    state: AlarmState
    reason: str
    reason_data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Datapoint:
    """A period's value; `age` counts periods back from the open one."""

    age: int
    at: int
    value: float
    breaching: bool


def queries(alarm: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the alarm's metric data queries; an alarm on a single metric has one."""
    if alarm.get("Metrics"):
        return list(alarm["Metrics"])
    metric = {key: alarm[key] for key in ("Namespace", "MetricName", "Dimensions") if alarm.get(key)}
    stat = {
        "Metric": metric,
        "Period": alarm["Period"],
        "Stat": alarm.get("Statistic") or alarm.get("ExtendedStatistic"),
    }
    if alarm.get("Unit"):
        stat["Unit"] = alarm["Unit"]
    return [{"Id": "m1", "MetricStat": stat, "ReturnData": True}]


def period_s(alarm: Mapping[str, Any]) -> int:
    """Return the length of a period in seconds: the longest of the queries'."""
    stated = (query.get("MetricStat", query).get("Period") for query in queries(alarm))
    return max((int(period) for period in stated if period), default=60)


def timeline(alarm: Mapping[str, Any], now: float) -> list[int]:
    """Return the starts of the periods in the evaluation range, oldest first; the open period is the last."""
    period = period_s(alarm)
    newest = int(now // period) * period
    return [newest - age * period for age in reversed(range(alarm["EvaluationPeriods"] + _EXTRA_PERIODS))]


def evaluate(alarm: Mapping[str, Any], datapoints: Mapping[str, Series], now: float) -> Evaluation:
    """Return the state of `alarm` (a PutMetricAlarm request, with its StateValue) at `now`.

    `datapoints` has, by query id and start of the period, the statistic of each period with data.
    """
    moments = timeline(alarm, now)
    try:
        series = _returned_series(queries(alarm), datapoints, moments, period_s(alarm))
    except MetricMathError as error:
        return Evaluation("INSUFFICIENT_DATA", f"Failed to evaluate the alarm: {error}", {})
    breaches, _ = _COMPARISONS[alarm["ComparisonOperator"]]
    known = [
        Datapoint(age, at, series[at], breaches(series[at], alarm["Threshold"]))
        for age, at in enumerate(reversed(moments))
        if at in series
    ]
    state = _state(alarm, known)
    evaluated = known[: alarm["EvaluationPeriods"]]
    return Evaluation(state, _reason(alarm, state, evaluated), _reason_data(alarm, evaluated, moments, now))


def _returned_series(
    metric_queries: Sequence[Mapping[str, Any]],
    datapoints: Mapping[str, Series],
    moments: Sequence[int],
    period: int,
) -> Series:
    """Return the series of the query with ReturnData."""
    returned = next(query["Id"] for query in metric_queries if query.get("ReturnData", True))
    return computed(returned, metric_queries, datapoints, moments, period)


def computed(
    wanted: str,
    metric_queries: Sequence[Mapping[str, Any]],
    datapoints: Mapping[str, Series],
    moments: Sequence[int],
    period: int,
) -> Series:
    """Return the series of a query, computing the expressions it needs; raises MetricMathError."""
    by_id = {query["Id"]: query for query in metric_queries}
    resolving: set[str] = set()

    def resolve(name: str) -> Series:
        if name not in by_id:
            raise MetricMathError(f"there is no metric or expression {name}")
        if "Expression" not in by_id[name]:
            return datapoints.get(name, {})
        if name in resolving:
            raise MetricMathError(f"the expression {name} refers to itself")
        resolving.add(name)
        expression = math.parse(by_id[name]["Expression"])
        values = {reference: resolve(reference) for reference in expression.references}
        resolving.discard(name)
        return expression.compute(Scope(values, moments, period))

    return resolve(wanted)


def _state(alarm: Mapping[str, Any], known: Sequence[Datapoint]) -> AlarmState:
    """Decide the state; `known` is newest first. Missing data matter only if too few datapoints exist."""
    evaluated = alarm["EvaluationPeriods"]
    needed = alarm.get("DatapointsToAlarm") or evaluated
    breaching = sum(point.breaching for point in known[:evaluated])
    missing = max(evaluated - len(known), 0)
    treatment = alarm.get("TreatMissingData") or "missing"
    if treatment == "breaching":
        breaching += missing
    if breaching >= needed:
        return "ALARM"
    if not missing or treatment in ("breaching", "notBreaching"):
        return "OK"
    return _state_despite_missing(alarm["StateValue"], treatment, known, needed)


def _state_despite_missing(
    current: AlarmState, treatment: str, known: Sequence[Datapoint], needed: int
) -> AlarmState:
    """Decide for `missing` and `ignore`, if the existing datapoints do not suffice for an ALARM."""
    if any(not point.breaching for point in known):
        return "OK"
    if treatment == "ignore":
        return current
    if not known:
        return "INSUFFICIENT_DATA"
    # A breach as old as DatapointsToAlarm, with none better since, counts; a newer one not yet.
    return "ALARM" if known[-1].age + 1 >= needed else "OK"


def _reason(alarm: Mapping[str, Any], state: AlarmState, evaluated: Sequence[Datapoint]) -> str:
    periods = alarm["EvaluationPeriods"]
    missing = periods - len(evaluated)
    if state == "INSUFFICIENT_DATA":
        return f"Insufficient Data: {_datapoints(missing)} {_were(missing)} unknown."
    if not evaluated:
        treatment = str(alarm.get("TreatMissingData"))
        return (
            f"Threshold Crossed: no datapoints were received for {periods} period{'s' * (periods != 1)} and "
            f"{missing} missing datapoint{'s' * (missing != 1)} {_were(missing)} treated as "
            f"[{treatment[0].upper()}{treatment[1:]}]."
        )
    needed = alarm.get("DatapointsToAlarm") or periods
    counted = [point for point in evaluated if point.breaching == (state == "ALARM")] or list(evaluated)
    transition, minimum = (
        ("OK -> ALARM", needed) if state == "ALARM" else ("ALARM -> OK", periods - needed + 1)
    )
    values = ", ".join(f"{point.value} ({_day_time(point.at)})" for point in counted)
    comparison = _COMPARISONS[alarm["ComparisonOperator"]][1]
    return (
        f"Threshold Crossed: {len(counted)} out of the last {_datapoints(periods)} [{values}] "
        f"{_were(len(counted))} {'' if state == 'ALARM' else 'not '}{comparison} the threshold "
        f"({float(alarm['Threshold'])}) (minimum {_datapoints(minimum)} for {transition} transition)."
    )


def _reason_data(
    alarm: Mapping[str, Any], evaluated: Sequence[Datapoint], moments: Sequence[int], now: float
) -> dict[str, Any]:
    data = {
        "version": "1.0",
        "queryDate": iso_timestamp(now),
        "startDate": iso_timestamp(min((point.at for point in evaluated), default=moments[0])),
        "unit": alarm.get("Unit"),
        "statistic": alarm.get("Statistic") or alarm.get("ExtendedStatistic"),
        "period": period_s(alarm),
        "recentDatapoints": [point.value for point in reversed(evaluated)],
        "threshold": float(alarm["Threshold"]),
        "evaluatedDatapoints": [{"timestamp": iso_timestamp(p.at), "value": p.value} for p in evaluated],
    }
    return {key: value for key, value in data.items() if value is not None}


def iso_timestamp(epoch_s: float) -> str:
    """Write a time as CloudWatch does in events and reasons: milliseconds, offset without a colon."""
    moment = datetime.fromtimestamp(epoch_s, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"


def _datapoints(count: int) -> str:
    return f"{count} datapoint{'s' * (count != 1)}"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _day_time(epoch_s: int) -> str:
    return f"{datetime.fromtimestamp(epoch_s, UTC):%d/%m/%y %H:%M:%S}"
