"""A deleted object is no part of the next data set, however many there are and whatever event is lost."""

from __future__ import annotations

from typing import Any

import pytest

import fakes
from build_world import PIPELINE, PIPELINE_YAML, ROWS, RUN, Invoke, World
from sluice.catalog import keys
from sluice.services import timeline
from sluice.services.data import arrivals, presence
from sluice.services.views import data

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


AT = "2026-11-24T09:00:00Z"


def deleted(key: str, **more: str) -> dict[str, Any]:
    """S3 "Object Deleted"."""
    where = {"bucket": {"name": fakes.DATA_BUCKET}, "object": {"key": key, "version-id": "d1"}}
    return {"time": AT, "detail": {**where, **more}}


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


def noted(world: World, event: str) -> list[tuple[str, str]]:
    """The timeline's entries of an event: subjects and details."""
    found = timeline.entries(world.cloud, PIPELINE)
    return [(entry["subject"], entry["detail"]) for entry in found if entry["event"] == event]


def test_a_run_says_how_many_objects_it_gained_and_how_many_were_deleted(world: World) -> None:
    for name in "abcd":
        world.upload(f"{name}.csv", f"x,y\n{ord(name)},1\n".encode())
    assert world.build("e.csv", b"x,y\n7,1\n") == "registered"
    assert world.catalog_run()["data_changes"] == {"new": 5}
    for name in "abc":
        delete(world, f"{name}.csv")
    world.later(minutes=1)
    world.upload("d.csv", b"x,y\n8,1\n")
    world.upload("f.csv", b"x,y\n9,1\n")
    assert world.build("g.csv", b"x,y\n6,1\n") == "registered"
    run = world.catalog_run("reviews-00002")
    assert run["cause"] == "2 new objects, 1 overwritten, 3 deleted"
    assert run["data_changes"] == {"new": 2, "overwritten": 1, "deleted": 3}
    assert noted(world, "dataset versioned")[1][1].endswith("; 2 objects new, 1 overwritten, 3 deleted")


def test_what_was_deleted_is_told_once_until_a_run_left_it_out(world: World) -> None:
    world.upload("a.csv")
    assert world.build("b.csv", b"x,y\n3,1\n") == "registered"
    assert data.what_waits(world.cloud, PIPELINE)["deleted"] == []
    delete(world, "a.csv")
    world.invoke("record_deletion", deleted(f"{PIPELINE}/a.csv"))
    assert noted(world, "data deleted") == [(f"{PIPELINE}/a.csv", "the next data set lacks it")]
    assert data.what_waits(world.cloud, PIPELINE)["deleted"] == [f"{PIPELINE}/a.csv"]
    # A file of that key that waits takes its place.
    world.later(minutes=1)
    world.cloud.objects.put(fakes.DATA_BUCKET, f"{PIPELINE}/a.csv", ROWS)
    assert world.upload("a.csv", b"x,y\n9,1\n")["status"] == "accepted"
    assert data.what_waits(world.cloud, PIPELINE)["deleted"] == []
    world.cloud.objects.delete(f"s3://{fakes.DATA_BUCKET}/{PIPELINE}/a.csv")
    world.invoke("record_deletion", deleted(f"{PIPELINE}/a.csv", reason="Lifecycle Expiration"))
    assert world.build("c.csv", b"x,y\n4,1\n") == "registered"
    assert data.what_waits(world.cloud, PIPELINE)["deleted"] == []


def test_a_deletion_by_the_life_cycle_is_told_as_such_and_of_many_only_some_are(world: World) -> None:
    names = [f"{number:02}.csv" for number in range(22)]
    for number, name in enumerate(names):
        world.upload(name, f"x,y\n{number},1\n".encode())
    assert world.build("b.csv") == "registered"
    for name in names:
        world.cloud.objects.delete(f"s3://{fakes.DATA_BUCKET}/{PIPELINE}/{name}")
        world.invoke("record_deletion", deleted(f"{PIPELINE}/{name}", reason="Lifecycle Expiration"))
    why = "by the bucket's life cycle; the next data set lacks it"
    assert sorted(noted(world, "data deleted")) == [(f"{PIPELINE}/{name}", why) for name in names[:20]]
    assert len(data.what_waits(world.cloud, PIPELINE)["deleted"]) == 22


def test_a_deletion_beside_a_run_is_told_of_until_the_next_run_left_it_out(world: World) -> None:
    world.upload("a.csv")
    world.upload("c.csv", b"x,y\n8,1\n")
    assert world.build("b.csv", b"x,y\n3,1\n") == "registered"
    delete(world, "a.csv")
    world.later(minutes=1)
    world.upload("d.csv", b"x,y\n4,1\n")
    world.later(minutes=2)
    world.ask()
    world.prepare_run("reviews-00002")
    world.later(minutes=1)
    delete(world, "c.csv")
    arrivals.forget_touched(world.cloud, PIPELINE, world.catalog_run("reviews-00002")["started_at"])
    assert data.what_waits(world.cloud, PIPELINE)["deleted"] == [f"{PIPELINE}/c.csv"]
    arrivals.forget_touched(world.cloud, PIPELINE, "9")
    assert "has_deletions" not in world.pipeline


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
    world.invoke("record_deletion", {"time": AT, "detail": detail})
    assert told() == []
    assert built(world, "cc.csv", "reviews-00002") == ["b.csv#v1", "cc.csv#v1"]
