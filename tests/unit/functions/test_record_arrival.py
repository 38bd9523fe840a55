"""An upload becomes an arrival once, or is told from one with a reason."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import pytest

import fakes
from build_world import PIPELINE, PIPELINE_YAML, ROWS, Invoke, World, created
from sluice.catalog import keys


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    world = World(cloud, invoke)
    world.push()
    cloud.build_requests.sent.clear()
    return world


def arrival(world: World, name: str = "a.csv", version_id: str = "v1") -> dict[str, Any]:
    return world.arrival(f"{PIPELINE}/{name}", version_id)


def test_an_upload_is_recorded_by_content_and_asks_for_a_build_after_the_quiet_period(world: World) -> None:
    assert world.upload("a.csv") == {"status": "accepted"}
    recorded = arrival(world)
    assert recorded["sha256"] == hashlib.sha256(ROWS).hexdigest()
    assert (recorded["status"], recorded["size_bytes"]) == ("pending", len(ROWS))
    assert recorded["arrived_at"] == world.cloud.objects.at
    assert world.cloud.build_requests.sent == [(PIPELINE, 60)]


def test_the_same_event_five_times_is_one_arrival_and_one_timeline_entry(world: World) -> None:
    world.upload("a.csv")
    event = created(fakes.DATA_BUCKET, f"{PIPELINE}/a.csv", "v1")
    for _ in range(4):
        world.invoke("record_arrival", event)
    assert world.arrivals() == {f"{PIPELINE}/a.csv#v1": "pending"}
    assert world.events().count("data arrived") == 1


def test_an_event_that_comes_late_asks_for_nothing_more(world: World) -> None:
    assert world.build("a.csv") == "registered"
    world.cloud.build_requests.sent.clear()
    world.invoke("record_arrival", created(fakes.DATA_BUCKET, f"{PIPELINE}/a.csv", "v1"))
    assert world.arrivals() == {f"{PIPELINE}/a.csv#v1": "included"}
    assert world.cloud.build_requests.sent == []


def test_a_crash_before_the_build_request_is_made_good_by_the_retry(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(world.cloud.build_requests, "send", _crash)
        with pytest.raises(RuntimeError):
            world.upload("a.csv")
    world.invoke("record_arrival", created(fakes.DATA_BUCKET, f"{PIPELINE}/a.csv", "v1"))
    assert world.cloud.build_requests.sent == [(PIPELINE, 60)]


def _crash(*_: object, **__: object) -> None:
    raise RuntimeError


@pytest.mark.parametrize("name", ["a b.csv", "a+b.csv", "100%25.csv", "größe.csv", "2026/日本.csv"])
def test_a_key_is_taken_as_it_is(world: World, name: str) -> None:
    world.upload(name)
    assert arrival(world, name)["status"] == "pending"


def test_a_url_encoded_key_is_decoded_only_if_nothing_has_it_as_it_is(world: World) -> None:
    world.cloud.objects.put(fakes.DATA_BUCKET, f"{PIPELINE}/a b.csv", ROWS)
    world.invoke("record_arrival", created(fakes.DATA_BUCKET, f"{PIPELINE}/a+b.csv", "v1"))
    assert arrival(world, "a b.csv")["status"] == "pending"


def test_an_object_that_is_gone_is_nothing(world: World) -> None:
    event = created(fakes.DATA_BUCKET, f"{PIPELINE}/gone.csv", "v1")
    assert world.invoke("record_arrival", event) == {"status": "gone"}
    assert world.arrivals() == {}


def test_a_folder_marker_is_nothing(world: World) -> None:
    assert world.upload("2026/", b"") == {"status": "ignored"}
    assert world.arrivals() == {}


def test_an_empty_object_is_quarantined_tagged_and_builds_nothing(world: World) -> None:
    assert world.upload("a.csv", b"") == {"status": "quarantined"}
    assert (arrival(world)["status"], arrival(world)["reason"]) == ("quarantined", "zero bytes")
    tags = world.cloud.objects.tags(fakes.DATA_BUCKET, f"{PIPELINE}/a.csv")
    assert tags == {"sluice:status": "quarantined"}
    assert world.cloud.build_requests.sent == []


def test_an_unknown_prefix_is_listed_and_told_to_the_nearest_pipeline(world: World) -> None:
    world.cloud.objects.put(fakes.DATA_BUCKET, "review/a.csv", ROWS)
    event = created(fakes.DATA_BUCKET, "review/a.csv", "v1")
    assert world.invoke("record_arrival", event) == {"status": "unclaimed"}
    listed = world.cloud.catalog.get(keys.unclaimed_key("review/a.csv", "v1")) or {}
    assert listed["reason"] == f"no pipeline 'review'; did you mean {PIPELINE!r}?"
    assert "data unclaimed" in world.events()
    assert world.arrivals() == {}


def test_a_stored_checksum_saves_reading_the_object(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    head = world.cloud.objects.head

    def with_checksum(*args: Any) -> Any:
        found = head(*args)
        return dataclasses.replace(found, sha256="f" * 64) if found else None

    monkeypatch.setattr(world.cloud.objects, "head", with_checksum)
    monkeypatch.setattr(world.cloud.objects, "chunks", _crash)
    world.upload("a.csv")
    assert arrival(world)["sha256"] == "f" * 64


def test_a_thousand_uploads_ask_for_a_build_once_a_quiet_period(world: World) -> None:
    for number in range(100):
        world.upload(f"{number}.csv")
    assert world.cloud.build_requests.sent == [(PIPELINE, 60)]
    assert world.cloud.build_requests.awaited[-1] == world.pipeline["build_requested_for"]
    world.later(seconds=60)
    world.upload("last.csv")
    assert world.cloud.build_requests.sent == [(PIPELINE, 60)] * 2


def test_a_request_that_is_about_to_come_is_not_relied_on(world: World) -> None:
    world.upload("a.csv")
    world.later(seconds=59.5)
    world.upload("b.csv")
    assert world.cloud.build_requests.sent == [(PIPELINE, 60)] * 2


def test_a_marker_is_recorded_as_none_of_the_data_and_asks_without_waiting(
    cloud: fakes.Cloud, invoke: Invoke
) -> None:
    world = World(cloud, invoke)
    world.push(pipeline=PIPELINE_YAML.replace("quiet_period_s: 60", "marker: _SUCCESS").encode())
    cloud.build_requests.sent.clear()
    assert world.upload("dt=1/_SUCCESS", b"") == {"status": "control"}
    assert arrival(world, "dt=1/_SUCCESS")["status"] == "control"
    assert "batch marked" in world.events()
    assert cloud.build_requests.sent == [(PIPELINE, 2)]
    assert world.upload("dt=1/_success", b"") == {"status": "quarantined"}


def test_without_batches_by_marker_a_marker_is_an_object_like_any_other(world: World) -> None:
    assert world.upload("_SUCCESS", b"") == {"status": "quarantined"}
