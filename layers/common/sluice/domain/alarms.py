"""The alarms of an endpoint: when they fire, and which deployment they are about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sluice.domain.releases import Deployment, bake_until
from sluice.domain.serving import VARIANT
from sluice.domain.times import to_iso

if TYPE_CHECKING:
    from sluice.domain.config import models

PERIOD_S = 60
# An alarm counts the requests of a period, published up to a minute late: for so long after traffic moved,
# what it says may be about the version that served before.
SETTLES_S = 3 * PERIOD_S


def error_rate_name(stack: str, endpoint: str) -> str:
    return f"{stack}-{endpoint}-error-rate"


def p99_latency_name(stack: str, endpoint: str) -> str:
    return f"{stack}-{endpoint}-p99-latency"


def names(stack: str, endpoint: str) -> tuple[str, str]:
    """All alarms an endpoint may have."""
    return error_rate_name(stack, endpoint), p99_latency_name(stack, endpoint)


def requests(stack: str, endpoint: str, limits: models.Alarms, topic_arn: str) -> list[dict[str, Any]]:
    """PutMetricAlarm for each limit. Below `min_requests` a minute there is too little to judge: no alarm."""
    alarms = [
        _alarm(
            error_rate_name(stack, endpoint),
            f"More than {limits.error_rate:.2%} of the requests to {endpoint} fail.",
            limits.error_rate,
            topic_arn,
            [
                _judged("errors / invocations", limits.min_requests),
                _metric("invocations", "Invocations", "Sum", endpoint),
                _metric("errors", "Invocation5XXErrors", "Sum", endpoint),
            ],
        )
    ]
    if limits.p99_latency_ms is not None:
        alarms.append(
            _alarm(
                p99_latency_name(stack, endpoint),
                f"The slowest 1 % of the requests to {endpoint} take more than {limits.p99_latency_ms} ms.",
                limits.p99_latency_ms * 1000,  # ModelLatency is in microseconds
                topic_arn,
                [
                    _judged("latency", limits.min_requests),
                    _metric("invocations", "Invocations", "Sum", endpoint),
                    _metric("latency", "ModelLatency", "p99", endpoint),
                ],
            )
        )
    return alarms


def _alarm(
    name: str, description: str, threshold: float, topic_arn: str, queries: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "AlarmName": name,
        "AlarmDescription": description,
        "AlarmActions": [topic_arn],
        "Metrics": queries,
        "EvaluationPeriods": 1,
        "DatapointsToAlarm": 1,
        "Threshold": threshold,
        "ComparisonOperator": "GreaterThanThreshold",
        # No traffic is no failure.
        "TreatMissingData": "notBreaching",
    }


def _judged(expression: str, min_requests: int) -> dict[str, Any]:
    guarded = f"IF(invocations >= {min_requests}, {expression}, 0)"
    return {"Id": "judged", "Expression": guarded, "Label": expression, "ReturnData": True}


def _metric(query_id: str, metric: str, stat: str, endpoint: str) -> dict[str, Any]:
    dimensions = [
        {"Name": "EndpointName", "Value": endpoint},
        {"Name": "VariantName", "Value": VARIANT},
    ]
    return {
        "Id": query_id,
        "MetricStat": {
            "Metric": {"Namespace": "AWS/SageMaker", "MetricName": metric, "Dimensions": dimensions},
            "Period": PERIOD_S,
            "Stat": stat,
        },
        "ReturnData": False,
    }


def watched_endpoint(alarm: Mapping[str, Any]) -> str | None:
    """The endpoint that an alarm, as it is described, watches."""
    for query in alarm.get("Metrics", []):
        for dimension in query.get("MetricStat", {}).get("Metric", {}).get("Dimensions", []):
            if dimension["Name"] == "EndpointName":
                return str(dimension["Value"])
    return None


def concerns(alarm: Mapping[str, Any], live: Deployment, now: str) -> bool:
    """Whether an alarm in ALARM is about the live deployment, not about the one that served before it."""
    promoted_at = live.promoted_at or now
    since = to_iso(alarm.get("StateTransitionedTimestamp") or alarm["StateUpdatedTimestamp"])
    return since >= promoted_at or now >= bake_until(promoted_at, SETTLES_S)
