"""When an endpoint's alarms fire, and whom they are about."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from sluice.catalog.records.releases import Deployment
from sluice.domain.config.models import Alarms, Release, Stage, Traffic
from sluice.domain.release import alarms

GUARDED = alarms.Guarded("sluice", "reviews", "production", "sluice--reviews--production")
LIVE = Deployment(
    pipeline="reviews",
    stage="production",
    release_id="reviews-v2-0a",
    package_arn="arn:package/2",
    package_version=2,
    status="live",
    endpoint_config_name="config",
    promoted_at="2026-11-24T12:00:00.000Z",
)


def requested(limits: Alarms) -> dict[str, dict[str, Any]]:
    made = alarms.requests(GUARDED, limits)
    return {request["AlarmName"]: request for request in made}


def test_the_error_rate_is_judged_only_from_enough_requests() -> None:
    request = requested(Alarms(error_rate=0.05, min_requests=10))["sluice--reviews--production--error-rate"]
    expressions = [query["Expression"] for query in request["Metrics"] if query["ReturnData"]]
    assert expressions == ["IF(invocations >= 10, errors / invocations, 0)"]
    assert (request["Threshold"], request["ComparisonOperator"]) == (0.05, "GreaterThanThreshold")
    assert request["TreatMissingData"] == "notBreaching"


def test_latency_is_limited_in_the_metrics_microseconds() -> None:
    request = requested(Alarms(p99_latency_ms=500))["sluice--reviews--production--p99-latency"]
    assert request["Threshold"] == 500_000
    stats = {query["MetricStat"]["Stat"] for query in request["Metrics"] if not query["ReturnData"]}
    assert stats == {"Sum", "p99"}


def test_without_a_latency_limit_there_is_no_such_alarm() -> None:
    assert list(requested(Alarms())) == ["sluice--reviews--production--error-rate"]


def test_every_alarm_has_a_name_that_is_known() -> None:
    assert set(requested(Alarms(p99_latency_ms=1))) == set(GUARDED.alarm_names)


def test_every_alarm_says_by_its_tags_whose_it_is() -> None:
    (request,) = requested(Alarms()).values()
    tags = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
    assert tags == {"sluice:stack": "sluice", "sluice:pipeline": "reviews", "sluice:stage": "production"}


def test_every_metric_is_of_the_endpoints_variant() -> None:
    for request in requested(Alarms(p99_latency_ms=1)).values():
        for query in request["Metrics"]:
            if not query["ReturnData"]:
                dimensions = query["MetricStat"]["Metric"]["Dimensions"]
                values = {each["Name"]: each["Value"] for each in dimensions}
                assert values == {"EndpointName": GUARDED.endpoint_name, "VariantName": "AllTraffic"}


WANTED = alarms.requests(GUARDED, Alarms(error_rate=0.05, p99_latency_ms=500))
ERROR_RATE, LATENCY = GUARDED.alarm_names


def described() -> dict[str, dict[str, Any]]:
    """The wanted alarms as CloudWatch describes them: with more members, and dimensions in any order."""
    found = copy.deepcopy({request["AlarmName"]: request for request in WANTED})
    for alarm in found.values():
        alarm |= {"StateValue": "OK", "ActionsEnabled": True, "AlarmDescription": "mine"}
        for query in alarm["Metrics"]:
            query.get("MetricStat", {}).get("Metric", {}).get("Dimensions", []).reverse()
    return found


def test_a_guard_that_is_as_it_was_made_has_no_fault() -> None:
    assert alarms.faults(WANTED, described()) == {}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"Threshold": 1.0}, "has Threshold 1.0, not 0.05"),
        ({"TreatMissingData": "missing"}, "has TreatMissingData missing, not notBreaching"),
        ({"Metrics": []}, "has other Metrics than it was made with"),
    ],
)
def test_an_alarm_that_was_edited_is_named_with_what_is_other(change: dict[str, Any], fault: str) -> None:
    found = described()
    found[ERROR_RATE] |= change
    assert alarms.faults(WANTED, found) == {ERROR_RATE: fault}


def test_an_alarm_that_is_missing_or_left_over_is_named() -> None:
    found = described()
    del found[ERROR_RATE]
    assert alarms.faults(WANTED, found) == {ERROR_RATE: "is missing"}
    limits = alarms.requests(GUARDED, Alarms(error_rate=0.05))
    assert list(alarms.faults(limits, described())) == [LATENCY]


@pytest.mark.parametrize(
    ("since", "now", "concerns"),
    [
        ("12:00:30", "12:00:30", True),  # it began to fire under the live release
        ("11:59:30", "12:00:30", False),  # it counts what the version before did
        ("11:59:30", "12:03:00", True),  # by now it counts only what the live release does
    ],
)
def test_an_alarm_from_before_a_promotion_is_believed_once_it_must_have_settled(
    since: str, now: str, concerns: bool
) -> None:
    at = datetime.fromisoformat(f"2026-11-24T{since}").replace(tzinfo=UTC)
    alarm = {"StateUpdatedTimestamp": at}
    assert alarms.concerns(alarm, LIVE, f"2026-11-24T{now}.000Z") is concerns


def test_a_bake_that_ends_before_an_alarm_can_fire_is_said() -> None:
    stages = [Stage(name=f"s{s}", traffic=Traffic(bake_s=s)) for s in (0, 179, 180, 300)]
    said = alarms.unseen_bakes(Release(stages=tuple(stages)))
    assert [each.partition(",")[0] for each in said][1:] == ["s179 bakes for 179 s"]
    assert said[0].startswith("s0 does not bake (bake_s: 0): no alarm guards its releases")
