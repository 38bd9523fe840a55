"""Why a version serves is told from what was recorded, and what was not recorded is not made up."""

from __future__ import annotations

import json
from typing import Any

import pytest

import fakes
import release_world
from release_world import ERROR_ALARM, PIPELINE, World
from sluice.catalog import keys
from sluice.catalog.records.builds import Step
from sluice.catalog.records.data import Dataset
from sluice.catalog.records.monitoring import Watch, Window
from sluice.domain import names
from sluice.services import timeline
from sluice.services.views import story

CANARY = "{name: staging, traffic: {type: canary, percent: 10, bake_s: 180}}"
TWO_STAGES = release_world.PIPELINE_YAML.replace(
    "stages: [{name: production,", f"stages: [{CANARY}, {{name: production,"
).replace("sample: sample.json}", "sample: sample.json, compute: {instance_count: 2}}")
REPORT = f"s3://{fakes.ARTIFACT_BUCKET}/datasets/{PIPELINE}/d1/report.json"
GATE = {
    "gate": "metrics.accuracy.value >= 0.5",
    "passed": True,
    "value": 0.9,
    "reason": "0.9 is at least 0.5",
}


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: release_world.Invoke) -> World:
    """A version with what its run recorded, released to both stages."""
    made = World(cloud, invoke, TWO_STAGES)
    arn = made.register(1)
    record_run(made, f"{PIPELINE}-00001")
    made.approve(arn)
    made.later(hours=1)
    return made


def record_run(world: World, run_id: str) -> None:
    catalog, now = world.cloud.catalog, world.cloud.now.at
    catalog.update(
        keys.run_key(PIPELINE, run_id),
        {"dataset_version": "d1", "cause": "upload of a.csv", "started_at": now, "ended_at": now},
    )
    catalog.create(
        Dataset(PIPELINE, "d1", "valid", "s3://m", 3, 99, now, rows=1200, report_uri=REPORT).item()
    )
    world.cloud.objects.write(REPORT, json.dumps({"checks": 12, "violations": [{}], "rows": 1200}).encode())
    detail = {"ranked": ["train-0"], "why": "the best accuracy", "champion": None}
    catalog.create(Step(run_id, names.SELECT, "Completed", "selection", detail=detail).item())
    catalog.create(Step(run_id, names.GATES, "Completed", "gates", detail=[GATE]).item())


def told(world: World, stage: str = "production") -> dict[str, Any]:
    found = story.why(world.cloud, PIPELINE, stage)
    assert found is not None
    return found


def test_the_story_begins_with_data_and_ends_with_what_came_of_it(world: World) -> None:
    found = told(world)
    assert (found["serves"]["model"], found["deviation"]) == (f"{PIPELINE}/1", None)
    data = found["data"]
    assert (data["rows"], data["objects"], data["checks"], data["warnings"]) == (1200, 3, 12, 1)
    assert (found["run"]["run_id"], found["run"]["cause"]) == (f"{PIPELINE}-00001", "upload of a.csv")
    assert (found["candidates"]["chosen"], found["candidates"]["why"]) == ("train-0", "the best accuracy")
    assert found["gates"] == [GATE]
    (approval,) = found["approvals"]
    assert approval["approver"].endswith("user/anna")
    assert (approval["status"], approval["reason"]) == ("Approved", "Approved by hand")
    (release,) = found["releases"]
    assert (release["cause"], release["status"]) == ("approval", "released")
    shifts = {shift["stage"]: shift["traffic"] for shift in release["stages"]}
    assert shifts["staging"] == {"type": "canary", "percent": 10, "bake_s": 180}
    assert shifts["production"]["type"] == "all_at_once"
    events = [event["event"] for event in release["events"]]
    assert "release started" in events
    assert "released" in events
    assert events.count("promoted") == 2
    assert found["since"] == {"windows": [], "labels": [], "events": []}


@pytest.mark.parametrize("are_named", [True, False], ids=["by their names", "of an older stack"])
def test_alarms_windows_and_notes_since_are_of_this_release_alone(world: World, are_named: bool) -> None:
    live, now = str(world.stage()["live"]), world.cloud.now.at
    starts = [f"2026-12-01T0{number}:00:00.000Z" for number in range(2)]
    known = {"recent": starts[::-1], "recent_labels": []} if are_named else {}
    world.cloud.catalog.create(Watch(PIPELINE, "production", live, now, **known).item())  # type: ignore[arg-type]
    for start, release_id in zip(starts, (live, "another"), strict=True):
        window = Window(
            PIPELINE,
            "production",
            start,
            start,
            release_id,
            1,
            "violated",
            now,
            start,
            reasons={"drift": ["x moved"]},
        )
        world.cloud.catalog.create(window.item())
    timeline.note(world.cloud, PIPELINE, now, f"production {live}", "monitoring", "x moved")
    timeline.note(world.cloud, PIPELINE, now, live, "alarm", "it fires", ERROR_ALARM)
    timeline.note(world.cloud, PIPELINE, now, f"{PIPELINE}-00002", "build started", "")
    since = told(world)["since"]
    assert [each["reasons"] for each in since["windows"]] == [{"drift": ["x moved"]}]
    assert sorted(each["event"] for each in since["events"]) == ["alarm", "monitoring"]


