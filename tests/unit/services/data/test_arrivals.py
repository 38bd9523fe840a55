"""What is known of arrivals is the same however many are asked for, and whoever writes meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

import fakes
from build_world import PIPELINE, Invoke, World
from sluice.catalog import keys
from sluice.catalog.records.arrivals import Arrival
from sluice.catalog.records.builds import Run
from sluice.services.data import arrivals
from sluice.services.views import uploads

AT = "2026-11-24T09:00:00.000Z"


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    return World(cloud, invoke)


def arrived(cloud: fakes.Cloud, name: str, version: str = "v1", state: str = keys.SETTLED) -> Arrival:
    status: Any = "quarantined" if state == keys.QUARANTINED else "included"
    made = Arrival(PIPELINE, f"{PIPELINE}/{name}", version, 8, AT, status, state=state)
    cloud.catalog.create(made.item())
    return made


@pytest.mark.parametrize("keys_max", [0, 1000])
def test_versions_of_many_objects_are_those_of_each(
    cloud: fakes.Cloud, monkeypatch: pytest.MonkeyPatch, keys_max: int
) -> None:
    """Asked for one by one, or as all that lies between the first and the last of them."""
    long = "x" * 1000
    wanted = [
        arrived(cloud, "b.csv"),
        arrived(cloud, "b.csv", "v2", keys.QUARANTINED),
        arrived(cloud, "d.csv"),
        arrived(cloud, long),
    ]
    for other in ("a.csv", "c.csv", "d.csv#1", "e.csv", "y" * 1000):
        arrived(cloud, other)
    arrived(cloud, "d.csv", "v3", keys.WAITING)
    monkeypatch.setattr(arrivals, "_KEYS_MAX", keys_max)
    found = arrivals.versions(cloud, PIPELINE, {each.key for each in wanted})
    assert {(each.key, each.version_id) for each in found} == {(each.key, each.version_id) for each in wanted}


def test_what_is_gone_is_noted_on_the_settled_versions_of_that_object_alone(cloud: fakes.Cloud) -> None:
    for name in ("a.csv", "a.csv#1", "b.csv"):
        arrived(cloud, name)
    arrivals.mark_gone(cloud, arrivals.taken_up(cloud, PIPELINE, f"{PIPELINE}/a.csv"), is_gone=True)
    settled = arrivals.stream(cloud, PIPELINE, keys.SETTLED)
    assert [each.key for each in settled if each.gone] == [f"{PIPELINE}/a.csv"]


def test_the_data_set_is_counted_as_it_is_and_not_by_what_ever_was_in_one(world: World) -> None:
    world.push()
    world.upload("a.csv")
    assert uploads.counts(world.cloud, PIPELINE, 0) == {"pending": 1}
    assert world.build("b.csv", b"x,y\n3,1\n") == "registered"
    assert uploads.counts(world.cloud, PIPELINE, 0) == {"included": 2}
    world.upload("b.csv", b"x,y\n4,1\n")
    assert uploads.counts(world.cloud, PIPELINE, 0) == {"included": 2, "pending": 1}
    assert world.build("c.csv", b"x,y\n5,1\n") == "registered"
    # Four objects arrived, of which three are in the data set.
    assert uploads.counts(world.cloud, PIPELINE, 2) == {"included": 3, "quarantined": 2}
    held = uploads.data_set(world.cloud, PIPELINE)
    assert held is not None
    assert (held["objects"], held["rows"]) == (3, 4)


def test_what_a_run_took_up_is_counted_once_it_is_in_the_data_set_or_before(
    cloud: fakes.Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(9):
        arrived(cloud, f"{number}.csv", state=keys.WAITING)
    assert uploads.counts(cloud, PIPELINE, 0) == {"building": 9}
    held = {"dataset_version": None, "objects": 9}
    monkeypatch.setattr(uploads, "data_set", lambda *_: held)
    assert uploads.counts(cloud, PIPELINE, 0) == {"included": 9}


def test_what_a_run_took_up_that_failed_later_is_in_the_data_set_and_does_not_wait_beside_it(
    world: World,
) -> None:
    world.push()
    assert world.build("a.csv") == "registered"
    held = uploads.data_set(world.cloud, PIPELINE)
    assert held is not None
    # Put back by a run whose data were valid, and by one that came to none.
    for number, version in ((2, held["dataset_version"]), (3, None)):
        run = Run(PIPELINE, f"{PIPELINE}-0000{number}", "failed", "v", AT, dataset_version=version)
        world.cloud.catalog.create(run.item())
        put_back = Arrival(
            PIPELINE, f"{PIPELINE}/{number}.csv", "v1", 8, AT, "pending", failed_run=run.run_id
        )
        world.cloud.catalog.create(put_back.item())
    assert uploads.counts(world.cloud, PIPELINE, 0) == {"included": 1, "pending": 1}


def test_what_overwrites_is_told_from_what_is_new(cloud: fakes.Cloud) -> None:
    for name in ("a.csv", "a.csv#1", "b.csv"):
        arrived(cloud, name)
    gone = arrivals.taken_up(cloud, PIPELINE, f"{PIPELINE}/b.csv")
    arrivals.mark_gone(cloud, gone, is_gone=True)
    named = [f"{PIPELINE}/{name}" for name in ("a.csv", "b.csv", "c.csv")]
    assert arrivals.overwritten(cloud, PIPELINE, named) == 1
    assert arrivals.overwritten(cloud, PIPELINE, named * 50) is None


def test_of_two_that_set_aside_at_once_the_later_says_that_there_is_more(
    cloud: fakes.Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (arrived(cloud, name, state=keys.QUARANTINED) for name in ("a.csv", "b.csv"))
    with monkeypatch.context() as at_once:
        at_once.setattr(cloud.catalog, "get", lambda _: None)
        arrivals.note_aside(cloud, first)
        arrivals.note_aside(cloud, second)
    noted = cloud.catalog.get(keys.aside_key(PIPELINE)) or {}
    assert (noted["newest"], noted["has_more"]) == ([first.place["sk"]], True)
