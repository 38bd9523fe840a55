"""SageMaker's own log groups forget when the account says so, and are left alone when it does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from sluice.adapters.logs import JOB_GROUPS, SageMakerLogs
from sluice.domain.safeguards import Safeguards

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

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