def test_windows_of_one_verdict_and_what_they_said_again_and_again_are_told_together(world: World) -> None:
    live, now = str(world.stage()["live"]), world.cloud.now.at
    starts = [f"2026-12-01T00:0{number}:00.000Z" for number in range(6)]
    world.cloud.catalog.create(
        Watch(PIPELINE, "production", live, now, recent=starts[::-1], recent_labels=[]).item()
    )
    for number, start in enumerate(starts):
        moved = number in (2, 3, 4)
        window = Window(
            PIPELINE,
            "production",
            start,
            start.replace(":00.000", ":59.000"),
            live,
            1,
            "violated" if moved else "ok",
            now,
            start,
            rows=10,
            reasons={"drift": [f"x moved by {number}"]} if moved else {},
        )
        world.cloud.catalog.create(window.item())
        if moved:
            world.later(minutes=1)
            timeline.note(
                world.cloud, PIPELINE, world.cloud.now(), f"production {live}", "monitoring", f"by {number}"
            )
    since = told(world)["since"]
    said = [(each["status"], each["start"], each["end"][:16], each["windows"]) for each in since["windows"]]
    assert said == [
        ("ok", starts[5], "2026-12-01T00:05", 1),
        ("violated", starts[2], "2026-12-01T00:04", 3),
        ("ok", starts[0], "2026-12-01T00:01", 2),
    ]
    assert [each["rows"] for each in since["windows"]] == [10, 30, 20]
    assert since["windows"][1]["reasons"] == {"drift": ["x moved by 4"]}
    (event,) = since["events"]
    assert (event["times"], event["detail"]) == (3, "by 4")
    assert event["at"] < event["until"]


def test_a_version_that_a_rollback_put_back_says_what_was_taken_back_and_why(world: World) -> None:
    world.approve(world.register(2))
    world.later(hours=1)
    world.fire()
    world.tell_alarm()
    world.run_all()
    found = told(world)
    assert found["serves"]["version"] == 1
    # It bakes again, and is known to be good all the same.
    assert (found["serves"]["has_outlived_bake"], found["serves"]["is_known_good"]) == (False, True)
    rollback = found["releases"][-1]
    assert rollback["release_id"] == found["serves"]["release_id"]
    assert (rollback["cause"], rollback["status"]) == ("alarm", "released")
    (started,) = [each for each in rollback["events"] if each["event"] == "rollback started"]
    assert ERROR_ALARM in started["detail"]
    # What serves on the other stage is the other version.
    assert told(world, "staging")["serves"]["version"] == 2


def test_what_an_older_run_did_not_record_is_absent(world: World) -> None:
    world.approve(world.register(2))
    found = told(world)
    assert found["serves"]["version"] == 2
    assert (found["data"], found["candidates"], found["gates"]) == (None, None, None)
    world.cloud.objects.delete(REPORT)
    key = keys.run_key(PIPELINE, f"{PIPELINE}-00002")
    del world.cloud.catalog.items[key["pk"], key["sk"]]
    found = told(world)
    assert (found["run"], found["gates"]) == (None, None)


def test_a_stage_without_anything_live_has_no_story(world: World) -> None:
    assert story.why(world.cloud, PIPELINE, "nowhere") is None
    world.cloud.catalog.update(
        keys.stage_key(PIPELINE, "production"), {"live": None, "retired": "reviews-v1-0"}
    )
    found = told(world)
    assert (found["serves"], found["retired"]) == (None, "reviews-v1-0")


def test_a_data_report_that_is_gone_leaves_what_the_catalog_knows(world: World) -> None:
    world.cloud.objects.delete(REPORT)
    data = told(world)["data"]
    assert (data["rows"], data["objects"]) == (1200, 3)
    assert data["checks"] in (None, 0)


def test_releases_of_an_older_stack_are_found_by_their_names_with_what_happened_in_them(world: World) -> None:
    """Such a stack noted no releases beside a package."""
    (arn,) = world.cloud.registry.by_arn
    known = [each["release_id"] for each in told(world)["releases"]]
    partition = keys.package_partition(arn)
    for pair in [pair for pair in world.cloud.catalog.items if pair[0] == partition]:
        if pair[1].startswith(keys.RELEASES):
            del world.cloud.catalog.items[pair]
    found = told(world)["releases"]
    assert [each["release_id"] for each in found] == known
    assert len(found[0]["stages"]) == 2


def test_what_happened_in_a_release_before_the_newest_notes_is_looked_up(world: World) -> None:
    before = told(world)["releases"]
    for number in range(3000):
        at = f"2027-01-01T{number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}.000Z"
        timeline.note(world.cloud, PIPELINE, at, f"{PIPELINE}-00009", "alarm", str(number))
    assert told(world)["releases"] == before
    glance = story.why(world.cloud, PIPELINE, "production", is_glance=True)
    assert glance is not None
    assert [each["events"] for each in glance["releases"]] == [None]


@pytest.mark.parametrize("past", [10, 3000])
def test_the_story_reads_as_much_however_long_the_past_is(
    world: World, past: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(past):
        at = f"2020-01-01T{number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}.000Z"
        timeline.note(world.cloud, PIPELINE, at, f"{PIPELINE}-v1-0", "alarm", str(number))
        old = Window(PIPELINE, "production", at, at, "old", 1, "ok", at, at)
        world.cloud.catalog.create(old.item())
    read = fakes.count_reads(world.cloud.catalog, monkeypatch)
    told(world)
    assert len(read) <= 75, len(read)
