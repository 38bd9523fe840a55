"""The alarms adapter against moto."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from sluice.adapters.alarms import CloudWatchAlarms
from sluice.domain.config.models import Alarms
from sluice.domain.release import alarms as wanted
from sluice.domain.release.alarms import Guarded

GUARDED = Guarded("sluice", "reviews", "production", "sluice--reviews--production")
ERROR_RATE, LATENCY = GUARDED.alarm_names


@pytest.fixture
def cloudwatch() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("cloudwatch")


@pytest.fixture
def alarms(cloudwatch: Any) -> CloudWatchAlarms:
    """With both alarms of an endpoint."""
    adapter = CloudWatchAlarms(cloudwatch)
    for request in wanted.requests(GUARDED, Alarms(p99_latency_ms=500)):
        adapter.put(request)
    return adapter


def test_an_alarm_has_the_tags_of_its_stage(alarms: CloudWatchAlarms, cloudwatch: Any) -> None:
    arn = alarms.describe([ERROR_RATE])[ERROR_RATE]["AlarmArn"]
    tags = cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"]
    assert {tag["Key"] for tag in tags} == {"sluice:stack", "sluice:pipeline", "sluice:stage"}


def test_an_alarm_is_described_with_its_state(alarms: CloudWatchAlarms) -> None:
    described = alarms.describe([ERROR_RATE, "sluice-none"])
    assert list(described) == [ERROR_RATE]
    assert described[ERROR_RATE]["StateValue"] in ("OK", "INSUFFICIENT_DATA")


def test_no_names_are_no_alarms_and_not_all_of_them(alarms: CloudWatchAlarms) -> None:
    assert alarms.describe([]) == {}


def test_what_fires_is_listed_by_the_stacks_prefix_on_all_pages(cloudwatch: Any) -> None:
    """Moto leaves the state aside where a prefix is given."""
    asked = {"AlarmNamePrefix": "sluice-", "StateValue": "ALARM", "AlarmTypes": ["MetricAlarm"]}
    with Stubber(cloudwatch) as stub:
        first = {"MetricAlarms": [{"AlarmName": ERROR_RATE}], "NextToken": "more"}
        stub.add_response("describe_alarms", first, asked)
        second = {"MetricAlarms": [{"AlarmName": LATENCY}]}
        stub.add_response("describe_alarms", second, {**asked, "NextToken": "more"})
        listed = [alarm["AlarmName"] for alarm in CloudWatchAlarms(cloudwatch).firing("sluice-")]
    assert listed == [ERROR_RATE, LATENCY]


def test_alarms_are_deleted_and_unknown_ones_do_not_matter(alarms: CloudWatchAlarms) -> None:
    alarms.delete([LATENCY, "sluice-none"])
    alarms.delete(["sluice-none"])
    assert list(alarms.describe([ERROR_RATE, LATENCY])) == [ERROR_RATE]


HOUR = (datetime(2026, 11, 29, 9, tzinfo=UTC), datetime(2026, 11, 29, 10, tzinfo=UTC))


@pytest.mark.parametrize("of", ["metric math", "a single metric"])
def test_what_an_alarm_judged_is_what_it_asks_of_its_metrics(of: str) -> None:
    cloudwatch = boto3.client("cloudwatch")
    asked = wanted.requests(GUARDED, Alarms())[0]
    queries = asked["Metrics"]
    if of == "a single metric":
        metric = {"Namespace": "AWS/SageMaker", "MetricName": "Invocations", "Dimensions": []}
        asked = {**metric, "Statistic": "Sum", "Period": 60}
        queries = [{"Id": "judged", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}}]
    result = {"Id": "judged", "Timestamps": [HOUR[0]], "Values": [0.25]}
    with Stubber(cloudwatch) as stub:
        expected = {"MetricDataQueries": queries, "StartTime": HOUR[0], "EndTime": HOUR[1]}
        stub.add_response(
            "get_metric_data",
            {"MetricDataResults": [result]},
            {**expected, "ScanBy": "TimestampAscending"},
        )
        assert CloudWatchAlarms(cloudwatch).values(asked, *HOUR) == [(HOUR[0], 0.25)]
