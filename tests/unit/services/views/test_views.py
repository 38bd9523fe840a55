"""What commands and pages show of a pipeline is what happened to it."""

from __future__ import annotations

from typing import Any

import pytest

import build_world
import fakes
import release_world
from sluice.catalog import keys
from sluice.catalog.changes import arrivals
from sluice.catalog.changes import releases as changes
from sluice.catalog.records.arrivals import UnclaimedArrival
from sluice.catalog.records.releases import Deployment, Release
from sluice.catalog.records.timeline import Entry
from sluice.domain.failures import MissingError
from sluice.events import BuildTask
from sluice.services.build import costs
from sluice.services.building import find_begun
from sluice.services.views import awaited, data, pipelines, runs, stages, uploads

TWO_STAGES = release_world.PIPELINE_YAML.replace(
    "stages: [{name: production,", "stages: [{name: staging}, {name: production, requires_approval: true,"
)


@pytest.fixture
def building(cloud: fakes.Cloud, invoke: build_world.Invoke, judged_once: None) -> build_world.World:
    world = build_world.World(cloud, invoke)
    world.push()
    return world


@pytest.fixture
def releasing(cloud: fakes.Cloud, invoke: release_world.Invoke) -> release_world.World:
    return release_world.World(cloud, invoke)


def test_a_pipeline_that_was_only_pushed_has_nothing_to_show_but_itself(building: build_world.World) -> None:
    (shown,) = pipelines.pipelines(building.cloud)
    assert shown["gsi1sk"] == build_world.PIPELINE
    assert pipelines.pipeline_names(building.cloud) == [build_world.PIPELINE]
    status = pipelines.status(building.cloud, build_world.PIPELINE)
    assert status["project_version"] == building.pipeline["project_version"]
    assert (status["last_run"], status["last_release"], status["in_flight"]) == (None, None, None)
    assert status["stages"] == status["awaited"] == status["waiting_steps"] == []


def test_a_pipeline_that_is_not_there_waits_for_nobody(cloud: fakes.Cloud) -> None:
    assert pipelines.pipelines(cloud) == []
    assert awaited.decisions(cloud, "nobody") == []


def test_what_is_not_there_waits_for_nothing(building: build_world.World) -> None:
    assert data.what_waits(building.cloud, "nobody") == {
        "incomplete": [],
        "next_build": None,
        "failed": None,
        "deleted": [],
    }
    assert data.why_waiting(building.cloud, build_world.PIPELINE) == ""
    nothing = {"estimate": None, "month": None, "held_back": None}
    assert costs.outlook(building.cloud, "nobody") == nothing


def test_all_that_arrived_is_listed_by_state(building: build_world.World) -> None:
    building.build("a.csv")
    building.upload("c.csv")
    building.upload("b.csv", b"")
    found = uploads.page(building.cloud, build_world.PIPELINE)
    assert [(each.key.rpartition("/")[2], each.status) for each in found.items] == [
        ("a.csv", "included"),
        ("c.csv", "pending"),
        ("b.csv", "quarantined"),
    ]
    assert found.after is None


def test_a_task_of_a_run_that_is_not_in_the_catalog_is_refused(building: build_world.World) -> None:
    task = BuildTask(pipeline=build_world.PIPELINE, run_id="reviews-00009", project_version="ab" * 32)
    with pytest.raises(MissingError, match="there is no run reviews-00009"):
        find_begun(building.cloud, task)


def test_what_a_run_did_is_shown_in_the_order_in_which_it_did_it(building: build_world.World) -> None:
    assert building.build("a.csv") == "registered"
    shown = runs.run(building.cloud, build_world.RUN)
    assert shown is not None
    assert shown["model"] == f"{build_world.PIPELINE}/1"
    steps = [step["step"] for step in shown["steps"]]
    assert {"prepare", "train-0", "evaluate-candidate", "gates", "register"} <= set(steps)
    times = [str(step.get("started_at") or "") for step in shown["steps"]]
    assert times == sorted(times)
    assert "run registered" in [entry["event"] for entry in shown["timeline"]]
    assert {entry["subject"] for entry in shown["timeline"]} == {build_world.RUN}


