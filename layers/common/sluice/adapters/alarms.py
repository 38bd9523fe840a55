"""Adapter for metric alarms in CloudWatch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sluice.adapters.clients import client
from sluice.domain.safeguards import Safeguards

if TYPE_CHECKING:
    from datetime import datetime

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

    def values(
        self, alarm: Mapping[str, Any], since: datetime, until: datetime
    ) -> list[tuple[datetime, float]]:
        pages = self._cloudwatch.get_paginator("get_metric_data").paginate(
            MetricDataQueries=_queries(alarm), StartTime=since, EndTime=until, ScanBy="TimestampAscending"
        )
        return [
            each
            for page in pages
            for result in page["MetricDataResults"]
            for each in zip(result["Timestamps"], result["Values"], strict=True)
        ]

    def firing(self, prefix: str) -> Iterator[dict[str, Any]]:
        pages = self._cloudwatch.get_paginator("describe_alarms")
        for page in pages.paginate(AlarmNamePrefix=prefix, StateValue="ALARM", AlarmTypes=["MetricAlarm"]):
            yield from map(dict, page["MetricAlarms"])


def _queries(alarm: Mapping[str, Any]) -> Any:
    """Return what an alarm asks of its metrics: one query, if it is on a single metric."""
    if alarm.get("Metrics"):
        return alarm["Metrics"]
    metric = {name: alarm[name] for name in ("Namespace", "MetricName", "Dimensions")}
    stat = alarm.get("Statistic") or alarm["ExtendedStatistic"]
    return [{"Id": "judged", "MetricStat": {"Metric": metric, "Period": alarm["Period"], "Stat": stat}}]
