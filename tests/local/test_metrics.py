"""CloudWatch metrics: what can be put, and what statistics say of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sluice_local.cloud import LocalCloud

DIMENSIONS = [{"Name": "Kind", "Value": "one"}]


def statistics(
    cloud: LocalCloud, namespace: str, wanted: dict[str, list[str]] | None = None, **members: Any
) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    found = cloud.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName="Size",
        StartTime=now - timedelta(minutes=30),
        EndTime=now + timedelta(minutes=1),
        Period=3600,
        **(wanted or {"Statistics": ["Sum"]}),
        **members,
    )
    return list(found["Datapoints"])


@pytest.fixture
def namespace(cloud: LocalCloud, unique: Callable[[str], str]) -> str:
    """A namespace whose metric has data in two units, and data of other dimensions."""
    name = unique("Metrics")
    data = [
        {"MetricName": "Size", "Value": 1, "Unit": "Seconds"},
        {"MetricName": "Size", "Value": 2, "Unit": "Seconds"},
        {"MetricName": "Size", "Value": 10, "Unit": "Bytes"},
        {"MetricName": "Size", "Value": 100, "Dimensions": DIMENSIONS},
    ]
    cloud.client("cloudwatch").put_metric_data(Namespace=name, MetricData=data)
    return name


def test_statistics_of_a_unit_are_those_of_its_data(cloud: LocalCloud, namespace: str) -> None:
    for unit, total in (("Seconds", 3), ("Bytes", 10)):
        (datapoint,) = statistics(cloud, namespace, Unit=unit)
        assert (datapoint["Unit"], datapoint["Sum"]) == (unit, total)
    assert statistics(cloud, namespace, Unit="Percent") == []


def test_units_are_not_added_up(cloud: LocalCloud, namespace: str) -> None:
    found = statistics(cloud, namespace)
    assert {each["Unit"]: each["Sum"] for each in found} == {"Seconds": 3, "Bytes": 10}


def test_statistics_are_of_the_very_dimensions(cloud: LocalCloud, namespace: str) -> None:
    (datapoint,) = statistics(cloud, namespace, Dimensions=DIMENSIONS)
    assert datapoint["Sum"] == 100


def test_percentiles_are_extended_statistics(cloud: LocalCloud, namespace: str) -> None:
    (datapoint,) = statistics(cloud, namespace, {"ExtendedStatistics": ["p50"]}, Unit="Seconds")
    assert 1 <= datapoint["ExtendedStatistics"]["p50"] <= 2
    assert "Sum" not in datapoint


@pytest.mark.parametrize(
    ("datum", "code", "message"),
    [
        ({"Value": float("nan")}, "InvalidParameterValue", "MetricData.member.2.Value"),
        ({"Value": float("inf")}, "InvalidParameterValue", "MetricData.member.2.Value"),
        ({"Value": 2.0**361}, "InvalidParameterValue", "MetricData.member.2.Value"),
        ({"Values": [1.0, float("nan")]}, "InvalidParameterValue", "MetricData.member.2.Values.member.2"),
        ({"Values": [1.0, 2.0], "Counts": [1.0]}, "InvalidParameterValue", "the same size"),
        ({"Values": [1.0] * 151}, "InvalidParameterValue", "greater than 150"),
        ({}, "MissingParameter", "MetricData.member.2.StatisticValues"),
        ({"Value": 1, "Values": [1.0]}, "InvalidParameterCombination", "mutually exclusive"),
        ({"Value": 1, "Unit": "Parsecs"}, "InvalidParameterValue", "MetricData.member.2.Unit"),
        (
            {"Value": 1, "Timestamp": -15 * 86_400},
            "InvalidParameterValue",
            "two weeks in the past",
        ),
        (
            {"Value": 1, "Timestamp": 3 * 3600},
            "InvalidParameterValue",
            "two hours in the future",
        ),
        (
            {"Value": 1, "Dimensions": [{"Name": f"d{number}", "Value": "x"} for number in range(31)]},
            "InvalidParameterValue",
            "MetricData.member.2.Dimensions must not have a size greater than 30",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cloudwatch_refuses_is_refused_as_a_whole(
    cloud: LocalCloud, unique: Callable[[str], str], datum: dict[str, Any], code: str, message: str
) -> None:
    client, name = cloud.client("cloudwatch"), unique("Refused")
    if "Timestamp" in datum:
        datum = {**datum, "Timestamp": time.time() + datum["Timestamp"]}
    with pytest.raises(client.exceptions.ClientError) as refused:
        client.put_metric_data(
            Namespace=name, MetricData=[{"MetricName": "Size", "Value": 1}, {"MetricName": "Size", **datum}]
        )
    assert refused.value.response["Error"]["Code"] == code
    assert message in refused.value.response["Error"]["Message"]
    assert statistics(cloud, name) == []


def test_a_thousand_data_are_the_most_of_a_request(cloud: LocalCloud, unique: Callable[[str], str]) -> None:
    client, data = cloud.client("cloudwatch"), [{"MetricName": "Size", "Value": 1}] * 1001
    with pytest.raises(client.exceptions.ClientError, match="greater than 1000"):
        client.put_metric_data(Namespace=unique("Many"), MetricData=data)
