"""A data set version is what the bucket holds of what arrived; none is lost, none is built on twice."""

from __future__ import annotations

import json

import pytest

import fakes
from build_world import PIPELINE, PIPELINE_YAML, ROWS, RUN, Invoke, World, created
from sluice.catalog import keys

MORE = ROWS + b"3,1\n"


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    world = World(cloud, invoke)
    world.push()
    return world


def begin(world: World, *names: str) -> None:
    """Upload, and start a run."""
    for name in names:
        world.upload(name)
    world.later(minutes=2)
    world.ask()


def test_a_snapshot_includes_what_arrived_and_tells_jobs_which_files(world: World) -> None:
    begin(world, "a.csv", "b c.csv")
    snapshot = world.prepare_run()
    assert (snapshot["is_new"], snapshot["objects"], snapshot["size_bytes"]) == (True, 2, 2 * len(ROWS))
    files = json.loads(world.cloud.objects.read(snapshot["files_uri"]))
    assert files == [{"prefix": f"s3://{fakes.DATA_BUCKET}/"}, f"{PIPELINE}/a.csv", f"{PIPELINE}/b c.csv"]
    assert set(world.arrivals().values()) == {"included"}
    assert world.dataset(snapshot["dataset_version"])["status"] == "new"
    assert world.catalog_run()["dataset_version"] == snapshot["dataset_version"]


def test_taking_it_again_gives_the_same_version(world: World) -> None:
    begin(world, "a.csv")
    assert world.prepare_run() == world.prepare_run()
    assert world.events().count("dataset versioned") == 1


@pytest.mark.parametrize("writes_before", [0, 1, 2, 3])
def test_a_crash_anywhere_is_made_good_by_the_retry(world: World, writes_before: int) -> None:
    begin(world, "a.csv", "b.csv")
    with world.crash_after(writes_before):
        if writes_before < 3:
            with pytest.raises(RuntimeError):
                world.prepare_run()
    assert world.prepare_run()["objects"] == 2
    assert set(world.arrivals().values()) == {"included"}


def test_of_an_object_that_was_overwritten_meanwhile_the_newest_version_counts(world: World) -> None:
    world.upload("a.csv", ROWS)
    world.upload("a.csv", MORE)
    begin(world)
    world.prepare_run()
    assert world.objects_of(RUN) == [f"{PIPELINE}/a.csv#v2"]
    assert set(world.arrivals().values()) == {"included"}


def test_a_version_whose_successor_has_not_arrived_yet_waits_for_it(world: World) -> None:
    world.upload("a.csv")
    begin(world, "b.csv")
    world.cloud.objects.put(fakes.DATA_BUCKET, f"{PIPELINE}/a.csv", MORE)
    world.prepare_run()
    assert world.objects_of(RUN) == [f"{PIPELINE}/b.csv#v1"]


def test_data_are_appended_to_the_last_valid_version(world: World) -> None:
    assert world.build("a.csv") == "registered"
    assert world.build("b.csv", b"x\n1\n") == "data_rejected"
    assert world.build("c.csv") == "registered"
    assert world.objects_of("reviews-00003") == [f"{PIPELINE}/a.csv#v1", f"{PIPELINE}/c.csv#v1"]


def test_in_mode_replace_a_version_is_the_newest_batch(cloud: fakes.Cloud, invoke: Invoke) -> None:
    world = World(cloud, invoke)
    world.push(pipeline=PIPELINE_YAML.replace("format: csv", "format: csv\n  mode: replace").encode())
    assert world.build("a.csv") == "registered"
    assert world.build("b.csv") == "registered"
    assert world.objects_of("reviews-00002") == [f"{PIPELINE}/b.csv#v1"]


def test_the_same_data_again_are_not_new(world: World) -> None:
    assert world.build("a.csv") == "registered"
    assert world.build("a.csv") == "skipped"
    assert set(world.arrivals().values()) == {"included"}


def test_data_of_a_failed_run_are_built_again(world: World) -> None:
    begin(world, "a.csv")
    world.prepare_run()
    world.finish("failed", error={"Error": "States.Timeout", "Cause": ""})
    assert world.build("b.csv") == "registered"
    assert world.objects_of("reviews-00002") == [f"{PIPELINE}/a.csv#v1", f"{PIPELINE}/b.csv#v1"]


