"""Of a rejected data set only what it was rejected for is set aside; the rest is built by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import fakes
from build_world import PIPELINE, PIPELINE_YAML, ROWS, RUN, Invoke, World
from sluice.domain.failures import ConflictError
from sluice.services.data import arrivals, batching

BAD = b"x,y\n1,0\n200,1\n"
QUIET = "complete_when: {quiet_period_s: 60}"
MARKED, LISTED = "complete_when: {marker: _SUCCESS}", "complete_when: {manifest: manifest.json}"


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    world = World(cloud, invoke)
    world.push()
    return world


def configure(world: World, old: str, new: str) -> None:
    assert old in PIPELINE_YAML
    world.later(minutes=1)
    world.push(pipeline=PIPELINE_YAML.replace(old, new).encode())


def upload(world: World, **bodies: bytes) -> None:
    """Upload files, a second apart."""
    for name, body in bodies.items():
        world.later(seconds=1)
        world.upload(f"{name}.csv", body)


def run_next(world: World) -> str | None:
    """Play the build that is due by now; None if none is."""
    world.later(minutes=2)
    world.ask()
    run_id = world.pipeline.get("in_flight")
    return world.play(run_id) if run_id else None


def statuses(world: World) -> dict[str, str]:
    return {key.removeprefix(f"{PIPELINE}/"): status for key, status in world.arrivals().items()}


def arrival(world: World, name: str, version_id: str = "v1") -> dict[str, Any]:
    return world.arrival(f"{PIPELINE}/{name}", version_id)


def release(world: World, name: str) -> None:
    world.let_in(f"{PIPELINE}/{name}")


def test_the_bad_one_of_three_files_is_set_aside_and_the_others_are_built_by_themselves(world: World) -> None:
    upload(world, a=ROWS, bad=BAD, c=ROWS + b"3,1\n")
    assert run_next(world) == "data_rejected"
    assert statuses(world) == {"a.csv#v1": "pending", "bad.csv#v1": "quarantined", "c.csv#v1": "pending"}
    assert "dataset_version" not in arrival(world, "a.csv")
    assert world.cloud.objects.tags(fakes.DATA_BUCKET, f"{PIPELINE}/a.csv") == {}
    assert world.cloud.build_requests.sent[-1] == (PIPELINE, 0)
    assert run_next(world) == "registered"
    assert world.objects_of("reviews-00002") == [f"{PIPELINE}/a.csv#v1", f"{PIPELINE}/c.csv#v1"]
    assert run_next(world) is None
    upload(world, bad=ROWS + b"4,0\n")
    assert run_next(world) == "registered"
    assert set(statuses(world).values()) == {"included", "quarantined"}


def test_each_object_is_set_aside_for_its_own_reasons(world: World) -> None:
    upload(world, a=BAD, b=b"x\n1\n", c=ROWS)
    assert run_next(world) == "data_rejected"
    assert arrival(world, "a.csv")["reason"] == f"x: 1 row above 100 (such as {PIPELINE}/a.csv row 2)"
    reason = arrival(world, "b.csv")["reason"]
    assert reason.startswith("y: the column is missing")
    assert "above" not in reason
    assert statuses(world)["c.csv#v1"] == "pending"


def test_what_is_left_is_built_within_the_limits_of_any_build(world: World) -> None:
    configure(world, "retrain: {daily_budget: 5}", "retrain: {cooldown_s: 3600, daily_budget: 5}")
    upload(world, a=ROWS, bad=BAD)
    assert run_next(world) == "data_rejected"
    assert run_next(world) is None
    ((_, delay_s),) = world.cloud.build_requests.sent[-1:]
    assert 0 < delay_s <= 900
    world.later(hours=1)
    assert run_next(world) == "registered"


def test_where_the_whole_is_at_fault_all_that_is_new_in_it_is_set_aside(world: World) -> None:
    assert world.build("old.csv", ROWS) == "registered"
    configure(world, "label: y", "label: y\n  quality: [{check: row_count, max: 5}]")
    assert run_next(world) == "registered"
    upload(world, a=ROWS, b=ROWS)
    assert run_next(world) == "data_rejected"
    assert statuses(world) == {
        "a.csv#v1": "quarantined",
        "b.csv#v1": "quarantined",
        "old.csv#v1": "included",
    }
    assert run_next(world) is None


def test_a_check_of_the_whole_is_made_again_without_the_bad_object(world: World) -> None:
    configure(world, "label: y", "label: y\n  quality: [{check: row_count, max: 5}]")
    upload(world, a=ROWS, bad=BAD, c=ROWS)
    assert run_next(world) == "data_rejected"
    assert run_next(world) == "registered"
    assert world.objects_of("reviews-00002") == [f"{PIPELINE}/a.csv#v1", f"{PIPELINE}/c.csv#v1"]


@pytest.mark.parametrize("writes_before", range(5))
def test_a_crash_anywhere_blames_the_same_objects_in_the_end(world: World, writes_before: int) -> None:
    upload(world, a=ROWS, bad=BAD, c=ROWS)
    world.later(minutes=2)
    world.ask()
    version = world.prepare_run()["dataset_version"]
    task = {**world.common(), "dataset_version": version}
    with world.crash_after(writes_before):
        if writes_before < 4:
            with pytest.raises(RuntimeError):
                world.invoke("validate_data", task)
    world.invoke("validate_data", task)
    assert statuses(world) == {"a.csv#v1": "pending", "bad.csv#v1": "quarantined", "c.csv#v1": "pending"}


# ------------------------------------------------------------------------------------- released or replaced


def test_released_with_others_the_same_object_is_set_aside_again_without_a_run(world: World) -> None:
    upload(world, a=ROWS, bad=BAD)
    assert run_next(world) == "data_rejected"
    release(world, "bad.csv")
    assert run_next(world) == "skipped"
    assert statuses(world) == {"a.csv#v1": "pending", "bad.csv#v1": "quarantined"}
    assert arrival(world, "bad.csv")["reason"].startswith("x: 1 row above 100")
    assert run_next(world) == "registered"
    assert world.objects_of("reviews-00003") == [f"{PIPELINE}/a.csv#v1"]


def test_without_its_report_a_rejection_names_no_object_and_so_sets_all_aside(world: World) -> None:
    upload(world, a=ROWS, bad=BAD)
    assert run_next(world) == "data_rejected"
    version = world.catalog_run(RUN)["dataset_version"]
    world.cloud.objects.delete(world.dataset(version)["report_uri"])
    release(world, "bad.csv")
    assert run_next(world) == "skipped"
    assert statuses(world) == {"a.csv#v1": "quarantined", "bad.csv#v1": "quarantined"}
    assert arrival(world, "a.csv")["reason"].startswith("x: 1 row above 100")
    assert run_next(world) is None


def test_in_mode_replace_a_released_object_joins_what_was_left_of_its_upload(world: World) -> None:
    configure(world, "format: csv", "format: csv\n  mode: replace")
    upload(world, a=ROWS, bad=BAD)
    assert [run_next(world), run_next(world)] == ["data_rejected", "registered"]
    world.later(minutes=1)
    text = PIPELINE_YAML.replace("format: csv", "format: csv\n  mode: replace").replace(
        "max: 100", "max: 300"
    )
    world.push(pipeline=text.encode())
    assert run_next(world) == "registered"
    release(world, "bad.csv")
    assert run_next(world) == "registered"
    assert world.objects_of("reviews-00004") == [f"{PIPELINE}/a.csv#v1", f"{PIPELINE}/bad.csv#v1"]


@pytest.mark.parametrize("mode", ["append", "replace", "window\n  window: {last: 3 batches}"])
def test_what_is_left_of_a_marked_folder_is_built_with_what_replaces_the_bad_object(
    world: World, mode: str
) -> None:
    configure(world, QUIET, f"mode: {mode}\n  {MARKED}")
    upload(world, **{"f/a": ROWS, "f/bad": BAD})
    world.later(seconds=1)
    world.upload("f/_SUCCESS", b"")
    assert run_next(world) == "data_rejected"
    assert statuses(world)["f/a.csv#v1"] == "pending"
    assert run_next(world) is None
    upload(world, **{"f/bad": ROWS})
    assert run_next(world) is None
    world.upload("f/_SUCCESS", b"")
    assert run_next(world) == "registered"
    assert world.objects_of("reviews-00002") == [f"{PIPELINE}/f/a.csv#v1", f"{PIPELINE}/f/bad.csv#v2"]


@pytest.mark.parametrize("mode", ["append", "replace", "window\n  window: {last: 3 batches}"])
def test_what_is_left_of_a_listed_batch_is_built_with_what_replaces_the_bad_object(
    world: World, mode: str
) -> None:
    configure(world, QUIET, f"mode: {mode}\n  {LISTED}")
    upload(world, **{"f/a": ROWS, "f/bad": BAD})
    world.upload("f/manifest.json", b'["a.csv", "bad.csv"]')
    assert run_next(world) == "data_rejected"
    assert statuses(world) == {
        "f/a.csv#v1": "pending",
        "f/bad.csv#v1": "quarantined",
        "f/manifest.json#v1": "control",
    }
    assert run_next(world) is None
    upload(world, **{"f/bad": ROWS})
    assert run_next(world) == "registered"
    assert world.objects_of("reviews-00002") == [f"{PIPELINE}/f/a.csv#v1", f"{PIPELINE}/f/bad.csv#v2"]


@pytest.mark.parametrize(
    ("complete_when", "control"),
    [(MARKED, ("_SUCCESS", b"")), (LISTED, ("manifest.json", b'["a.csv", "b.csv"]'))],
    ids=["marker", "manifest"],
)
def test_the_other_batches_of_a_rejected_version_are_built_by_themselves(
    world: World, complete_when: str, control: tuple[str, bytes]
) -> None:
    configure(world, QUIET, complete_when)
    name, content = control
    for folder, body in (("f", BAD), ("g", ROWS)):
        upload(world, **{f"{folder}/a": ROWS, f"{folder}/b": body})
        world.upload(f"{folder}/{name}", content)
    assert run_next(world) == "data_rejected"
    assert run_next(world) == "registered"
    assert world.objects_of("reviews-00002") == [f"{PIPELINE}/g/a.csv#v1", f"{PIPELINE}/g/b.csv#v1"]
    assert statuses(world)["f/a.csv#v1"] == "pending"
    assert run_next(world) is None


def test_arrivals_that_others_change_all_the_time_are_tried_again_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(world, a=ROWS)
    monkeypatch.setattr(world.cloud.catalog, "apply", lambda *_: False)
    with pytest.raises(ConflictError, match="1 arrivals of reviews could not be settled"):
        arrivals.settle(world.cloud, PIPELINE, arrivals.waiting(world.cloud, PIPELINE), lambda item: True)


def test_what_changed_since_it_was_read_is_not_set_aside(world: World) -> None:
    world.upload("a.csv")
    before = arrivals.find(world.cloud, PIPELINE, f"{PIPELINE}/a.csv", "v1")
    assert before is not None
    assert batching.set_aside(world.cloud, before, "it is bad")
    world.let_in(f"{PIPELINE}/a.csv")
    tags = dict(world.cloud.objects.tags(fakes.DATA_BUCKET, f"{PIPELINE}/a.csv"))
    assert not batching.set_aside(world.cloud, replace(before, taken_up_by=RUN), "it is bad")
    assert world.arrivals()[f"{PIPELINE}/a.csv#v1"] == "pending"
    assert world.cloud.objects.tags(fakes.DATA_BUCKET, f"{PIPELINE}/a.csv") == tags