def test_what_runs_beside_each_other_is_shown_by_its_index_and_what_an_ended_run_left_as_stopping(
    building: build_world.World,
) -> None:
    assert building.build("a.csv") == "registered"
    catalog, run = building.cloud.catalog, build_world.RUN
    catalog.update(
        keys.step_key(run, "train-0"), {"started_at": "9", "status": "InProgress", "ended_at": None}
    )
    catalog.update(keys.run_key(build_world.PIPELINE, run), {"status": "failed"})
    shown = runs.run(building.cloud, run)
    assert shown is not None
    steps = {step["step"]: step["status"] for step in shown["steps"]}
    trained = [step for step in steps if step.startswith("train-")]
    assert trained == sorted(trained)
    assert trained[0] == "train-0"
    assert [*steps].index("prepare") < [*steps].index("train-0") < [*steps].index("evaluate-candidate")
    assert steps["train-0"] == "Stopping"


def test_runs_are_shown_newest_first_and_only_so_many(building: build_world.World) -> None:
    building.build("a.csv")
    building.later(hours=1)
    building.build("b.csv")
    newest, first = runs.runs(building.cloud, build_world.PIPELINE)
    assert (newest["run_id"], first["run_id"]) == ("reviews-00002", "reviews-00001")
    assert runs.runs(building.cloud, build_world.PIPELINE, limit=1) == [newest]
    assert runs.runs(building.cloud, build_world.PIPELINE, after="reviews-00002") == [first]
    assert runs.runs(building.cloud, build_world.PIPELINE, after="reviews-00001") == []
    assert pipelines.status(building.cloud, build_world.PIPELINE)["last_run"] == newest


def test_a_run_that_is_not_there_is_none(building: build_world.World) -> None:
    assert runs.run(building.cloud, "reviews-00009") is None
    assert runs.waiting_steps(building.cloud, None) == []


def test_a_stage_is_shown_with_its_endpoint_and_alarms(releasing: release_world.World) -> None:
    release_id = releasing.approve(releasing.register(1))
    status = pipelines.status(releasing.cloud, release_world.PIPELINE)
    (stage,) = status["stages"]
    assert (stage["stage"], stage["live_version"], stage["run_id"]) == ("production", 1, "reviews-00001")
    assert (stage["endpoint_status"], stage["is_rejected"], stage["guard_faults"]) == ("InService", False, [])
    assert release_world.ERROR_ALARM in [alarm["alarm"] for alarm in stage["alarms"]]
    assert status["last_release"]["release_id"] == release_id
    assert status["timeline"][-1]["event"] == "promoted"


@pytest.mark.parametrize(
    ("changed", "command"),
    [
        ({"status": "released"}, None),
        ({"status": "refused"}, None),
        ({}, "approve reviews/1"),
        ({"cause": "command"}, "approve reviews/1 --stage production"),
        ({"cause": "command", "is_rollback": True}, "rollback reviews --stage production"),
        ({"cause": "alarm", "is_rollback": True}, None),
        ({"stages": []}, None),
    ],
)
def test_a_failed_release_is_shown_with_what_tries_it_again(
    releasing: release_world.World, changed: dict[str, Any], command: str | None
) -> None:
    release_id = releasing.approve(releasing.register(1))
    key = keys.release_key(release_world.PIPELINE, release_id)
    releasing.cloud.catalog.update(key, {"status": "failed", "stages": ["production"], **changed})
    found = stages.last_release(releasing.cloud, release_world.PIPELINE, release_id)
    assert found is not None
    assert found["command"] == command


def test_an_endpoint_and_an_alarm_that_were_deleted_are_shown_as_such(releasing: release_world.World) -> None:
    releasing.approve(releasing.register(1))
    releasing.cloud.alarms.delete([release_world.ERROR_ALARM])
    assert stages.guard_faults(releasing.cloud, release_world.PIPELINE, "production") == [
        f"{release_world.ERROR_ALARM} is missing"
    ]
    releasing.cloud.endpoints.delete_endpoint(release_world.ENDPOINT)
    releasing.cloud.endpoints.by_name.pop(release_world.ENDPOINT, None)
    (stage,) = pipelines.status(releasing.cloud, release_world.PIPELINE)["stages"]
    assert stage["endpoint_status"] == "missing"


def test_a_rejected_model_that_serves_all_the_same_is_marked(releasing: release_world.World) -> None:
    arn = releasing.register(1)
    releasing.approve(arn)
    releasing.decide(arn, "Rejected")
    (stage,) = pipelines.status(releasing.cloud, release_world.PIPELINE)["stages"]
    assert stage["is_rejected"]