def test_an_object_that_was_deleted_is_no_part_of_the_next_version(world: World) -> None:
    assert world.build("a.csv") == "registered"
    world.cloud.objects.delete(f"s3://{fakes.DATA_BUCKET}/{PIPELINE}/a.csv")
    assert world.build("b.csv") == "registered"
    assert world.objects_of("reviews-00002") == [f"{PIPELINE}/b.csv#v1"]


def test_an_object_overwritten_with_bad_data_does_not_block_the_next_versions(world: World) -> None:
    assert world.build("a.csv") == "registered"
    assert world.build("a.csv", b"x\n1\n") == "data_rejected"
    assert world.build("b.csv") == "registered"
    assert world.objects_of("reviews-00003") == [f"{PIPELINE}/b.csv#v1"]


def test_with_nothing_left_there_is_nothing_to_build(world: World) -> None:
    begin(world, "a.csv")
    world.cloud.objects.delete(f"s3://{fakes.DATA_BUCKET}/{PIPELINE}/a.csv")
    assert world.prepare_run()["is_new"] is False


def test_a_pipeline_sees_no_other_pipelines_data(world: World) -> None:
    world.cloud.objects.put(fakes.DATA_BUCKET, f"{PIPELINE}-too/a.csv", ROWS)
    begin(world, "a.csv")
    world.prepare_run()
    assert world.objects_of(RUN) == [f"{PIPELINE}/a.csv#v1"]
    assert world.cloud.catalog.query(keys.partition(f"{PIPELINE}-too")) == []


# ------------------------------------------------------------------------------------------------- batches


def configured(cloud: fakes.Cloud, invoke: Invoke, *changes: tuple[str, str]) -> World:
    text = PIPELINE_YAML
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    world = World(cloud, invoke)
    world.push(pipeline=text.encode())
    return world


MARKED = ("quiet_period_s: 60", "marker: _SUCCESS")
LISTED = ("quiet_period_s: 60", "manifest: manifest.json")


def mark(world: World, folder: str) -> None:
    """Complete a folder, after some time."""
    world.later(minutes=1)
    world.upload(f"{folder}/_SUCCESS", b"")
    world.later(minutes=1)


def run_next(world: World) -> str:
    world.ask()
    return world.play(world.pipeline["in_flight"])


def test_only_complete_batches_are_in_a_version_and_markers_never_are(
    cloud: fakes.Cloud, invoke: Invoke
) -> None:
    world = configured(cloud, invoke, MARKED)
    world.upload("a/1.csv")
    world.upload("b/2.csv")
    mark(world, "a")
    assert run_next(world) == "registered"
    assert world.objects_of(RUN) == [f"{PIPELINE}/a/1.csv#v1"]
    assert world.arrivals() == {
        f"{PIPELINE}/a/1.csv#v1": "included",
        f"{PIPELINE}/a/_SUCCESS#v1": "control",
        f"{PIPELINE}/b/2.csv#v1": "pending",
    }
    mark(world, "b")
    assert run_next(world) == "registered"
    assert world.objects_of("reviews-00002") == [f"{PIPELINE}/a/1.csv#v1", f"{PIPELINE}/b/2.csv#v1"]


def test_in_mode_replace_the_newest_of_several_complete_batches_counts(
    cloud: fakes.Cloud, invoke: Invoke
) -> None:
    world = configured(cloud, invoke, MARKED, ("format: csv", "format: csv\n  mode: replace"))
    for folder in ("b", "a"):
        world.upload(f"{folder}/1.csv")
        mark(world, folder)
    assert run_next(world) == "registered"
    assert world.objects_of(RUN) == [f"{PIPELINE}/a/1.csv#v1"]
    assert "pending" not in world.arrivals().values()


def test_in_mode_replace_a_late_object_joins_its_batch_and_does_not_replace_it(
    cloud: fakes.Cloud, invoke: Invoke
) -> None:
    world = configured(cloud, invoke, MARKED, ("format: csv", "format: csv\n  mode: replace"))
    world.upload("a/1.csv")
    late = world.cloud.objects.put(fakes.DATA_BUCKET, f"{PIPELINE}/a/2.csv", ROWS)
    mark(world, "a")
    assert run_next(world) == "registered"
    world.invoke("record_arrival", created(fakes.DATA_BUCKET, f"{PIPELINE}/a/2.csv", late))
    world.later(minutes=1)
    assert run_next(world) == "registered"
    assert world.objects_of("reviews-00002") == [f"{PIPELINE}/a/1.csv#v1", f"{PIPELINE}/a/2.csv#v1"]


