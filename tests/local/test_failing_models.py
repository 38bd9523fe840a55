"""A model that fails in its canary is caught within the bake, by an alarm that the stack made or accepted."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.functions import wait_for
from local.hosting import Hosting
from sluice.domain.config import models
from sluice.domain.release import alarm_lint, alarms, serving
from sluice.domain.release.alarms import Guarded
from sluice_local.cloud import LocalCloud

SCRIPT = (Path(__file__).parents[1] / "failing/inference.py").read_text()
LIMITS = models.Alarms(error_rate=0.1, p99_latency_ms=200, min_requests=10)
TRAFFIC = models.Traffic(type="canary", percent=50, bake_s=180)
STAGE = models.Stage(name="production", traffic=TRAFFIC)
RELEASE = models.Release(stages=(STAGE,), alarms=LIMITS)


@pytest.fixture
def hosting(cloud: LocalCloud, unique: Callable[[str], str]) -> Iterator[Hosting]:
    with closing(Hosting(cloud, unique)) as made:
        yield made


@contextmanager
def clients(hosting: Hosting, name: str) -> Iterator[None]:
    """Some who keep asking, whatever they are answered."""
    ended = threading.Event()
    body = json.dumps({"x": [5, 95]})

    def ask() -> None:
        while not ended.wait(0.02):
            with suppress(ClientError):
                hosting.invoke(name, body, "application/json")

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for each in asking:
        each.start()
    try:
        yield
    finally:
        ended.set()
        for each in asking:
            each.join()


def config(hosting: Hosting, fails: str) -> str:
    script = SCRIPT.replace('FAILS = "no"', f'FAILS = "{fails}"')
    return hosting.config(hosting.model(fails, script, threshold=50), instances=2)


def guard(hosting: Hosting, name: str, errors: Sequence[str] = ("5XX",)) -> list[str]:
    """Make the alarms of a stage, as a release makes them; returns their names."""
    cloudwatch = hosting.cloud.client("cloudwatch")
    requests = alarms.requests(Guarded("sluice", name, "production", name), LIMITS, errors)
    for request in requests:
        cloudwatch.put_metric_alarm(**request)
    return [str(request["AlarmName"]) for request in requests]


def own_alarm(hosting: Hosting, name: str) -> str:
    """An alarm that a project may name for its stage: one request in ten takes longer than 300 ms."""
    alarm = hosting.unique("slow")
    judged = {"Id": "judged", "Expression": "IF(invocations >= 10, latency, 0)", "ReturnData": True}
    measured = [("invocations", "Invocations", "Sum"), ("latency", "ModelLatency", "p90")]
    hosting.cloud.client("cloudwatch").put_metric_alarm(
        AlarmName=alarm,
        Metrics=[judged, *(_metric(name, *each) for each in measured)],
        EvaluationPeriods=1,
        Threshold=300_000,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    return alarm


def _metric(endpoint: str, query: str, metric: str, stat: str) -> dict[str, Any]:
    dimensions = {"EndpointName": endpoint, "VariantName": serving.VARIANT}
    measured = {
        "Namespace": "AWS/SageMaker",
        "MetricName": metric,
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
    }
    return {"Id": query, "MetricStat": {"Metric": measured, "Period": 60, "Stat": stat}, "ReturnData": False}


def until_accepted(hosting: Hosting, name: str, names: Sequence[str]) -> None:
    """Wait until the lint has nothing against alarms that are new: they have to be OK."""
    wait_for(lambda: lint(hosting, name, names) == [])


def described(hosting: Hosting, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    found = hosting.cloud.client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
    return {alarm["AlarmName"]: alarm for alarm in found}


def lint(hosting: Hosting, name: str, names: Sequence[str]) -> list[str]:
    guarding = alarm_lint.Guarding(name, TRAFFIC.bake_s)
    return [
        fault
        for alarm, found in described(hosting, names).items()
        for fault in alarm_lint.faults(alarm, found, guarding)
    ]


@pytest.mark.parametrize(
    ("fails", "errors", "caught_by"),
    [
        ("errors", ("5XX",), "error-rate"),
        ("schema", ("4XX", "5XX"), "error-rate"),
        ("slow", ("5XX",), "p99-latency"),
        ("leak", ("5XX",), "p99-latency"),
    ],
)
def test_a_model_that_fails_in_its_canary_is_caught_by_the_alarm_that_counts_it(
    hosting: Hosting, fails: str, errors: tuple[str, ...], caught_by: str
) -> None:
    assert alarms.unseen_bakes(RELEASE) == []
    good = config(hosting, "no")
    name = hosting.endpoint(good)
    watching = guard(hosting, name, errors)
    until_accepted(hosting, name, watching)
    began = time.monotonic()
    with clients(hosting, name):
        hosting.update(
            name, config(hosting, fails), DeploymentConfig=serving.deployment_config(TRAFFIC, watching)
        )
        assert hosting.settled(name)["EndpointConfigName"] == good
    assert time.monotonic() - began < TRAFFIC.bake_s
    firing = [
        alarm for alarm, found in described(hosting, watching).items() if found["StateValue"] == "ALARM"
    ]
    assert [alarm.rpartition("--")[2] for alarm in firing] == [caught_by]


def test_an_alarm_of_the_projects_own_that_was_accepted_catches_it_too(hosting: Hosting) -> None:
    good = config(hosting, "no")
    name = hosting.endpoint(good)
    alarm = own_alarm(hosting, name)
    until_accepted(hosting, name, [alarm])
    with clients(hosting, name):
        hosting.update(
            name, config(hosting, "slow"), DeploymentConfig=serving.deployment_config(TRAFFIC, [alarm])
        )
        assert hosting.settled(name)["EndpointConfigName"] == good


def test_clients_who_ask_for_nonsense_take_no_model_back(hosting: Hosting) -> None:
    """What a model refuses is its clients' fault, unless the project says otherwise."""
    name = hosting.endpoint(config(hosting, "no"))
    watching = guard(hosting, name)
    new = config(hosting, "schema")
    quick = TRAFFIC.model_copy(update={"bake_s": 3})
    with clients(hosting, name):
        hosting.update(name, new, DeploymentConfig=serving.deployment_config(quick, watching))
        assert hosting.settled(name)["EndpointConfigName"] == new
