"""What an event should have told is told again, until it was heard; nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import fakes
from handlers import LambdaContext, load_function
from release_world import ENDPOINT, PIPELINE, World
from sluice.catalog import keys
from sluice.catalog.changes import releases as changes
from sluice.catalog.records.arrivals import Arrival, UnclaimedArrival
from sluice.catalog.records.builds import JobTask, Pipeline
from sluice.catalog.records.releases import Package
from sluice.services.views import models

PUSHED = "a" * 64


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]) -> World:
    return World(cloud, invoke)


def sent(world: World) -> list[tuple[str, dict[str, Any]]]:
    """What a run of reconcile puts on the bus."""
    world.cloud.bus.entries.clear()
    world.invoke("reconcile", {})
    return [(name, detail) for name, detail, _ in world.cloud.bus.entries]


def types(world: World) -> list[str]:
    return [name for name, _ in sent(world)]


def test_the_sample_event_finds_nothing_where_nothing_was_lost(world: World, sample: Any) -> None:
    world.approve(world.register(1))
    result = world.invoke("reconcile", sample("reconcile"))
    assert result == {"sent": {}, "finished": True}


def test_an_approval_whose_event_was_lost_is_released(world: World) -> None:
    arn = world.register(1)
    world.decide(arn, "Approved")
    ((name, detail),) = sent(world)
    assert name == "SageMaker Model Package State Change"
    assert detail["ModelApprovalStatus"] == "Approved"
    world.invoke("record_approval", {"detail": detail})
    world.run_all()
    assert world.live_version() == 1
    assert sent(world) == []


def test_a_foreign_approval_is_told_of_until_it_was_noted(world: World) -> None:
    arn = world.create_package(ClientToken="x", metadata={})
    world.decide(arn, "Approved")
    ((_, detail),) = sent(world)
    world.invoke("record_approval", {"detail": detail})
    assert sent(world) == []


def test_a_deployment_whose_event_was_lost_is_finished(world: World, sample: Any) -> None:
    world.decide(world.register(1), "Approved")
    world.tell_decision(next(iter(world.cloud.registry.by_arn)), "Approved")
    world.invoke("deploy_model", sample("deploy_model"))
    assert types(world) == []
    world.cloud.endpoints.settle(ENDPOINT)
    assert sent(world) == [("SageMaker Endpoint State Change", {"EndpointName": ENDPOINT})]
    world.tell_endpoint()
    assert len(world.cloud.workflows.answers) == 1
    assert types(world) == []


def test_an_endpoint_deleted_by_hand_without_an_event_is_noticed(world: World, sample: Any) -> None:
    world.decide(world.register(1), "Approved")
    world.tell_decision(next(iter(world.cloud.registry.by_arn)), "Approved")
    world.invoke("deploy_model", sample("deploy_model"))
    world.cloud.endpoints.delete_endpoint(ENDPOINT)
    assert types(world) == ["SageMaker Endpoint State Change"]
    world.tell_endpoint()
    ((_, error, _),) = world.cloud.workflows.failures
    assert error == "EndpointDeletedError"


@pytest.mark.parametrize(("status", "is_sent"), [("InProgress", False), ("Completed", True)])
def test_a_job_whose_event_was_lost_is_told_of(world: World, status: str, is_sent: bool) -> None:
    job, run_id = f"{PIPELINE}-00001-train-0", f"{PIPELINE}-00001"
    task = JobTask(job, "token", "training_job", PIPELINE, run_id, "train-0", "open", 1)
    world.cloud.catalog.create(task.item())
    world.cloud.jobs.descriptions[job] = {"TrainingJobName": job, "TrainingJobStatus": status}
    expected = [
        ("SageMaker Training Job State Change", {"TrainingJobName": job, "TrainingJobStatus": status})
    ]
    assert sent(world) == (expected if is_sent else [])


def test_an_alarm_that_keeps_firing_is_told_of_again(world: World) -> None:
    world.approve(world.register(1))
    world.fire()
    ((name, detail),) = sent(world)
    assert name == "CloudWatch Alarm State Change"
    assert detail["state"] == {"value": "ALARM"}


def test_a_release_whose_execution_died_is_ended(world: World) -> None:
    execution_arn = world.begin()
    assert types(world) == []
    world.cloud.workflows.executions[execution_arn]["status"] = "TIMED_OUT"
    ((_, detail),) = sent(world)
    assert detail["status"] == "TIMED_OUT"
    world.invoke("finish_release", {"detail": detail})
    assert world.stage().get("releasing") is None
    assert sent(world) == []


def test_a_build_whose_execution_died_is_told_of_and_one_that_never_began_is_asked_for(world: World) -> None:
    run_id = f"{PIPELINE}-00001"
    world.cloud.catalog.update(keys.pipeline_key(PIPELINE), {"in_flight": run_id})
    world.invoke("reconcile", {})
    assert world.cloud.build_requests.sent == [(PIPELINE, 0)]
    execution_arn = world.cloud.workflows.start("build", run_id, {"pipeline": PIPELINE})
    run = {**keys.run_key(PIPELINE, run_id), "status": "running", "execution_arn": execution_arn}
    world.cloud.catalog.create(run)
    assert types(world) == []
    world.cloud.workflows.executions[execution_arn]["status"] = "FAILED"
    ((name, detail),) = sent(world)
    assert name == "Step Functions Execution Status Change"
    assert (detail["name"], detail["status"]) == (run_id, "FAILED")


@pytest.mark.parametrize("key", [f"{PIPELINE}/a b+c%20ü.csv", "nobody/a.csv", "a.csv"])
def test_an_upload_that_was_not_seen_is_told_of(world: World, key: str) -> None:
    version_id = world.cloud.objects.put(fakes.DATA_BUCKET, key, b"x")
    expected = {"bucket": {"name": fakes.DATA_BUCKET}, "object": {"key": key, "version-id": version_id}}
    assert sent(world) == [("Object Created", expected)]


@pytest.mark.parametrize("key", [f"{PIPELINE}/a.csv", "nobody/a.csv", "a.csv"])
def test_an_upload_that_was_recorded_is_not(world: World, key: str) -> None:
    version_id = world.cloud.objects.put(fakes.DATA_BUCKET, key, b"x")
    is_ours = key.startswith(PIPELINE)
    ours = Arrival(PIPELINE, key, version_id, 1, world.cloud.now.at, "included", state=keys.SETTLED)
    nobodys = UnclaimedArrival(key, version_id, 1, world.cloud.now.at, "no pipeline")
    world.cloud.catalog.create(ours.item() if is_ours else nobodys.item())
    assert sent(world) == []


def test_a_new_version_of_an_upload_is_another_upload(world: World) -> None:
    key = f"{PIPELINE}/a.csv"
    first = world.cloud.objects.put(fakes.DATA_BUCKET, key, b"x")
    settled = Arrival(PIPELINE, key, first, 1, world.cloud.now.at, "included", state=keys.SETTLED)
    world.cloud.catalog.create(settled.item())
    second = world.cloud.objects.put(fakes.DATA_BUCKET, key, b"y")
    ((_, detail),) = sent(world)
    assert detail["object"]["version-id"] == second


def test_a_folder_marker_is_no_upload(world: World) -> None:
    world.cloud.objects.put(fakes.DATA_BUCKET, f"{PIPELINE}/", b"")
    assert sent(world) == []


def test_a_pushed_project_that_was_not_seen_is_told_of(world: World) -> None:
    key = f"projects/fraud/{'a' * 64}.tar.gz"
    world.cloud.objects.put(fakes.ARTIFACT_BUCKET, key, b"x")
    world.cloud.objects.put(fakes.ARTIFACT_BUCKET, f"projects/fraud/{'a' * 64}/code/a.py", b"x")
    ((name, detail),) = sent(world)
    assert (name, detail["object"]["key"]) == ("Object Created", key)


def test_a_pipeline_with_waiting_arrivals_is_asked_about(world: World) -> None:
    key = f"{PIPELINE}/a.csv"
    version_id = world.cloud.objects.put(fakes.DATA_BUCKET, key, b"x")
    world.cloud.catalog.create(Arrival(PIPELINE, key, version_id, 1, world.cloud.now.at, "pending").item())
    world.invoke("reconcile", {})
    assert world.cloud.build_requests.sent == [(PIPELINE, 0)]


def test_it_stops_in_time_and_says_that_it_did_not_finish(world: World) -> None:
    for number in range(5):
        world.cloud.objects.put(fakes.DATA_BUCKET, f"{PIPELINE}/{number}.csv", b"x")

    class Hurried(LambdaContext):
        def get_remaining_time_in_millis(self) -> int:
            return 5_000 if len(world.cloud.bus.entries) >= 2 else 300_000

    result = load_function("reconcile").lambda_handler({}, Hurried())
    assert result == {"sent": {"Object Created": 2}, "finished": False}


def test_a_decision_about_a_version_of_a_former_group_is_not_lost(world: World) -> None:
    arn = world.register(1)
    groups = {"group": "new", "groups": [PIPELINE, "new"]}
    world.cloud.catalog.update(keys.pipeline_key(PIPELINE), groups)
    world.decide(arn, "Approved")
    assert types(world) == ["SageMaker Model Package State Change"]


def pending(world: World, number: int) -> str:
    """A version that waits for a person, as register_model leaves it."""
    arn = world.register(number)
    run_id, at = f"{PIPELINE}-{number:05d}", world.cloud.now()
    package = Package(arn, PIPELINE, number, "sluice", PIPELINE, run_id, created_at=at)
    world.cloud.catalog.create(package.item())
    world.cloud.catalog.update(
        keys.pipeline_key(PIPELINE), {"newest_package": arn, "groups": [PIPELINE]}, None
    )
    return arn


def waiting_for_a_person(world: World) -> list[int]:
    item = world.cloud.catalog.get(keys.pipeline_key(PIPELINE)) or {}
    rows = models.on_record(world.cloud, Pipeline.of(item), []) or []
    return [row["version"] for row in rows if row["approval_status"] == "PendingManualApproval"]


def test_a_pending_version_that_somebody_deleted_waits_for_nobody(world: World) -> None:
    first, second = pending(world, 1), pending(world, 2)
    assert sent(world) == []
    assert waiting_for_a_person(world) == [2, 1]
    del world.cloud.registry.by_arn[second]
    for _ in range(2):
        for _, detail in sent(world):
            assert detail["ModelPackageArn"] == second
            world.invoke("record_approval", {"detail": detail})
    assert waiting_for_a_person(world) == [1]
    assert world.events().count("version deleted") == 1
    assert sent(world) == []
    del world.cloud.registry.by_arn[first]
    assert len(sent(world)) == 1


def test_a_version_of_the_same_arn_that_is_registered_again_waits_again(world: World) -> None:
    arn = pending(world, 1)
    del world.cloud.registry.by_arn[arn]
    ((_, detail),) = sent(world)
    world.invoke("record_approval", {"detail": detail})
    seen = Package.of(world.cloud.catalog.get(keys.package_key(arn)) or {})
    again = replace(seen, run_id=f"{PIPELINE}-00009", deleted_at=None)
    assert world.cloud.catalog.apply(changes.register_again(seen, again))
    assert waiting_for_a_person(world) == [1]
