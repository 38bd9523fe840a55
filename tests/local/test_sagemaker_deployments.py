"""UpdateEndpoint as AWS does it: no request is lost, and what fails goes back without a word."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bus import Event, Listener
from local.functions import wait_for
from local.hosting import Hosting
from sluice_local.cloud import LocalCloud


@pytest.fixture
def hosting(cloud: LocalCloud, unique: Callable[[str], str]) -> Iterator[Hosting]:
    with closing(Hosting(cloud, unique)) as made:
        yield made


@contextmanager
def hammering(hosting: Hosting, name: str) -> Iterator[list[str]]:
    """Keep asking; every answering model's name, or the error, is in the list."""
    answers: list[str] = []
    stopping = threading.Event()

    def ask() -> None:
        while not stopping.is_set():
            try:
                answers.append(hosting.answers(name))
            except ClientError as error:
                answers.append(str(error))
            time.sleep(0.01)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


def more(answers: list[str]) -> None:
    """Wait for some more answers."""
    known = len(answers)
    wait_for(lambda: len(answers) >= known + 10)


def canary(
    *, percent: int = 50, bake_s: int = 0, alarm: str | None = None, final_s: int = 0
) -> dict[str, Any]:
    """A DeploymentConfig."""
    routing = {
        "Type": "CANARY",
        "WaitIntervalInSeconds": bake_s,
        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": percent},
    }
    policy = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": final_s}
    rollback = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm}]}} if alarm else {}
    return {"BlueGreenUpdatePolicy": policy, **rollback}


def listen(hosting: Hosting, name: str) -> Listener:
    pattern = {"source": ["aws.sagemaker"], "detail": {"EndpointName": [name]}}
    return Listener(hosting.cloud, hosting.unique("events"), pattern)


def statuses(events: list[Event]) -> list[str]:
    return [
        event["detail"]["EndpointStatus"]
        for event in events
        if event["detail-type"] == "SageMaker Endpoint State Change"
    ]


