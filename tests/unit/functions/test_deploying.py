"""Changing an endpoint and telling how it went: deploy_model and finish_deployment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import fakes
from release_world import ENDPOINT, ERROR_ALARM, PIPELINE, World
from sluice.catalog import keys
from sluice.domain import tags
from sluice.domain.quotas import QuotaError
from sluice.ports import EndpointBusyError

LATENCY_ALARM = "sluice--reviews--production--p99-latency"


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]) -> World:
    return World(cloud, invoke)


@pytest.fixture
def planned(world: World) -> dict[str, Any]:
    """The stage task of an approved release that was planned and not deployed."""
    return plan(world, world.register(1))


def plan(world: World, arn: str) -> dict[str, Any]:
    _, task = world.plan(arn)
    return task


def deploy(world: World, task: dict[str, Any], attempt: str = "token-a") -> Any:
    return world.invoke("deploy_model", {"task_token": attempt, **task})


def test_the_sample_task_creates_the_endpoint_of_the_sample_release(world: World, sample: Any) -> None:
    arn = world.register(1)
    world.decide(arn, "Approved")
    world.invoke("deploy_model", sample("deploy_model"))
    world.cloud.endpoints.settle(ENDPOINT)
    assert world.invoke("finish_deployment", sample("finish_deployment"))["status"] == "Deployed"
    ((token, answer),) = world.cloud.workflows.answers
    assert token == sample("deploy_model")["task_token"]
    assert answer == {
        "stage": "production",
        "endpoint_name": ENDPOINT,
        "endpoint_config_name": "sluice--reviews-v1-0a1b2c3d--production",
    }


OWN_ALARM = {
    "AlarmName": "refunds",
    "Namespace": "Shop",
    "MetricName": "Refunds",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 2,
    "Threshold": 9.0,
    "ComparisonOperator": "GreaterThanThreshold",
    "TreatMissingData": "notBreaching",
    "StateValue": "OK",
}


@pytest.fixture
def naming(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]) -> World:
    """A project whose stage names an alarm of the account's own."""
    text = World.pipeline_yaml.replace(", traffic: {", ", alarms: [refunds], traffic: {")
    text = text.replace("bake_s: 60, unwatched: true", "bake_s: 180")
    return World(cloud, invoke, pipeline_yaml=text)


def test_an_alarm_that_a_stage_names_guards_its_deployment_beside_ours(naming: World) -> None:
    naming.cloud.alarms.by_name["refunds"] = OWN_ALARM
    naming.approve(naming.register(1))
    naming.approve(naming.register(2))
    request = naming.cloud.endpoints.updates[-1]["DeploymentConfig"]["AutoRollbackConfiguration"]
    assert request["Alarms"] == [{"AlarmName": name} for name in (ERROR_ALARM, LATENCY_ALARM, "refunds")]


@pytest.mark.parametrize(
    ("alarm", "said"),
    [
        (None, "the alarm refunds does not exist"),
        ({**OWN_ALARM, "Period": 300}, "the alarm refunds needs 2 x 300 s"),
    ],
)
def test_a_release_whose_named_alarm_cannot_fire_is_refused_and_leaves_the_endpoint(
    naming: World, alarm: dict[str, Any] | None, said: str
) -> None:
    if alarm:
        naming.cloud.alarms.by_name["refunds"] = alarm
    release = naming.release(naming.approve(naming.register(1)))
    assert release["status"] == "refused"
    assert said in release["reasons"][0]
    assert ENDPOINT not in naming.cloud.endpoints.by_name


def test_a_rollback_asks_nothing_of_named_alarms(naming: World) -> None:
    naming.cloud.alarms.by_name["refunds"] = OWN_ALARM
    arns = [naming.register(1), naming.register(2)]
    for arn in arns:
        naming.approve(arn)
        naming.later(hours=1)
    del naming.cloud.alarms.by_name["refunds"]
    naming.decide(arns[1], "Rejected")
    naming.tell_decision(arns[1], "Rejected")
    naming.run_all()
    assert naming.live_version() == 1


def test_answers_that_are_the_models_errors_are_what_its_alarm_counts(
    cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]
) -> None:
    text = World.pipeline_yaml.replace("sample: sample.json", 'sample: sample.json, errors: ["4XX", "5XX"]')
    world = World(cloud, invoke, pipeline_yaml=text)
    world.approve(world.register(1))
    judged, _, *counted = cloud.alarms.by_name[ERROR_ALARM]["Metrics"]
    assert judged["Expression"] == "IF(invocations >= 10, (errors4xx + errors5xx) / invocations, 0)"
    metrics = [each["MetricStat"]["Metric"]["MetricName"] for each in counted]
    assert metrics == ["Invocation4XXErrors", "Invocation5XXErrors"]
    cloud.bus.entries.clear()
    world.invoke("reconcile", {})
    assert cloud.bus.entries == []


