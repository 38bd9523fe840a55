"""A data set version is what the bucket holds of what arrived; none is lost, none is built on twice."""

from __future__ import annotations

import json
from typing import Any

import pytest

import fakes
from build_world import PIPELINE, ROWS, RUN, Invoke, World
from sluice.domain import catalog as keys

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
def test_a_crash_anywhere_is_made_good_by_the_retry(
    world: World, monkeypatch: pytest.MonkeyPatch, writes_before: int
) -> None:
    begin(world, "a.csv", "b.csv")
    update, left = world.cloud.catalog.update, writes_before

    def crashing(*given: Any, **when: Any) -> bool:
        nonlocal left
        if left == 0:
            raise RuntimeError
        left -= 1
        return update(*given, **when)

    with monkeypatch.context() as patched:
        patched.setattr(world.cloud.catalog, "update", crashing)
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
    from build_world import PIPELINE_YAML

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