@pytest.mark.parametrize("is_noted", [True, False])
def test_a_person_is_awaited_for_the_next_stage_until_they_have_taken_it_back(
    cloud: fakes.Cloud, invoke: release_world.Invoke, is_noted: bool
) -> None:
    world = release_world.World(cloud, invoke, TWO_STAGES)
    current = {"project_version": world.project_version}
    cloud.catalog.update(keys.pipeline_key(release_world.PIPELINE), current)
    arn = world.register(1)
    (approval,) = awaited.decisions(cloud, release_world.PIPELINE)
    assert (approval["what"], approval["command"]) == ("approval", "approve reviews/1")
    world.approve(arn)
    (release,) = awaited.decisions(cloud, release_world.PIPELINE)
    assert (release["stage"], release["arn"]) == ("production", arn)
    taken_back = Deployment(
        release_world.PIPELINE, "production", "reviews-v1-0a0a0a0a", arn, 1, "live", "config", promoted_at="1"
    )
    cloud.catalog.create(taken_back.item())
    if is_noted:
        assert cloud.catalog.apply(*changes.take_back(taken_back, "2"))
    else:
        # As an older stack did.
        cloud.catalog.update(taken_back.item(), {"status": "rolled_back"})
    assert awaited.decisions(cloud, release_world.PIPELINE) == []


@pytest.mark.parametrize("past", [10, 300])
def test_a_status_reads_no_more_of_releases_and_models_the_older_a_pipeline_is(
    cloud: fakes.Cloud, invoke: release_world.Invoke, monkeypatch: pytest.MonkeyPatch, past: int
) -> None:
    world = release_world.World(cloud, invoke)
    for number in range(1, past):
        version_arn = world.register(number)
        cloud.registry.by_arn[version_arn]["ModelApprovalStatus"] = "Rejected"
        old = Release(
            release_world.PIPELINE, f"reviews-v{number}-0a", "approval", "released", "me", "arn", "1"
        )
        cloud.catalog.create(old.item())
    release_id = world.approve(world.register(past))
    reads = 0
    get, query = cloud.catalog.get, cloud.catalog.query

    def counted(found: Any) -> Any:
        nonlocal reads
        reads += len(found) if isinstance(found, list) else 1
        return found

    monkeypatch.setattr(cloud.catalog, "get", lambda *given: counted(get(*given)))
    monkeypatch.setattr(cloud.catalog, "query", lambda *given, **said: counted(query(*given, **said)))
    status = pipelines.status(cloud, release_world.PIPELINE)
    assert status["last_release"]["release_id"] == release_id
    assert reads < 40


def test_an_object_of_no_pipeline_is_shown(building: build_world.World) -> None:
    version_id = building.cloud.objects.put(fakes.DATA_BUCKET, "nobody/a.csv", b"x\n1\n")
    building.invoke("record_arrival", build_world.created(fakes.DATA_BUCKET, "nobody/a.csv", version_id))
    # A decision about a package of nobody is noted in the same place.
    building.cloud.catalog.create(Entry(None, "2026", "a", "b", "me", "").item())
    (shown,) = pipelines.unclaimed(building.cloud)
    assert shown["key"] == "nobody/a.csv"
    assert "pk" not in shown
    (item,) = building.cloud.catalog.query(keys.UNCLAIMED, keys.ARRIVALS)
    building.cloud.catalog.apply(arrivals.claim(UnclaimedArrival.of(item)))
    assert pipelines.unclaimed(building.cloud) == []


@pytest.mark.parametrize("is_indexed", [True, None])
def test_pages_of_data_set_versions_are_together_what_all_are(
    building: build_world.World, is_indexed: bool | None
) -> None:
    """With an index by time, and without one, as an older stack has none."""
    for number in range(3):
        building.build(f"{number}.csv")
        building.later(hours=1)
    building.cloud.catalog.update(keys.pipeline_key(build_world.PIPELINE), {"is_indexed": is_indexed})
    every = data.dataset_versions(building.cloud, build_world.PIPELINE)
    assert [each["objects"] for each in every] == [3, 2, 1]
    first = data.dataset_versions(building.cloud, build_world.PIPELINE, limit=2)
    last = first[-1]["dataset_version"]
    rest = data.dataset_versions(building.cloud, build_world.PIPELINE, limit=2, after=last)
    assert [*first, *rest] == every
