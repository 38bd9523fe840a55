"""The digest of a large object is S3's own, or computed over several invocations, by one at a time."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

import fakes
from build_world import PIPELINE, Invoke, World, created
from sluice.catalog import keys
from sluice.domain import digests
from sluice.domain.digests import Part
from sluice.services.data import hashing

KEY = f"{PIPELINE}/a.csv"
DATA = b"x,y\n" + b"1,0\n" * 9


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(digests, "PART_BYTES", 8)
    monkeypatch.setattr(digests, "WHOLE_MAX_BYTES", 16)
    world = World(cloud, invoke)
    world.push()
    cloud.objects.read_bytes = 0
    return world


def arrival(world: World) -> dict[str, Any]:
    return world.arrival(KEY)


def hints(world: World) -> int:
    return len([hint for hint in world.cloud.bus.entries if hint[0] == "Object Created"])


def test_an_upload_in_our_parts_is_known_without_being_read(world: World) -> None:
    parts = [DATA[start : start + 8] for start in range(0, len(DATA), 8)]
    stored = [Part(len(part), base64.b64encode(hashlib.sha256(part).digest()).decode()) for part in parts]
    world.cloud.objects.uploaded_parts[(KEY, "v1")] = stored
    assert world.upload("a.csv", DATA) == {"status": "accepted"}
    assert arrival(world)["sha256"] == digests.of_content(len(DATA), [DATA])
    assert world.cloud.objects.read_bytes == 0


def test_any_other_is_read_by_parts_as_far_as_there_is_time_and_announced_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter([300_000, 300_000, 0, 300_000, 300_000, 0, 300_000, 300_000])
    digest = hashing.digest
    monkeypatch.setattr(hashing, "digest", lambda cloud, head, _: digest(cloud, head, lambda: next(left)))
    event = created(fakes.DATA_BUCKET, KEY, "v1")
    assert world.upload("a.csv", DATA) == {"status": "hashing"}
    assert (arrival(world), hints(world)) == ({}, 1)
    assert world.invoke("record_arrival", event) == {"status": "hashing"}
    assert (arrival(world), hints(world)) == ({}, 2)
    assert world.invoke("record_arrival", event) == {"status": "accepted"}
    assert arrival(world)["sha256"] == digests.of_content(len(DATA), [DATA])
    # Nothing was read twice.
    assert world.cloud.objects.read_bytes == len(DATA)


def test_only_one_computes_it_and_another_takes_over_when_that_one_has_died(world: World) -> None:
    key = keys.hashing_key(KEY, "v1")
    world.cloud.catalog.create({**key, "taken_until": "2999-01-01T00:00:00.000Z"})
    assert world.upload("a.csv", DATA) == {"status": "hashing"}
    assert (arrival(world), hints(world)) == ({}, 0)
    world.cloud.catalog.update(key, {"taken_until": "2000-01-01T00:00:00.000Z"})
    assert world.invoke("record_arrival", created(fakes.DATA_BUCKET, KEY, "v1")) == {"status": "accepted"}