def test_a_manifest_file_is_taken_up_with_what_it_lists(cloud: fakes.Cloud, invoke: Invoke) -> None:
    world = configured(cloud, invoke, LISTED)
    world.upload("a/1.csv")
    world.upload("a/stray.csv")
    world.upload("a/manifest.json", b'["1.csv"]')
    world.later(minutes=1)
    assert run_next(world) == "registered"
    assert world.objects_of(RUN) == [f"{PIPELINE}/a/1.csv#v1"]
    assert world.arrivals() == {
        f"{PIPELINE}/a/1.csv#v1": "included",
        f"{PIPELINE}/a/manifest.json#v1": "included",
        f"{PIPELINE}/a/stray.csv#v1": "pending",
    }


def test_what_a_rejected_manifest_lists_is_awaited_again(cloud: fakes.Cloud, invoke: Invoke) -> None:
    world = configured(cloud, invoke, LISTED)
    world.upload("a/1.csv", b"x\n1\n")
    world.upload("a/manifest.json", b'["1.csv"]')
    world.later(minutes=1)
    assert run_next(world) == "data_rejected"
    assert world.arrivals() == {
        f"{PIPELINE}/a/1.csv#v1": "quarantined",
        f"{PIPELINE}/a/manifest.json#v1": "control",
    }
    tags = world.cloud.objects.tags(fakes.DATA_BUCKET, f"{PIPELINE}/a/1.csv")
    assert tags == {"sluice:status": "quarantined"}
    world.later(minutes=1)
    world.upload("a/1.csv", ROWS)
    world.later(minutes=1)
    assert run_next(world) == "registered"
    assert world.objects_of("reviews-00002") == [f"{PIPELINE}/a/1.csv#v2"]


def windowed(last: str) -> tuple[str, str]:
    return ("format: csv", f"format: csv\n  mode: window\n  window: {{last: {last}}}")


def test_a_window_of_batches_forgets_the_oldest_one(cloud: fakes.Cloud, invoke: Invoke) -> None:
    world = configured(cloud, invoke, windowed("2 batches"))
    for name in ("a", "b", "c"):
        world.upload(f"{name}1.csv")
        assert world.build(f"{name}2.csv") == "registered"
    kept = ["b1", "b2", "c1", "c2"]
    assert world.objects_of("reviews-00003") == [f"{PIPELINE}/{name}.csv#v1" for name in kept]


def test_a_window_of_time_is_counted_from_the_newest_object(cloud: fakes.Cloud, invoke: Invoke) -> None:
    world = configured(cloud, invoke, windowed("30d"))
    assert world.build("a.csv") == "registered"
    world.later(days=20)
    assert world.build("b.csv") == "registered"
    world.later(days=20)
    assert world.build("c.csv") == "registered"
    assert world.objects_of("reviews-00002") == [f"{PIPELINE}/a.csv#v1", f"{PIPELINE}/b.csv#v1"]
    assert world.objects_of("reviews-00003") == [f"{PIPELINE}/b.csv#v1", f"{PIPELINE}/c.csv#v1"]


def test_what_came_again_with_the_same_content_is_as_recent_as_its_last_upload(
    cloud: fakes.Cloud, invoke: Invoke
) -> None:
    world = configured(cloud, invoke, windowed("30d"))
    assert world.build("a.csv") == "registered"
    world.later(days=20)
    assert world.build("a.csv") == "skipped"
    world.later(days=20)
    assert world.build("b.csv") == "registered"
    assert world.objects_of("reviews-00003") == [f"{PIPELINE}/a.csv#v1", f"{PIPELINE}/b.csv#v1"]


# ---------------------------------------------------------------------------------------------- quarantine


def release(world: World, name: str) -> None:
    """What `sluice data release` writes."""
    world.let_in(f"{PIPELINE}/{name}")
    world.later(minutes=2)


def test_released_data_that_this_project_rejected_are_quarantined_again_without_a_run(world: World) -> None:
    assert world.build("a.csv", b"x,y\n1,0\n200,1\n") == "data_rejected"
    release(world, "a.csv")
    assert run_next(world) == "skipped"
    assert world.arrivals() == {f"{PIPELINE}/a.csv#v1": "quarantined"}


