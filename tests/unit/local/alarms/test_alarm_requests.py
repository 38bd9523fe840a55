"""PutMetricAlarm from every protocol and from templates becomes one record."""

from __future__ import annotations

from typing import Any

import pytest

from sluice_local.patches.alarms.requests import InvalidAlarmError, from_query, metric_alarm

FORM = {
    "Action": ["PutMetricAlarm"],
    "EvaluationPeriods": ["2"],
    "Threshold": ["0.5"],
    "ActionsEnabled": ["false"],
    "ComparisonOperator": ["GreaterThanThreshold"],
    "AlarmActions.member.1": ["arn:aws:sns:us-east-1:000000000000:topic"],
    "Metrics.member.1.Id": ["m1"],
    "Metrics.member.1.ReturnData": ["false"],
    "Metrics.member.1.MetricStat.Stat": ["Sum"],
    "Metrics.member.1.MetricStat.Period": ["60"],
    "Metrics.member.1.MetricStat.Metric.Namespace": ["Demo"],
    "Metrics.member.1.MetricStat.Metric.MetricName": ["Errors"],
    "Metrics.member.1.MetricStat.Metric.Dimensions.member.1.Name": ["EndpointName"],
    "Metrics.member.1.MetricStat.Metric.Dimensions.member.1.Value": ["e"],
    "Metrics.member.2.Id": ["e1"],
    "Metrics.member.2.Expression": ["m1 / 2"],
}


def record(members: dict[str, Any], existing: dict[str, Any] | None = None) -> dict[str, Any]:
    return metric_alarm("name", members, "arn", existing, now=1.0)


def test_a_form_becomes_typed_members() -> None:
    alarm = record(from_query(FORM))
    assert alarm["EvaluationPeriods"] == 2
    assert alarm["Threshold"] == 0.5
    assert alarm["ActionsEnabled"] is False
    assert alarm["AlarmActions"] == ["arn:aws:sns:us-east-1:000000000000:topic"]
    metric = {
        "Namespace": "Demo",
        "MetricName": "Errors",
        "Dimensions": [{"Name": "EndpointName", "Value": "e"}],
    }
    assert alarm["Metrics"] == [
        {"Id": "m1", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}, "ReturnData": False},
        {"Id": "e1", "Expression": "m1 / 2"},
    ]


def test_members_beyond_the_api_and_tags_are_not_stored() -> None:
    alarm = record({**from_query(FORM), "Tags": [{"Key": "k", "Value": "v"}], "Unknown": 1})
    assert not {"Tags", "Unknown", "Action"} & set(alarm)


def test_an_alarm_that_exists_keeps_its_state_only() -> None:
    existing = {"StateValue": "ALARM", "StateReason": "r", "StateUpdatedTimestamp": 0.5, "Threshold": 9}
    alarm = record(from_query(FORM), existing)
    assert (alarm["StateValue"], alarm["StateReason"], alarm["StateUpdatedTimestamp"]) == ("ALARM", "r", 0.5)
    assert alarm["Threshold"] == 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Metrics.member.2.ReturnData": ["false"]}, "Exactly one element"),
        ({"Metrics.member.1.ReturnData": ["true"]}, "Exactly one element"),
        ({"Metrics.member.2.Id": ["m1"]}, "unique"),
        ({"Metrics.member.2.Id": ["E1"]}, "lower-case"),
        ({"Metrics.member.1.Expression": ["1"]}, "either MetricStat or Expression"),
        ({"MetricName": ["Errors"]}, "either MetricName"),
        ({"Metrics.member.1.MetricStat.Stat": ["median"]}, "not supported"),
        ({"Metrics.member.1.MetricStat.Period": ["3600"], "EvaluationPeriods": ["200"]}, "seconds"),
        ({"Metrics.member.2.Expression": ["m2"]}, "unmatched references"),
    ],
)
def test_an_impossible_alarm_is_refused_with_the_reason(change: dict[str, list[str]], message: str) -> None:
    with pytest.raises(InvalidAlarmError, match=message):
        record(from_query({**FORM, **change}))
