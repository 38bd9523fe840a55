"""Define the alarms of an endpoint, and tell which deployment a firing alarm is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sluice.catalog.records.releases import Deployment
from sluice.domain import names, tags
from sluice.domain.cloudwatch import DELIVERED_EVERY_S, FIRES_WITHIN_S
from sluice.domain.release.serving import VARIANT
from sluice.domain.times import later, to_iso
from sluice.lazy import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from sluice.domain.config import models

PERIOD_S = DELIVERED_EVERY_S
# An alarm counts the requests of a period, published up to a minute late: for this long after traffic
# moved, it may be about the previous version.
SETTLES_S = FIRES_WITHIN_S
# The metrics that count answers of a kind.
FAILURES = {"4XX": "Invocation4XXErrors", "5XX": "Invocation5XXErrors"}


ERROR_RATE, P99_LATENCY = "error-rate", "p99-latency"


@dataclass(frozen=True, slots=True)
class Guarded:
    """A stage and its endpoint, which alarms watch."""

    stack: str
    pipeline: str
    stage: str
    endpoint_name: str

    def alarm_name(self, what: str) -> str:
        return names.alarm_name(self.stack, self.pipeline, self.stage, what)

    @property
    def alarm_names(self) -> tuple[str, ...]:
        """The names of all alarms that a stage may have; any other alarm is somebody else's."""
        return tuple(self.alarm_name(what) for what in (ERROR_RATE, P99_LATENCY))


def requests(
    guarded: Guarded, limits: models.Alarms, errors: Sequence[str] = ("5XX",)
) -> list[dict[str, Any]]:
    """Make a PutMetricAlarm request for each limit; below `min_requests` a minute no alarm fires.

    `errors` are the kinds of answers that count as failures.
    """
    endpoint = guarded.endpoint_name
    failures = _failures(errors)
    failed = " + ".join(failures)
    alarms = [
        _alarm(
            guarded.alarm_name(ERROR_RATE),
            f"More than {limits.error_rate:.2%} of the requests to {endpoint} fail.",
            limits.error_rate,
            [
                _judged(
                    f"{failed if len(failures) == 1 else f'({failed})'} / invocations", limits.min_requests
                ),
                metric("invocations", "Invocations", "Sum", endpoint),
                *(metric(query_id, name, "Sum", endpoint) for query_id, name in failures.items()),
            ],
        )
    ]
    if limits.p99_latency_ms is not None:
        alarms.append(
            _alarm(
                guarded.alarm_name(P99_LATENCY),
                f"The slowest 1 % of the requests to {endpoint} take more than {limits.p99_latency_ms} ms.",
                limits.p99_latency_ms * 1000,  # ModelLatency is in microseconds
                [
                    _judged("latency", limits.min_requests),
                    metric("invocations", "Invocations", "Sum", endpoint),
                    metric("latency", "ModelLatency", "p99", endpoint),
                ],
            )
        )
    owner = tags.listed(tags.of_stage(guarded.stack, guarded.pipeline, guarded.stage))
    return [{**alarm, "Tags": owner} for alarm in alarms]


def _failures(errors: Sequence[str]) -> dict[str, str]:
    """Return the metrics that count failures, by the id of their query."""
    kinds = sorted(set(errors))
    if len(kinds) == 1:
        return {"errors": FAILURES[kinds[0]]}
    return {f"errors{kind[0]}xx": FAILURES[kind] for kind in kinds}


def _alarm(name: str, description: str, threshold: float, queries: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "AlarmName": name,
        "AlarmDescription": description,
        "Metrics": queries,
        "EvaluationPeriods": 1,
        "DatapointsToAlarm": 1,
        "Threshold": threshold,
        "ComparisonOperator": "GreaterThanThreshold",
        # No traffic does not mean failure.
        "TreatMissingData": "notBreaching",
    }


def _judged(expression: str, min_requests: int) -> dict[str, Any]:
    guarded = f"IF(invocations >= {min_requests}, {expression}, 0)"
    return {"Id": "judged", "Expression": guarded, "Label": expression, "ReturnData": True}


def metric(query_id: str, name: str, stat: str, endpoint: str, variant: str = VARIANT) -> dict[str, Any]:
    """Make a query of a metric of an endpoint's variant, for others to compute with."""
    dimensions = [
        {"Name": "EndpointName", "Value": endpoint},
        {"Name": "VariantName", "Value": variant},
    ]
    return {
        "Id": query_id,
        "MetricStat": {
            "Metric": {"Namespace": "AWS/SageMaker", "MetricName": name, "Dimensions": dimensions},
            "Period": PERIOD_S,
            "Stat": stat,
        },
        "ReturnData": False,
    }


# The fields that make an alarm a guard. Anyone may change its description or add actions.
_GUARDING = (
    "Metrics",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "Threshold",
    "ComparisonOperator",
    "TreatMissingData",
)


def faults(wanted: Sequence[Mapping[str, Any]], found: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Say for people what is wrong with a stage's alarms, by alarm; `found` are their descriptions."""
    names = [request["AlarmName"] for request in wanted]
    wrong = {name: "watches what the live release does not limit" for name in found if name not in names}
    for request in wanted:
        alarm = found.get(request["AlarmName"])
        if alarm is None:
            wrong[request["AlarmName"]] = "is missing"
        elif changed := [key for key in _GUARDING if not _agrees(request[key], alarm.get(key))]:
            wrong[request["AlarmName"]] = "; ".join(_changed(key, request, alarm) for key in changed)
    return wrong


def _changed(key: str, request: Mapping[str, Any], alarm: Mapping[str, Any]) -> str:
    if key == "Metrics":
        return f"has other {key} than it was made with"
    return f"has {key} {alarm.get(key)}, not {request[key]}"


def _agrees(wanted: Any, found: Any) -> bool:
    """Tell whether all that is wanted was found; CloudWatch adds members and keeps no order."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return all(_agrees(value, found.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(found, list):
        return all(any(_agrees(each, other) for other in found) for each in wanted)
    return bool(wanted == found)


def fires_since(alarm: Mapping[str, Any]) -> datetime:
    """Return when an alarm came into its state: CloudWatch may update that without changing it."""
    since: datetime = alarm.get("StateTransitionedTimestamp") or alarm["StateUpdatedTimestamp"]
    return since


def concerns(alarm: Mapping[str, Any], live: Deployment, now: str, tried_at: str | None = None) -> bool:
    """Tell whether an alarm in ALARM is about the live deployment.

    It may be about its predecessor, or about a canary of a release that failed at `tried_at`.
    """
    moved_at = max(live.promoted_at or now, tried_at or "")
    since = to_iso(fires_since(alarm))
    return since >= moved_at or now >= later(moved_at, SETTLES_S)


def unseen_bakes(release: models.Release) -> list[str]:
    """Warn of stages whose bake ends before any alarm can fire: nothing guards their releases."""
    return [
        _unseen(stage.name, stage.traffic.bake_s)
        for stage in release.stages
        if stage.traffic.bake_s < SETTLES_S
    ]


def _unseen(stage: str, bake_s: int) -> str:
    if not bake_s:
        return f"{stage} does not bake (bake_s: 0): no alarm guards its releases while traffic moves"
    said = f"{stage} bakes for {bake_s} s, but an alarm may take {SETTLES_S} s to fire"
    return f"{said}: while they bake, its releases are unguarded"
