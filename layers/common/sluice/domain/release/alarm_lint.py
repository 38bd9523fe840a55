"""Tell why an alarm cannot guard a deployment: most alarms that never fired could not have.

AWS's own sample of a guardrail alarm has two such faults: `Invocation4XXErrors`, `Average`, above 1 is out of
reach, as the average of zeros and ones is at most 1; and two periods of 600 s end after a canary of 600 s.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sluice.domain.cloudwatch import DELIVERED_EVERY_S, DELIVERED_LATE_S
from sluice.domain.release import metric_ranges
from sluice.domain.release.metric_ranges import ANY, Range
from sluice.domain.release.serving import VARIANT

Alarm = Mapping[str, Any]
# Below so many requests a share says little: one failure of ten is a tenth.
SAMPLE_MIN = 2
# How a comparison is said, and how to make it.
_RELATIONS: dict[str, tuple[str, Callable[[float, float], bool]]] = {
    "GreaterThanThreshold": ("above", operator.gt),
    "GreaterThanOrEqualToThreshold": ("at least", operator.ge),
    "LessThanThreshold": ("below", operator.lt),
    "LessThanOrEqualToThreshold": ("at most", operator.le),
}


@dataclass(frozen=True, slots=True)
class Guarding:
    """What an alarm is to guard: a deployment to an endpoint, watched for `bake_s` after each shift."""

    endpoint_name: str
    # None if the project says that nothing need fire in its bake.
    bake_s: int | None
    # Whether something serves: before that, no alarm can have data.
    is_live: bool = True


def faults(name: str, alarm: Alarm | None, guarding: Guarding) -> list[str]:
    """Say all that keeps an alarm, as CloudWatch describes it, from firing in time; empty if nothing does."""
    if alarm is None:
        return [f"the alarm {name} does not exist, or is no metric alarm"]
    found = [
        *_reach(alarm),
        *_window(alarm, guarding),
        *_dimensions(alarm, guarding),
        *_sample(alarm),
        *_missing_data(alarm),
        *_state(alarm, guarding),
    ]
    return [f"the alarm {name} {fault}" for fault in found]


def _queries(alarm: Alarm) -> list[dict[str, Any]]:
    """Return an alarm's queries; one on a single metric has one."""
    if alarm.get("Metrics"):
        return [dict(query) for query in alarm["Metrics"]]
    metric = {key: alarm.get(key) for key in ("Namespace", "MetricName", "Dimensions")}
    stat = alarm.get("Statistic") or alarm.get("ExtendedStatistic")
    stated = {"Metric": metric, "Period": alarm["Period"], "Stat": stat}
    return [{"Id": "m1", "MetricStat": stated, "ReturnData": True}]


def _measured(alarm: Alarm) -> list[dict[str, Any]]:
    return [query["MetricStat"] for query in _queries(alarm) if "MetricStat" in query]


def _judged(alarm: Alarm) -> dict[str, Any]:
    """Return the query whose values are held against the threshold."""
    return next(query for query in _queries(alarm) if query.get("ReturnData", True))


def _range(alarm: Alarm) -> Range:
    queries = {query["Id"]: query for query in _queries(alarm)}

    def resolve(name: str, seen: frozenset[str]) -> Range:
        query = queries.get(name)
        if query is None or name in seen:
            return ANY
        names = metric_ranges.references(query.get("Expression", ""))
        return metric_ranges.of_query(query, {each: resolve(each, seen | {name}) for each in names})

    return resolve(_judged(alarm)["Id"], frozenset())


def _period_s(alarm: Alarm) -> int:
    return max((int(stat["Period"]) for stat in _measured(alarm)), default=60)


def _datapoints(alarm: Alarm) -> int:
    return int(alarm.get("DatapointsToAlarm") or alarm["EvaluationPeriods"])


