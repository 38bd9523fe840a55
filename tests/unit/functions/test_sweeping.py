"""The bucket is gone through a page at a time, and to its end once a day; only what was lost is told of."""

from __future__ import annotations

from typing import Any

import pytest

import fakes
from build_world import PIPELINE, Invoke, World
from handlers import LambdaContext, load_function
from sluice.catalog import keys
from sluice.catalog.records.arrivals import Arrival
from sluice.catalog.records.data import Dataset
from sluice.catalog.records.monitoring import TruthUpload
from sluice.services.data import sweeping


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(sweeping, "PAGE", 10)
    world = World(cloud, invoke)
    world.push()
    return world


def put(world: World, count: int, folder: str = PIPELINE) -> list[str]:
    """Upload objects whose events are lost."""
    named = [f"{folder}/{number:03}.csv" for number in range(count)]
    for key in named:
        world.cloud.objects.put(fakes.DATA_BUCKET, key, b"x")
    return named


def told(world: World) -> list[str]:
    """The keys that one pass tells of."""
    world.cloud.bus.entries.clear()
    world.invoke("reconcile", {})
    return [
        detail["object"]["key"] for name, detail, _ in world.cloud.bus.entries if name == "Object Created"
    ]


def record(world: World, key: str, state: str = keys.SETTLED) -> None:
    arrival = Arrival(PIPELINE, key, "v1", 1, world.cloud.now.at, "included", state=state)
    world.cloud.catalog.create(arrival.item())


def test_the_first_pass_of_a_day_goes_to_the_end_and_others_see_a_page(world: World) -> None:
    named = put(world, 25)
    assert told(world) == named
    assert told(world) == named[:10]
    assert told(world) == named[10:20]
    assert told(world) == named[20:]
    assert told(world) == named[:10]
    world.later(days=1)
    assert told(world) == named


def test_a_pass_that_ran_out_of_time_goes_on_the_next_time(world: World) -> None:
    named = put(world, 25)

    class Hurried(LambdaContext):
        def get_remaining_time_in_millis(self) -> int:
            return 5_000 if len(world.cloud.bus.entries) >= 13 else 300_000

    result = load_function("reconcile").lambda_handler({}, Hurried())
    assert result == {"sent": {"Object Created": 13}, "finished": False}
    assert told(world) == named[10:]


@pytest.mark.parametrize("state", keys.STATES)
def test_what_is_recorded_anywhere_is_not_told_of(world: World, state: str) -> None:
    named = put(world, 25)
    for key in named[:-1]:
        record(world, key, state)
    assert told(world) == named[-1:]


def test_what_lies_beyond_what_is_read_of_a_range_is_looked_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "_ITEMS", 1)
    # '!' comes before the sign that ends a key in the catalog: S3 and the catalog sort these otherwise.
    odd = [f"{PIPELINE}/a", f"{PIPELINE}/a!b", f"{PIPELINE}/{'ü' * 460}"]
    for key in odd:
        world.cloud.objects.put(fakes.DATA_BUCKET, key, b"x")
        record(world, key)
    assert told(world) == []


def test_a_page_of_many_owners_is_held_against_each(world: World) -> None:
    world.cloud.objects.put(fakes.DATA_BUCKET, "loose.csv", b"x")
    world.cloud.objects.put(fakes.DATA_BUCKET, "nobody/a.csv", b"x")
    world.cloud.objects.put(fakes.DATA_BUCKET, f"{PIPELINE}/a.csv", b"x")
    assert told(world) == ["loose.csv", "nobody/a.csv", f"{PIPELINE}/a.csv"]
    world.cloud.catalog.create({**keys.unclaimed_key("loose.csv", "v1"), "status": "unclaimed"})
    world.cloud.catalog.create({**keys.unclaimed_key("nobody/a.csv", "v1"), "status": "unclaimed"})
    record(world, f"{PIPELINE}/a.csv")
    assert told(world) == []


def test_a_lost_push_is_told_of_for_a_day_and_once_a_day_for_ever(world: World) -> None:
    world.invoke("reconcile", {})
    world.later(minutes=5)
    key = f"projects/fraud/{'a' * 64}.tar.gz"
    world.cloud.objects.put(fakes.ARTIFACT_BUCKET, key, b"x")
    assert told(world) == [key]
    world.later(hours=30)
    assert [told(world), told(world), told(world)] == [[key], [], []]