def test_released_data_are_judged_by_the_contract_of_today(world: World) -> None:
    assert world.build("a.csv", b"x,y\n1,0\n200,1\n") == "data_rejected"
    world.push(pipeline=PIPELINE_YAML.replace("max: 100", "max: 300").encode())
    release(world, "a.csv")
    assert run_next(world) == "registered"
    assert world.objects_of("reviews-00002") == [f"{PIPELINE}/a.csv#v1"]
    assert world.arrivals() == {f"{PIPELINE}/a.csv#v1": "included"}


def test_what_a_run_took_up_that_died_before_its_quarantine_is_taken_up_again(world: World) -> None:
    begin(world, "a.csv")
    version = world.prepare_run()["dataset_version"]
    world.cloud.catalog.update(keys.dataset_key(PIPELINE, version), {"status": "rejected"})
    world.finish("failed", error={"Error": "States.Timeout", "Cause": ""})
    assert world.build("b.csv") == "registered"
    assert world.objects_of("reviews-00002") == [f"{PIPELINE}/a.csv#v1", f"{PIPELINE}/b.csv#v1"]


# -------------------------------------------------------------------------- keys that no file system can hold


@pytest.mark.parametrize("names", [("a", "a/b.csv"), ("a/b.csv", "a"), ("x/y", "x/y/z/w.csv")])
def test_of_a_file_and_a_folder_of_one_name_the_later_is_set_aside_and_the_rest_is_built(
    world: World, names: tuple[str, str]
) -> None:
    first, second = names
    world.upload(first)
    world.later(seconds=1)
    world.upload(second)
    world.later(seconds=1)
    assert world.build("good.csv") == "registered"
    assert world.objects_of(RUN) == [f"{PIPELINE}/{name}#v1" for name in sorted([first, "good.csv"])]
    aside = world.arrival(f"{PIPELINE}/{second}")
    assert aside["status"] == "quarantined"
    assert f"{PIPELINE}/{first}" in aside["reason"]
    tags = world.cloud.objects.tags(fakes.DATA_BUCKET, f"{PIPELINE}/{second}")
    assert tags == {"sluice:status": "quarantined"}
    assert world.events().count("data quarantined") == 1


def test_what_a_data_set_holds_already_keeps_its_name(world: World) -> None:
    assert world.build("a") == "registered"
    world.later(minutes=1)
    assert world.build("a/b.csv") == "skipped"
    assert world.arrivals() == {f"{PIPELINE}/a#v1": "included", f"{PIPELINE}/a/b.csv#v1": "quarantined"}
    # Where the other one is gone, it is taken.
    world.cloud.objects.delete(f"s3://{fakes.DATA_BUCKET}/{PIPELINE}/a")
    release(world, "a/b.csv")
    assert run_next(world) == "registered"
    assert world.objects_of("reviews-00003") == [f"{PIPELINE}/a/b.csv#v1"]


def test_a_batch_that_replaces_the_data_may_have_what_was_a_file_as_a_folder(world: World) -> None:
    world.later(minutes=1)
    world.push(pipeline=PIPELINE_YAML.replace("  label: y", "  label: y\n  mode: replace").encode())
    assert world.build("a") == "registered"
    world.later(minutes=1)
    assert world.build("a/b.csv") == "registered"


def test_of_two_batches_of_one_second_the_later_is_the_data_and_the_run_says_so(
    cloud: fakes.Cloud, invoke: Invoke
) -> None:
    world = configured(cloud, invoke, MARKED, ("  label: y", "  label: y\n  mode: replace"))
    world.later(minutes=1)
    second = cloud.now.at[:-5]
    names = ("day-9/a.csv", "day-9/_SUCCESS", "day-10/a.csv", "day-10/_SUCCESS")
    for place, name in enumerate(names):
        # Our clock tells milliseconds, S3's does not.
        cloud.now.at = f"{second}.{place:03d}Z"
        world.upload(name, ROWS if name.endswith("csv") else b"")
    world.later(minutes=2)
    world.ask()
    world.play(world.pipeline["in_flight"])
    assert world.objects_of(RUN) == [f"{PIPELINE}/day-10/a.csv#v1"]
    assert "batches of one second" in world.events()