def test_a_model_is_made_from_the_runs_manifest(world: World, planned: dict[str, Any]) -> None:
    deploy(world, planned)
    (model,) = world.cloud.endpoints.models.values()
    (role,) = world.cloud.roles.by_name.values()
    assert model["ExecutionRoleArn"] == role.arn
    assert role.arn.startswith(f"{fakes.ROLES_ARN}reviews-serving-")
    assert model["PrimaryContainer"]["ModelDataUrl"] == world.uri(1, "model")
    assert model["PrimaryContainer"]["Environment"] == {
        "SAGEMAKER_SUBMIT_DIRECTORY": world.uri(1, "code"),
        "SLUICE_MODEL_VERSION": "1",
    }


def test_alarms_watch_the_endpoint_and_guard_its_update(world: World) -> None:
    world.approve(world.register(1))
    deploy(world, plan(world, world.register(2)))
    assert set(world.cloud.alarms.by_name) == {ERROR_ALARM, LATENCY_ALARM}
    guard = world.cloud.endpoints.updates[-1]["DeploymentConfig"]["AutoRollbackConfiguration"]
    assert {alarm["AlarmName"] for alarm in guard["Alarms"]} == {ERROR_ALARM, LATENCY_ALARM}


def test_an_alarm_that_the_project_no_longer_wants_is_deleted(
    cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]
) -> None:
    text = World.pipeline_yaml.replace("p99_latency_ms: 500, ", "")
    world = World(cloud, invoke, pipeline_yaml=text)
    world.cloud.alarms.put({"AlarmName": LATENCY_ALARM})
    deploy(world, plan(world, world.register(1)))
    assert set(world.cloud.alarms.by_name) == {ERROR_ALARM}


def test_a_rollback_is_not_guarded_by_the_alarm_that_caused_it(world: World) -> None:
    world.approve(world.register(1))
    world.later(hours=1)
    world.approve(world.register(2))
    world.fire()
    world.tell_alarm()
    world.run_all()
    assert "AutoRollbackConfiguration" not in world.cloud.endpoints.updates[-1]["DeploymentConfig"]
    assert world.served_version() == "1"


def test_a_release_does_not_start_while_its_alarm_fires_and_a_rollback_can(world: World) -> None:
    world.approve(world.register(1))
    world.later(hours=1)
    world.approve(world.register(2))
    world.fire()
    task = plan(world, world.register(3))
    with pytest.raises(Exception, match=f"{ERROR_ALARM} is in ALARM") as refusal:
        deploy(world, task)
    assert type(refusal.value).__name__ == "AlarmFiringError"
    assert world.served_version() == "2"


def test_a_release_goes_ahead_unguarded_where_nothing_could_be_put_back(world: World) -> None:
    world.approve(world.register(1))
    world.fire()
    deploy(world, plan(world, world.register(2)))
    assert "AutoRollbackConfiguration" not in world.cloud.endpoints.updates[-1]["DeploymentConfig"]
    assert "unguarded" in world.events()


def test_an_approval_taken_back_before_a_stage_stops_the_release(
    world: World, planned: dict[str, Any]
) -> None:
    world.decide(planned["package_arn"], "Rejected")
    with pytest.raises(Exception, match="the package is Rejected now"):
        deploy(world, planned)
    assert not world.cloud.endpoints.updates


def put_own_endpoint(world: World, status: str) -> None:
    """An endpoint that an earlier release made."""
    owner = tags.listed(tags.of_stage("sluice", PIPELINE, "production"))
    request = {"EndpointName": ENDPOINT, "EndpointConfigName": "other", "Tags": owner}
    world.cloud.endpoints.create_endpoint(request)
    world.cloud.endpoints.by_name[ENDPOINT]["EndpointStatus"] = status


@pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"])
def test_an_endpoint_that_is_being_changed_is_waited_for(
    world: World, planned: dict[str, Any], status: str
) -> None:
    put_own_endpoint(world, status)
    with pytest.raises(EndpointBusyError, match=status):
        deploy(world, planned)


def test_an_update_to_our_config_that_is_under_way_is_adopted(world: World) -> None:
    world.approve(world.register(1))
    task = plan(world, world.register(2))
    deploy(world, task, "token-a")
    world.fire()
    deploy(world, task, "token-b")
    assert len(world.cloud.endpoints.updates) == 2
    world.cloud.endpoints.settle(ENDPOINT)
    world.tell_endpoint()
    assert [token for token, _ in world.cloud.workflows.answers][-1] == "token-b"


