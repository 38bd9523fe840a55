"""Convert PutMetricAlarm, from any protocol or a template, to the record that DescribeAlarms returns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sluice_local.patches.alarms import math
from sluice_local.patches.alarms.evaluation import COMPARISON_OPERATORS, period_s, queries
from sluice_local.patches.shapes import coerce, input_shape

_STATE = (
    "StateValue",
    "StateReason",
    "StateReasonData",
    "StateUpdatedTimestamp",
    "StateTransitionedTimestamp",
)
_EXTENDED_STATISTIC = re.compile(r"p(\d{1,2}(\.\d+)?|100)")
_BASIC_STATISTICS = frozenset({"SampleCount", "Average", "Sum", "Minimum", "Maximum"})
_TREATMENTS = frozenset({"missing", "ignore", "breaching", "notBreaching"})
_MAX_RANGE_S = 86_400


class InvalidAlarmError(ValueError):
    """An alarm that CloudWatch would refuse with a ValidationError."""


def metric_alarm(
    name: str, members: Mapping[str, Any], arn: str, existing: Mapping[str, Any] | None, now: float
) -> dict[str, Any]:
    """Make the alarm to store; an existing one keeps its state. Raises `InvalidAlarmError`."""
    stated = coerce({**members, "AlarmName": name}, input_shape("cloudwatch", "PutMetricAlarm"))
    stated.pop("Tags", None)
    alarm: dict[str, Any] = {
        "ActionsEnabled": True,
        "OKActions": [],
        "AlarmActions": [],
        "InsufficientDataActions": [],
        **({} if stated.get("Metrics") else {"Dimensions": []}),
        **stated,
        "AlarmArn": arn,
        "AlarmConfigurationUpdatedTimestamp": now,
        "StateValue": "INSUFFICIENT_DATA",
        "StateReason": "Unchecked: Initial alarm creation",
        "StateUpdatedTimestamp": now,
        "StateTransitionedTimestamp": now,
    }
    _validate(alarm)
    return alarm | {key: existing[key] for key in _STATE if existing and key in existing}


def from_query(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nested members of a form-encoded request: `Dimensions.member.1.Name` and so on."""
    nested: dict[str, Any] = {}
    for path, value in params.items():
        target, (*parents, last) = nested, path.split(".")
        for part in parents:
            target = target.setdefault(part, {})
        target[last] = value[0] if isinstance(value, list) else value
    return nested


def _validate(alarm: Mapping[str, Any]) -> None:
    _require(bool(alarm["AlarmName"]), "AlarmName is required")
    _require(
        alarm.get("ComparisonOperator") in COMPARISON_OPERATORS,
        f"ComparisonOperator must be one of {', '.join(sorted(COMPARISON_OPERATORS))}",
    )
    _require("Threshold" in alarm, "Threshold is required")
    _require(alarm.get("EvaluationPeriods", 0) >= 1, "EvaluationPeriods must be at least 1")
    _require(
        1 <= alarm.get("DatapointsToAlarm", 1) <= alarm["EvaluationPeriods"],
        "DatapointsToAlarm must be between 1 and EvaluationPeriods",
    )
    _require(
        alarm.get("TreatMissingData", "missing") in _TREATMENTS,
        f"TreatMissingData must be one of {', '.join(sorted(_TREATMENTS))}",
    )
    _require(
        bool(alarm.get("MetricName")) != bool(alarm.get("Metrics")),
        "Specify either MetricName, with Namespace, or Metrics",
    )
    if alarm.get("Metrics"):
        _validate_queries(alarm["Metrics"])
    else:
        _validate_metric(alarm)
    _validate_periods(alarm)


def _validate_metric(alarm: Mapping[str, Any]) -> None:
    _require(bool(alarm.get("Namespace")), "Namespace is required")
    _require("Period" in alarm, "Period is required")
    _require(
        ("Statistic" in alarm) != ("ExtendedStatistic" in alarm),
        "Specify either Statistic or ExtendedStatistic",
    )
    _validate_statistic(alarm.get("Statistic") or alarm["ExtendedStatistic"])


def _validate_queries(metric_queries: list[dict[str, Any]]) -> None:
    ids = [query.get("Id", "") for query in metric_queries]
    _require(all(re.fullmatch(r"[a-z]\w*", each) for each in ids), "An Id starts with a lower-case letter")
    _require(len(set(ids)) == len(ids), "The Ids of Metrics must be unique")
    returned = [query for query in metric_queries if query.get("ReturnData", True)]
    _require(len(returned) == 1, "Exactly one element of Metrics must have ReturnData true")
    for query in metric_queries:
        _require(
            ("MetricStat" in query) != ("Expression" in query), "Specify either MetricStat or Expression"
        )
        if "Expression" in query:
            _validate_expression(query["Expression"], set(ids))
        else:
            _validate_statistic(query["MetricStat"]["Stat"])


def _validate_expression(text: str, ids: set[str]) -> None:
    try:
        unknown = math.parse(text).references - ids
    except math.MetricMathError as error:
        raise InvalidAlarmError(f"Invalid metrics list: error in expression '{text}': {error}") from None
    _require(not unknown, f"Invalid metrics list: unmatched references {sorted(unknown)} in '{text}'")


def _validate_statistic(statistic: str) -> None:
    _require(
        statistic in _BASIC_STATISTICS or bool(_EXTENDED_STATISTIC.fullmatch(statistic)),
        f"The statistic {statistic} is not supported",
    )


def _validate_periods(alarm: Mapping[str, Any]) -> None:
    for query in queries(alarm):
        period = query.get("MetricStat", query).get("Period", 60)
        _require(
            period in (10, 20, 30) or (period > 0 and period % 60 == 0),
            f"Period {period} must be 10, 20, 30 or a multiple of 60",
        )
    limit = _MAX_RANGE_S if period_s(alarm) < 3600 else 7 * _MAX_RANGE_S
    _require(
        period_s(alarm) * alarm["EvaluationPeriods"] <= limit,
        f"EvaluationPeriods * Period must be at most {limit} seconds",
    )


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InvalidAlarmError(message)