def error_alarm(hosting: Hosting, name: str, config: str) -> str:
    """An alarm on the errors of what one config's fleet answers."""
    alarm = hosting.unique("errors")
    dimensions = {"EndpointName": name, "VariantName": "AllTraffic", "EndpointConfigName": config}
    hosting.cloud.client("cloudwatch").put_metric_alarm(
        AlarmName=alarm,
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        Statistic="Average",
        Period=10,
        EvaluationPeriods=1,
        Threshold=0.5,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    return alarm


def test_an_update_loses_no_request_and_ends_on_the_new_config(hosting: Hosting) -> None:
    name = hosting.endpoint(hosting.config(hosting.model("old")))
    new = hosting.config(hosting.model("new"))
    with hammering(hosting, name) as answers:
        hosting.update(name, new)
        described = hosting.describe(name)
        assert described["EndpointStatus"] == "Updating"
        assert described["EndpointConfigName"] != new
        assert described["PendingDeploymentSummary"]["EndpointConfigName"] == new
        described = hosting.settled(name)
        more(answers)
    assert described["EndpointConfigName"] == new
    assert "PendingDeploymentSummary" not in described
    assert set(answers) == {"old", "new"}
    assert answers[-1] == "new"


def test_an_update_whose_server_cannot_start_goes_back_without_a_word(hosting: Hosting) -> None:
    old = hosting.config(hosting.model("old"))
    name = hosting.endpoint(old)
    with hammering(hosting, name) as answers:
        hosting.update(name, hosting.config(hosting.model("new", broken=True)))
        described = hosting.settled(name)
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", old)
    assert "PendingDeploymentSummary" not in described
    assert "the weights are corrupt" in described["FailureReason"]
    assert set(answers) == {"old"}


def test_a_canary_gets_its_share_until_it_has_baked(hosting: Hosting) -> None:
    name = hosting.endpoint(hosting.config(hosting.model("old"), instances=2))
    new = hosting.config(hosting.model("new"), instances=2)
    listener = listen(hosting, name)
    hosting.update(name, new, DeploymentConfig=canary(bake_s=2))
    wait_for(lambda: "new" in {hosting.answers(name) for _ in range(5)})
    answers: list[str] = []
    while len(answers) < 60:
        some = [hosting.answers(name) for _ in range(5)]
        if "PendingDeploymentSummary" not in hosting.describe(name):
            break
        answers += some
    # A share as far from a half has one in a hundred thousand runs, however many were asked in time.
    assert abs(answers.count("new") - len(answers) / 2) <= 2.5 * math.sqrt(len(answers))
    assert hosting.settled(name)["EndpointConfigName"] == new
    baking = listener.wait_for(lambda event: _phase(event) == "Baking")
    (variant,) = baking["detail"]["PendingDeploymentSummary"]["ProductionVariants"]
    assert variant["VariantStatus"][0]["StatusMessage"] == (
        "Baking for 2 seconds with traffic enabled on canary capacity of 1 instance(s)."
    )
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (1, 2)
    assert baking["detail"]["EndpointStatus"] == "UPDATING"


def _phase(event: Event) -> str | None:
    summary = event["detail"].get("PendingDeploymentSummary")
    return summary["ProductionVariants"][0]["VariantStatus"][0]["Status"] if summary else None


def test_an_alarm_on_the_canarys_own_errors_rolls_it_back_without_a_word(hosting: Hosting) -> None:
    old = hosting.config(hosting.model("old"), instances=2)
    name = hosting.endpoint(old)
    new = hosting.config(hosting.model("new"), instances=2)
    alarm = error_alarm(hosting, name, new)
    listener = listen(hosting, name)
    hosting.fault(endpoint=name, endpoint_config=new, status=500)
    with hammering(hosting, name) as answers:
        hosting.update(name, new, DeploymentConfig=canary(bake_s=600, alarm=alarm))
        described = hosting.settled(name)
        served_until_here = len(answers)
        more(answers)
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", old)
    assert "FailureReason" not in described
    assert any("ModelError" in answer for answer in answers)
    assert set(answers[served_until_here + 2 :]) == {"old"}
    back = listener.wait_for(lambda event: event["detail"]["EndpointStatus"] == "IN_SERVICE")
    assert back["detail"]["EndpointConfigName"] == old
    assert statuses(listener.received) == ["UPDATING", "ROLLING_BACK", "IN_SERVICE"]


def test_the_old_fleet_can_be_gone_back_to_until_the_whole_new_fleet_has_baked(hosting: Hosting) -> None:
    old = hosting.config(hosting.model("old"))
    name = hosting.endpoint(old)
    new = hosting.config(hosting.model("new"))
    alarm = error_alarm(hosting, name, new)
    hosting.update(name, new, DeploymentConfig=canary(final_s=600, alarm=alarm))
    wait_for(lambda: hosting.answers(name) == "new")
    hosting.fault(endpoint=name, endpoint_config=new, status=500)
    with hammering(hosting, name):
        assert hosting.settled(name)["EndpointConfigName"] == old


def test_every_status_is_announced_as_aws_writes_it(hosting: Hosting) -> None:
    name = hosting.unique("endpoint")
    listener = listen(hosting, name)
    first = hosting.config(hosting.model("first"))
    hosting.sagemaker.create_endpoint(
        EndpointName=name, EndpointConfigName=first, Tags=[{"Key": "stage", "Value": "production"}]
    )
    hosting.settled(name)
    second = hosting.config(hosting.model("second"))
    hosting.update(name, second)
    hosting.settled(name)
    hosting.sagemaker.delete_endpoint(EndpointName=name)
    listener.wait_for(lambda event: event["detail"]["EndpointStatus"] == "DELETING")
    states = [e for e in listener.received if e["detail-type"] == "SageMaker Endpoint State Change"]
    expected = ["CREATING", "IN_SERVICE", "UPDATING", "IN_SERVICE", "DELETING"]
    assert statuses(states) == expected
    assert [event["detail"]["EndpointConfigName"] for event in states] == [first] * 3 + [second] * 2
    event = states[3]
    arn = f"arn:aws:sagemaker:us-east-1:000000000000:endpoint/{name}"
    assert event["source"] == "aws.sagemaker"
    assert event["resources"] == [arn]
    assert event["detail"]["EndpointArn"] == arn
    assert event["detail"]["Tags"] == {"stage": "production"}
    assert event["detail"]["ProductionVariants"] == [
        {
            "VariantName": "AllTraffic",
            "CurrentWeight": 1.0,
            "DesiredWeight": 1.0,
            "CurrentInstanceCount": 1.0,
            "DesiredInstanceCount": 1.0,
        }
    ]
    assert isinstance(event["detail"]["LastModifiedTime"], float)
    assert abs(event["detail"]["LastModifiedTime"] / 1000 - time.time()) < 60


def test_a_second_update_and_a_missing_config_are_refused(hosting: Hosting) -> None:
    name = hosting.endpoint(hosting.config(hosting.model("old")))
    new = hosting.config(hosting.model("new"))
    hosting.update(name, new, DeploymentConfig=canary(bake_s=60))
    arn = f"arn:aws:sagemaker:us-east-1:000000000000:endpoint/{name}"
    with pytest.raises(ClientError, match=f'Cannot update in-progress endpoint "{arn}"'):
        hosting.update(name, new)
    with pytest.raises(ClientError, match="Could not find endpoint configuration "):
        hosting.update(name, "nowhere")
    with pytest.raises(ClientError, match="Could not find endpoint "):
        hosting.update("nowhere", new)


@pytest.mark.parametrize(
    ("deployment", "message"),
    [
        (canary(percent=60), "CanarySize must be from 1 to 50 percent"),
        (canary(alarm="nowhere"), "Could not find alarm nowhere"),
        (
            {
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": {"Type": "LINEAR", "WaitIntervalInSeconds": 0}
                }
            },
            "LinearStepSize is required",
        ),
    ],
)
def test_a_deployment_that_cannot_be_carried_out_changes_nothing(
    hosting: Hosting, deployment: dict[str, Any], message: str
) -> None:
    config = hosting.config(hosting.model("old"))
    name = hosting.endpoint(config)
    with pytest.raises(ClientError, match=message):
        hosting.update(name, config, DeploymentConfig=deployment)
    assert hosting.describe(name)["EndpointStatus"] == "InService"


