"""What is known of arrivals is the same however many are asked for, and whoever writes meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

import fakes
from build_world import PIPELINE
from sluice.catalog import keys
from sluice.catalog.records.arrivals import Arrival
from sluice.services import arrivals
from sluice.services.views import uploads

AT = "2026-11-24T09:00:00.000Z"


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


@pytest.mark.parametrize("keeps_settling", [False, True])
def test_what_settles_while_it_is_counted_is_never_counted_twice(
    cloud: fakes.Cloud, monkeypatch: pytest.MonkeyPatch, keeps_settling: bool
) -> None:
    for number in range(9):
        arrived(cloud, f"{number}.csv", state=keys.WAITING)
    read = arrivals.waiting

    def settling(*args: Any) -> list[Arrival]:
        found = read(*args)
        if found and (keeps_settling or len(found) == 9):
            assert arrivals.settle_these(cloud, PIPELINE, found[:2])
        return found

    monkeypatch.setattr(arrivals, "waiting", settling)
    assert uploads.counts(cloud, PIPELINE, 0) == {"included": 9}


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
