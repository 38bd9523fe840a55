"""Adapter for metric alarms in CloudWatch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sluice.adapters.clients import client
from sluice.domain.safeguards import Safeguards

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient


class CloudWatchAlarms:
    """Alarms by name; putting an alarm again keeps its state."""

    def __init__(
        self, cloudwatch: CloudWatchClient | None = None, safeguards: Safeguards | None = None
    ) -> None:
        self._cloudwatch: CloudWatchClient = cloudwatch or client("cloudwatch")
        self._safeguards = safeguards or Safeguards()

    def put(self, request: Mapping[str, Any]) -> None:
        self._cloudwatch.put_metric_alarm(**self._safeguards.tagged(dict(request)))

    def delete(self, names: Sequence[str]) -> None:
        # DeleteAlarms refuses the whole request if one name is unknown.
        if existing := list(self.describe(names)):
            self._cloudwatch.delete_alarms(AlarmNames=existing)

    def describe(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        # Without names DescribeAlarms returns all alarms of the account.
        if not names:
            return {}
        answer = self._cloudwatch.describe_alarms(AlarmNames=list(names), AlarmTypes=["MetricAlarm"])
        return {alarm["AlarmName"]: dict(alarm) for alarm in answer["MetricAlarms"]}

    def firing(self, prefix: str) -> Iterator[dict[str, Any]]:
        pages = self._cloudwatch.get_paginator("describe_alarms")
        for page in pages.paginate(AlarmNamePrefix=prefix, StateValue="ALARM", AlarmTypes=["MetricAlarm"]):
            yield from map(dict, page["MetricAlarms"])