def test_a_lost_decision_about_an_old_package_is_told_of_once_a_day(world: World) -> None:
    world.invoke("reconcile", {})
    group = world.pipeline["group"]
    for number in range(102):
        package = {"ModelPackageGroupName": group, "ClientToken": str(number)}
        world.cloud.registry.create_package({**package, "ModelApprovalStatus": "Approved"})

    def decided() -> list[int]:
        world.cloud.bus.entries.clear()
        world.invoke("reconcile", {})
        arns = (detail["ModelPackageArn"] for _, detail, _ in world.cloud.bus.entries)
        return [int(arn.rpartition("/")[2]) for arn in arns]

    assert decided() == [*range(102, 2, -1)]
    world.later(days=1)
    assert [decided(), decided()] == [[*range(102, 0, -1)], [*range(102, 2, -1)]]


# ----------------------------------------------------------------------------------------- an older stack


def older(world: World, name: str, **item: Any) -> None:
    key = f"{PIPELINE}/{name}"
    world.cloud.objects.put(fakes.DATA_BUCKET, key, b"x")
    described = {"key": key, "version_id": "v1", "size_bytes": 1, "sha256": "0" * 64}
    at = {"arrived_at": world.cloud.now.at, "recorded_at": world.cloud.now.at}
    place = {"pk": keys.partition(PIPELINE), "sk": f"ARRIVAL#{key}#v1"}
    world.cloud.catalog.create({**place, **described, **at, **item})


def places(world: World) -> dict[str, tuple[str, str]]:
    found = {}
    for state in (*keys.STATES, keys.ARRIVALS):
        for item in world.cloud.catalog.query(keys.partition(PIPELINE), state):
            found[item["key"].rpartition("/")[2]] = (state, item["status"])
    return found


def test_the_arrivals_of_an_older_stack_are_moved_to_where_their_state_says(world: World) -> None:
    catalog = world.cloud.catalog
    catalog.create(Dataset(PIPELINE, "d1", "valid", "s3://b/d1", 1, 1, world.cloud.now.at).item())
    catalog.create(Dataset(PIPELINE, "d2", "new", "s3://b/d2", 1, 1, world.cloud.now.at).item())
    for run_id, status in (("r-1", "registered"), ("r-2", "running"), ("r-3", "failed")):
        catalog.create({**keys.run_key(PIPELINE, run_id), "status": status})
    older(world, "pending.csv", status="pending")
    older(world, "_SUCCESS", status="control", is_control=True)
    older(world, "bad.csv", status="quarantined", reason="x")
    older(world, "old.csv", status="included", dataset_version="d1", taken_up_by="r-1")
    older(world, "older.csv", status="included", dataset_version="d1")
    older(world, "running.csv", status="included", dataset_version="d2", taken_up_by="r-2")
    older(world, "failed.csv", status="included", dataset_version="d1", taken_up_by="r-3")
    older(world, "left.csv", status="included", dataset_version="d2")
    assert told(world) == []
    assert places(world) == {
        "pending.csv": (keys.WAITING, "pending"),
        "_SUCCESS": (keys.WAITING, "control"),
        "bad.csv": (keys.QUARANTINED, "quarantined"),
        "old.csv": (keys.SETTLED, "included"),
        "older.csv": (keys.SETTLED, "included"),
        "running.csv": (keys.WAITING, "included"),
        "failed.csv": (keys.WAITING, "pending"),
        "left.csv": (keys.WAITING, "included"),
    }
    assert world.arrival(f"{PIPELINE}/failed.csv")["failed_run"] == "r-3"
    assert (catalog.get(keys.counts_key(PIPELINE)) or {})["included"] == 2


@pytest.mark.parametrize("writes_before", range(4))
def test_a_move_that_dies_half_way_is_gone_on_with_and_counts_once(world: World, writes_before: int) -> None:
    world.cloud.catalog.create(Dataset(PIPELINE, "d1", "valid", "s3://b/d1", 1, 1, world.cloud.now.at).item())
    for number in range(100):
        older(world, f"{number:03}.csv", status="included", dataset_version="d1")
    with world.crash_after(writes_before):
        if writes_before < 3:
            with pytest.raises(RuntimeError):
                world.invoke("reconcile", {})
    assert told(world) == []
    assert set(places(world).values()) == {(keys.SETTLED, "included")}
    assert (world.cloud.catalog.get(keys.counts_key(PIPELINE)) or {})["included"] == 100


def test_labels_whose_event_was_lost_are_told_of_as_labels_and_not_as_data(world: World) -> None:
    world.cloud.objects.at = world.cloud.now.at
    (key, other) = *put(world, 1, f"ground-truth/{PIPELINE}"), *put(world, 1, "ground-truth/others")
    assert other not in told(world)
    assert told(world) == [key]
    world.cloud.catalog.create(TruthUpload(PIPELINE, world.cloud.now.at, key, "v1").item())
    assert told(world) == []