def test_an_endpoint_that_failed_can_only_be_deleted(hosting: Hosting) -> None:
    config = hosting.config(hosting.model("bad", broken=True))
    name = hosting.creating(config)
    hosting.settled(name)
    with pytest.raises(ClientError, match="can only be deleted"):
        hosting.update(name, config)
    hosting.sagemaker.delete_endpoint(EndpointName=name)
    with pytest.raises(ClientError, match="Could not find endpoint "):
        hosting.describe(name)


def test_deleting_an_endpoint_while_it_is_updated_leaves_no_process(hosting: Hosting) -> None:
    name = hosting.endpoint(hosting.config(hosting.model("old")))
    hosting.update(name, hosting.config(hosting.model("new")), DeploymentConfig=canary(bake_s=60))
    wait_for(lambda: hosting.answers(name) == "new")
    assert len(hosting.servers(name)) == 2
    hosting.sagemaker.delete_endpoint(EndpointName=name)
    with pytest.raises(ClientError, match="Could not find endpoint "):
        hosting.describe(name)
    wait_for(lambda: hosting.processes(name) == [])


def test_retained_properties_come_from_the_endpoint_not_from_the_new_config(hosting: Hosting) -> None:
    name = hosting.endpoint(hosting.config(hosting.model("old"), instances=3, weights=(2.0,)))
    new = hosting.config(hosting.model("new"))
    hosting.update(
        name,
        new,
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredWeight"}],
    )
    (variant,) = hosting.settled(name)["ProductionVariants"]
    assert (variant["CurrentInstanceCount"], variant["CurrentWeight"]) == (3, 1.0)


def test_no_server_outlives_the_cloud(tmp_path: Any, unique: Callable[[str], str]) -> None:
    with LocalCloud(tmp_path / "cloud") as cloud:
        hosting = Hosting(cloud, unique)
        name = hosting.endpoint(hosting.config(hosting.model("first")))
        assert len(hosting.servers(name)) == 1
    assert hosting.processes(name) == []
