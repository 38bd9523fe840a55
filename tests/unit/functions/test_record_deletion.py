"""A deleted object is no part of the next data set, however many there are and whatever event is lost."""

from __future__ import annotations

from typing import Any

import pytest

import fakes
from build_world import PIPELINE, PIPELINE_YAML, ROWS, RUN, Invoke, World
from sluice.catalog import keys
from sluice.services import presence

BAD = b"x,y\n1,0\n200,1\n"


@pytest.fixture(params=[10_000, -1], ids=["small", "large"])
def world(
    request: pytest.FixtureRequest, cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> World:
    """A bucket that is listed, or one that is too large for that."""
    monkeypatch.setattr(presence, "LISTED_MAX", request.param)
    world = World(cloud, invoke)
    world.push()
    return world


def deleted(key: str) -> dict[str, Any]:
    """S3 "Object Deleted"."""
    return {"detail": {"bucket": {"name": fakes.DATA_BUCKET}, "object": {"key": key, "version-id": "d1"}}}


def delete(world: World, name: str, *, is_heard: bool = True) -> None:
    world.cloud.objects.delete(f"s3://{fakes.DATA_BUCKET}/{PIPELINE}/{name}")
    if is_heard:
        assert world.invoke("record_deletion", deleted(f"{PIPELINE}/{name}")) == {"status": "gone"}


def built(world: World, name: str, run_id: str) -> list[str]:
    """What the next build, which an upload causes, is made of."""
    assert world.build(name, f"x,y\n{len(name)},1\n".encode()) == "registered"
    return [obj.partition("/")[2] for obj in world.objects_of(run_id)]


def test_the_sample_event_is_of_an_object_that_is_there_still(world: World, sample: Any) -> None:
    world.upload("a.csv")
    assert world.invoke("record_deletion", sample("record_deletion")) == {"status": "there"}


def test_an_object_of_nobody_is_ignored(world: World) -> None:
    for key in ("a.csv", "nobody/a.csv"):
        assert world.invoke("record_deletion", deleted(key)) == {"status": "ignored"}
    assert not world.cloud.catalog.query(keys.partition("nobody"))


def test_a_deleted_object_is_no_part_of_the_next_data_set(world: World) -> None:
    world.upload("a.csv")
    assert built(world, "b.csv", RUN) == ["a.csv#v1", "b.csv#v1"]
    delete(world, "a.csv")
    assert world.arrival(f"{PIPELINE}/a.csv")["gone"] is True
    assert built(world, "cc.csv", "reviews-00002") == ["b.csv#v1", "cc.csv#v1"]
    assert world.cloud.catalog.query(keys.partition(PIPELINE), keys.TOUCHED) == []
    assert built(world, "ddd.csv", "reviews-00003") == ["b.csv#v1", "cc.csv#v1", "ddd.csv#v1"]


def test_an_object_that_waits_and_is_deleted_is_no_part_of_it(world: World) -> None:
    world.upload("a.csv")
    delete(world, "a.csv")
    assert built(world, "b.csv", RUN) == ["b.csv#v1"]


def test_what_was_deleted_before_a_run_that_failed_is_missed_by_the_next(world: World) -> None:
    world.upload("a.csv")
    assert built(world, "b.csv", RUN) == ["a.csv#v1", "b.csv#v1"]
    delete(world, "a.csv")
    world.upload("c.csv", b"x,y\n7,1\n")
    world.later(minutes=2)
    world.ask()
    world.prepare_run("reviews-00002")
    world.finish("failed", "reviews-00002", reasons=["stopped"])
    assert built(world, "dd.csv", "reviews-00003") == ["b.csv#v1", "c.csv#v1", "dd.csv#v1"]


def test_an_object_that_was_overwritten_with_what_was_rejected_is_no_part_until_it_comes_again(
    world: World,
) -> None:
    world.upload("a.csv")
    assert built(world, "b.csv", RUN) == ["a.csv#v1", "b.csv#v1"]
    assert world.build("a.csv", BAD) == "data_rejected"
    assert built(world, "cc.csv", "reviews-00003") == ["b.csv#v1", "cc.csv#v1"]
    world.later(minutes=1)
    assert world.build("a.csv", ROWS + b"5,0\n") == "registered"
    assert f"{PIPELINE}/a.csv#v3" in world.objects_of("reviews-00004")


def test_one_that_is_overwritten_by_what_is_not_complete_is_no_part_of_it(world: World) -> None:
    world.upload("f/a.csv")
    assert built(world, "b.csv", RUN) == ["b.csv#v1", "f/a.csv#v1"]
    world.later(minutes=1)
    world.push(pipeline=PIPELINE_YAML.replace("quiet_period_s: 60", "marker: _SUCCESS").encode())
    assert world.pipeline.get("in_flight") is None
    world.ask()
    assert world.play(world.pipeline["in_flight"]) == "registered"
    world.later(minutes=1)
    world.upload("f/a.csv", ROWS + b"9,0\n")
    world.upload("g/c.csv", ROWS + b"8,0\n")
    world.upload("g/_SUCCESS", b"")
    world.later(minutes=2)
    world.ask()
    assert world.play(world.pipeline["in_flight"]) == "registered"
    assert [obj.partition("/")[2] for obj in world.objects_of("reviews-00003")] == ["b.csv#v1", "g/c.csv#v1"]


def test_a_run_whose_object_is_deleted_while_it_reads_it_fails(world: World) -> None:
    world.upload("a.csv")
    world.upload("b.csv", b"x,y\n3,1\n")
    world.later(minutes=2)
    world.ask()
    version = world.prepare_run()["dataset_version"]
    world.invoke("validate_data", {**world.common(), "dataset_version": version})
    delete(world, "a.csv")
    with pytest.raises(Exception, match="1 object changed while the run read them"):
        world.invoke("select_candidate", {**world.common(), "dataset_version": version})


def test_an_object_that_is_back_is_not_gone(world: World) -> None:
    world.build("a.csv")
    delete(world, "a.csv")
    world.cloud.objects.put(fakes.DATA_BUCKET, f"{PIPELINE}/a.csv", ROWS)
    assert world.invoke("record_deletion", deleted(f"{PIPELINE}/a.csv")) == {"status": "there"}
    assert "gone" not in world.arrival(f"{PIPELINE}/a.csv")


def test_a_deletion_whose_event_was_lost_is_told_of_until_it_was_heard(world: World) -> None:
    world.upload("a.csv")
    world.build("b.csv", b"x,y\n3,1\n")
    delete(world, "a.csv", is_heard=False)

    def told() -> list[str]:
        world.cloud.bus.entries.clear()
        world.invoke("reconcile", {})
        return [detail["object"]["key"] for kind, detail, _ in world.cloud.bus.entries if "Deleted" in kind]

    assert [told(), told()] == [[f"{PIPELINE}/a.csv"]] * 2
    ((_, detail, _),) = world.cloud.bus.entries
    world.invoke("record_deletion", {"detail": detail})
    assert told() == []
    assert built(world, "cc.csv", "reviews-00002") == ["b.csv#v1", "cc.csv#v1"]
