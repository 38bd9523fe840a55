"""SageMaker's own log groups forget when the account says so, and are left alone when it does not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from sluice.adapters.logs import JOB_GROUPS, CloudWatchJobLogs, CloudWatchLogStreams, SageMakerLogs
from sluice.domain.safeguards import Safeguards
from sluice.domain.times import from_iso

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import InputLogEventTypeDef

GROUP = JOB_GROUPS["training_job"]


@pytest.fixture
def logs() -> Iterator[CloudWatchLogsClient]:
    with mock_aws():
        yield boto3.client("logs")


def retention(logs: CloudWatchLogsClient) -> list[int | None]:
    return [group.get("retentionInDays") for group in logs.describe_log_groups()["logGroups"]]


def test_a_group_is_made_or_found_and_forgets(logs: CloudWatchLogsClient) -> None:
    for _ in range(2):
        SageMakerLogs(Safeguards(log_retention_days=14), logs).limit(GROUP)
        assert retention(logs) == [14]
    SageMakerLogs(Safeguards(log_retention_days=30), logs).limit(GROUP)
    assert retention(logs) == [30]


def test_an_account_that_says_nothing_has_its_groups_left_alone(logs: CloudWatchLogsClient) -> None:
    SageMakerLogs(Safeguards(), logs).limit(GROUP)
    assert retention(logs) == []
    logs.create_log_group(logGroupName=GROUP)
    SageMakerLogs(Safeguards(), logs).limit(GROUP)
    assert retention(logs) == [None]


def test_the_last_lines_of_a_job_are_those_of_all_its_instances(logs: CloudWatchLogsClient) -> None:
    logs.create_log_group(logGroupName=GROUP)
    now_ms = int(time.time()) * 1000
    for host, name in ((1, "job/algo-1"), (2, "job/algo-2"), (3, "job-2/algo-1")):
        logs.create_log_stream(logGroupName=GROUP, logStreamName=name)
        for second in range(1, 9):
            event: InputLogEventTypeDef = {
                "timestamp": now_ms + 1000 * second + host,
                "message": f"{name} {second}\n",
            }
            logs.put_log_events(logGroupName=GROUP, logStreamName=name, logEvents=[event])
    read = CloudWatchJobLogs(logs)
    assert read.tail(GROUP, "job", 3) == ["job/algo-2 7", "job/algo-1 8", "job/algo-2 8"]
    assert len(read.tail(GROUP, "job", 100)) == 16


def test_a_job_without_a_log_has_no_last_lines(logs: CloudWatchLogsClient) -> None:
    read = CloudWatchJobLogs(logs)
    assert read.tail("/no/such/group", "job", 3) == []
    logs.create_log_group(logGroupName=GROUP)
    assert read.tail(GROUP, "job", 3) == []


def test_streams_are_listed_by_when_they_were_made_and_deleted_once(logs: CloudWatchLogsClient) -> None:
    group, streams = "/aws/sagemaker/Endpoints/e", CloudWatchLogStreams(logs)
    assert list(streams.streams(group)) == []
    assert not streams.delete(group, "gone")
    assert not streams.delete_group(group)
    logs.create_log_group(logGroupName=group)
    for number in range(60):
        logs.create_log_stream(logGroupName=group, logStreamName=f"AllTraffic/i-{number:02d}")
    found = list(streams.streams(group))
    assert len(found) == 60, "of all pages"
    assert all(abs(from_iso(at).timestamp() - time.time()) < 60 for _, at in found)
    assert [name for name, _ in streams.streams(group, "AllTraffic/i-5")] == [
        f"AllTraffic/i-5{number}" for number in range(10)
    ]
    assert [streams.delete(group, "AllTraffic/i-00") for _ in range(2)] == [True, False]
    assert len(list(streams.streams(group))) == 59
    assert [streams.delete_group(group) for _ in range(2)] == [True, False]