def test_an_endpoint_whose_creation_failed_is_made_anew(world: World, planned: dict[str, Any]) -> None:
    put_own_endpoint(world, "Failed")
    with pytest.raises(EndpointBusyError, match="had failed and is being deleted"):
        deploy(world, planned)
    deploy(world, planned)
    assert world.cloud.endpoints.by_name[ENDPOINT]["EndpointStatus"] == "Creating"


def test_the_token_is_stored_before_the_endpoint_is_changed(
    world: World, planned: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = []

    def create(request: Any) -> None:
        stored.append(world.cloud.catalog.get(keys.task_key(ENDPOINT)))

    monkeypatch.setattr(world.cloud.endpoints, "create_endpoint", create)
    deploy(world, planned)
    (task,) = stored
    assert task is not None
    assert (task["task_token"], task["status"], task["requested"]) == ("token-a", "open", False)


def test_an_event_of_before_the_update_is_no_rollback(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The endpoint is InService on its old config until the update is asked for."""
    world.approve(world.register(1))
    task = plan(world, world.register(2))
    update = world.cloud.endpoints.update_endpoint

    def late(request: Any) -> None:
        assert world.tell_endpoint()["status"] == "not requested yet"
        update(request)

    monkeypatch.setattr(world.cloud.endpoints, "update_endpoint", late)
    deploy(world, task)
    assert not world.cloud.workflows.failures
    world.cloud.endpoints.settle(ENDPOINT)
    assert world.tell_endpoint()["status"] == "Deployed"


def test_a_change_that_ended_before_it_was_confirmed_is_told_of_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Back on the old config before we wrote that we had asked: nobody else would tell."""
    world.approve(world.register(1))
    old = world.cloud.endpoints.by_name[ENDPOINT]["EndpointConfigName"]
    task = plan(world, world.register(2))
    update = world.cloud.endpoints.update_endpoint

    def instant(request: Any) -> None:
        update(request)
        world.cloud.endpoints.settle(ENDPOINT, config=old)
        assert world.tell_endpoint()["status"] == "not requested yet"

    monkeypatch.setattr(world.cloud.endpoints, "update_endpoint", instant)
    deploy(world, task)
    assert world.cloud.bus.entries == [("SageMaker Endpoint State Change", {"EndpointName": ENDPOINT}, ())]
    assert world.tell_endpoint()["status"] == "NotDeployed"
    ((_, error, _),) = world.cloud.workflows.failures
    assert error == "DeploymentRolledBackError"


@pytest.mark.parametrize("times", [1, 5])
def test_an_end_that_is_told_of_again_is_answered_once(
    world: World, planned: dict[str, Any], times: int
) -> None:
    deploy(world, planned)
    world.cloud.endpoints.settle(ENDPOINT)
    for _ in range(times):
        world.tell_endpoint()
    assert len(world.cloud.workflows.answers) == 1
    assert world.cloud.catalog.listing(keys.TASKS) == []


def test_an_endpoint_that_nobody_waits_for_is_nobodys_business(world: World) -> None:
    assert world.tell_endpoint("someone-elses")["status"] == "nobody waits"


def test_an_endpoint_that_is_still_changing_is_not_answered(world: World, planned: dict[str, Any]) -> None:
    deploy(world, planned)
    assert world.tell_endpoint()["status"] == "still changing"


def test_a_restore_goes_back_at_once_to_what_served_before(world: World) -> None:
    world.approve(world.register(1))
    before = world.cloud.endpoints.by_name[ENDPOINT]["EndpointConfigName"]
    task = plan(world, world.register(2))
    world.deploy(task)
    world.deploy({**task, "restore": True})
    assert world.cloud.endpoints.by_name[ENDPOINT]["EndpointConfigName"] == before
    assert "AutoRollbackConfiguration" not in world.cloud.endpoints.updates[-1]["DeploymentConfig"]


def test_where_nothing_served_before_there_is_nothing_to_restore(
    world: World, planned: dict[str, Any]
) -> None:
    with pytest.raises(Exception, match="served nothing before that could be restored"):
        deploy(world, {**planned, "restore": True})


@pytest.mark.parametrize(
    "found",
    [
        {},
        tags.of_stage("sluice-staging", PIPELINE, "production"),
        tags.of_stage("sluice", "others", "production"),
        tags.of_stage("sluice", PIPELINE, "staging"),
    ],
)
def test_an_endpoint_that_the_stage_did_not_make_is_never_taken_over(
    world: World, found: dict[str, str]
) -> None:
    request = {"EndpointName": ENDPOINT, "EndpointConfigName": "theirs", "Tags": tags.listed(found)}
    world.cloud.endpoints.create_endpoint(request)
    world.cloud.endpoints.settle(ENDPOINT)
    release = world.release(world.approve(world.register(1)))
    assert release["status"] == "refused"
    assert f"the endpoint {ENDPOINT} was not made by this stage's releases" in release["reasons"][0]
    assert "aws sagemaker add-tags" in release["reasons"][0]
    assert world.cloud.endpoints.by_name[ENDPOINT]["EndpointConfigName"] == "theirs"


def test_an_endpoint_that_comes_between_plan_and_deployment_is_not_taken_over(
    world: World, planned: dict[str, Any]
) -> None:
    world.cloud.endpoints.create_endpoint({"EndpointName": ENDPOINT, "EndpointConfigName": "theirs"})
    with pytest.raises(Exception, match="was not made by this stage's releases"):
        deploy(world, planned)


def test_what_a_release_makes_says_by_its_tags_whose_it_is(world: World, planned: dict[str, Any]) -> None:
    deploy(world, planned)
    endpoints = world.cloud.endpoints
    owner = {"sluice:stack": "sluice", "sluice:pipeline": PIPELINE}
    endpoint = endpoints.by_name[ENDPOINT]["EndpointArn"]
    assert endpoints.tags(endpoint) == {**owner, "sluice:stage": "production"}
    for made in (*endpoints.models.values(), *endpoints.configs.values()):
        arn = made.get("ModelArn") or made["EndpointConfigArn"]
        assert endpoints.tags(arn) == {**owner, "sluice:release": planned["release_id"]}


@pytest.mark.parametrize("kind", ["model", "config"])
def test_a_model_or_config_of_that_name_that_is_not_ours_is_not_used(
    world: World, planned: dict[str, Any], kind: str
) -> None:
    if kind == "model":
        world.cloud.endpoints.create_model({"ModelName": planned["stage"]["model_name"]})
    else:
        name = planned["stage"]["endpoint_config_name"]
        world.cloud.endpoints.create_config({"EndpointConfigName": name})
    with pytest.raises(Exception, match="was not made by this stage's releases"):
        deploy(world, planned)
    assert not world.cloud.endpoints.updates


def test_a_stage_keeps_the_endpoint_that_it_has_had(world: World) -> None:
    stage = keys.stage_key(PIPELINE, "production")
    world.cloud.catalog.create({**stage, "endpoint_name": "reviews-production"})
    assert plan(world, world.register(1))["stage"]["endpoint_name"] == "reviews-production"


def test_a_planned_stage_names_everything_after_its_release(planned: dict[str, Any]) -> None:
    release_id = planned["release_id"]
    assert planned["stage"] == {
        "stage": "production",
        "endpoint_name": f"sluice--{PIPELINE}--production",
        "model_name": f"sluice--{release_id}",
        "endpoint_config_name": f"sluice--{release_id}--production",
        "previous_config_name": None,
        "bake_s": 60,
        "is_scaled": False,
        "keeps_instances": False,
        "is_batch": False,
        "shadow": None,
    }


@pytest.mark.parametrize("is_update", [True, False])
@pytest.mark.parametrize(("limit", "error"), [(0, "QuotaTooLowError"), (4, "QuotaTakenError")])
def test_a_quota_is_told_of_at_once_with_what_an_update_needs(
    world: World, monkeypatch: pytest.MonkeyPatch, is_update: bool, limit: int, error: str
) -> None:
    if is_update:
        world.approve(world.register(1))
    task = plan(world, world.register(2))

    def refused(_: object) -> None:
        raise QuotaError(
            f"The account-level service limit 'ml.m5.large for endpoint usage' is {limit} Instances, with "
            "current utilization of 4 Instances and a request delta of 1 Instances."
        )

    monkeypatch.setattr(world.cloud.endpoints, "create_endpoint", refused)
    monkeypatch.setattr(world.cloud.endpoints, "update_endpoint", refused)
    with pytest.raises(Exception, match=r"ml\.m5\.large for endpoint usage") as raised:
        deploy(world, task)
    assert type(raised.value).__name__ == error
    assert ("blue/green" in str(raised.value)) is is_update
    events = world.cloud.catalog.query(keys.partition(PIPELINE), "TIMELINE#")
    assert [item["detail"] for item in events if "quota" in item["event"]] == [str(raised.value)]