def _reach(alarm: Alarm) -> Iterator[str]:
    threshold, relation = alarm.get("Threshold"), _RELATIONS.get(str(alarm.get("ComparisonOperator")))
    if threshold is None or relation is None:
        return
    reach, (word, breaches) = _range(alarm), relation
    breaching = [breaches(value, threshold) for value in (reach.low, reach.high)]
    values = f"what it watches is from {reach.low:g} to {reach.high:g}"
    if not any(breaching):
        yield f"can never fire: it fires {word} {threshold:g}, but {values}"
    elif all(breaching):
        yield f"always fires: it fires {word} {threshold:g}, and {values}"


def _window(alarm: Alarm, guarding: Guarding) -> Iterator[str]:
    period_s, datapoints = _period_s(alarm), _datapoints(alarm)
    if period_s < DELIVERED_EVERY_S and _of_sagemaker(alarm):
        yield (
            f"has a period of {period_s} s, but SageMaker sends a value every {DELIVERED_EVERY_S} s: "
            "most periods are empty"
        )
    needs_s = period_s * datapoints + DELIVERED_LATE_S
    if guarding.bake_s is not None and needs_s > guarding.bake_s:
        yield (
            f"needs {datapoints} x {period_s} s of a failure, known up to {DELIVERED_LATE_S} s late, "
            f"but a bake lasts {guarding.bake_s} s: it cannot fire in time"
        )


def _of_sagemaker(alarm: Alarm) -> list[dict[str, Any]]:
    return [s for s in _measured(alarm) if s["Metric"].get("Namespace") == metric_ranges.SAGEMAKER]


def _dimensions(alarm: Alarm, guarding: Guarding) -> Iterator[str]:
    for stat in _of_sagemaker(alarm):
        metric = stat["Metric"]
        found = {each["Name"]: each["Value"] for each in metric.get("Dimensions") or []}
        what, endpoint, variant = metric["MetricName"], found.get("EndpointName"), found.get("VariantName")
        if endpoint is None or variant is None:
            yield f"watches {what} without EndpointName and VariantName, as which SageMaker sends it"
        elif (endpoint, variant) != (guarding.endpoint_name, VARIANT):
            yield f"watches {endpoint}/{variant}, not {guarding.endpoint_name}/{VARIANT}"


def _sample(alarm: Alarm) -> Iterator[str]:
    """Require a number of requests for a share, an average or a percentile; a sum's threshold is one."""
    stats = {query["Id"]: query["MetricStat"] for query in _queries(alarm) if "MetricStat" in query}
    judged = _judged(alarm)
    if "Expression" not in judged:
        stat = str(judged["MetricStat"]["Stat"])
        has_sample = (
            stat in ("Sum", "SampleCount") or alarm.get("EvaluateLowSampleCountPercentile") == "ignore"
        )
        if not has_sample and _of_sagemaker(alarm):
            yield _no_sample(f"{stat} of {judged['MetricStat']['Metric']['MetricName']}")
        return
    requests = frozenset(name for name, stat in stats.items() if stat["Stat"] in ("Sum", "SampleCount"))
    text = judged["Expression"]
    is_share = "/" in text or any(stats[name]["Stat"] not in ("Sum", "SampleCount") for name in stats)
    if is_share and _of_sagemaker(alarm) and metric_ranges.smallest_sample(text, requests) < SAMPLE_MIN:
        yield _no_sample(text)


def _no_sample(what: str) -> str:
    return f"judges {what} however few requests there are: guard it, as in IF(invocations >= 50, ..., 0)"


def _missing_data(alarm: Alarm) -> Iterator[str]:
    if alarm.get("TreatMissingData") in (None, "missing"):
        yield (
            "leaves open what no data mean (TreatMissingData): choose notBreaching (no traffic passes), "
            "breaching (no traffic fails) or ignore"
        )


def _state(alarm: Alarm, guarding: Guarding) -> Iterator[str]:
    state = alarm.get("StateValue", "OK")
    if state == "INSUFFICIENT_DATA" and guarding.is_live:
        yield "has INSUFFICIENT_DATA although something serves: it may watch what does not exist"
