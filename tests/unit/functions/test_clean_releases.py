"""Configs and models of former releases go; what serves, is a known good or is being released never does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fakes
from release_world import ENDPOINT, PIPELINE, World
from sluice.domain.release import leftovers
from sluice.domain.release.leftovers import Made
from sluice.services import cleaning


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]) -> World:
    """Six versions that followed each other, a day apart."""
    made = World(cloud, invoke)
    for number in range(1, 7):
        release(made, number)
    return made


def release(world: World, number: int) -> None:
    world.cloud.endpoints.made_at = world.at()
    world.approve(world.register(number))
    world.later(days=1)


def clean(world: World, keep: int = 2) -> dict[str, dict[str, int]]:
    return dict(world.invoke("clean_releases", {"keep": keep})["removed"])


def versions(found: dict[str, Any]) -> list[int]:
    """The versions whose configs or models are there."""
    return sorted(int(name.partition("-v")[2].partition("-")[0]) for name in found if "-v" in name)


def test_the_sample_event_removes_nothing_of_few(world: World, sample: Any) -> None:
    assert world.invoke("clean_releases", sample("clean_releases")) == {"removed": {}}
    assert "cleaned up" not in world.events()


def test_all_but_the_newest_go_once_and_the_timeline_says_so(world: World) -> None:
    assert clean(world) == {PIPELINE: {"endpoint config": 4, "model": 4}}
    assert versions(world.cloud.endpoints.configs) == versions(world.cloud.endpoints.models) == [5, 6]
    expected = "4 endpoint configs and 4 models of former releases were removed: no stage needs them"
    assert ("cleaned up", expected) in world.timeline()
    assert clean(world) == {}
    assert world.events().count("cleaned up") == 1


def test_the_known_good_is_kept_however_old(world: World) -> None:
    """Versions that an alarm took back lie between it and what serves."""
    world.later(hours=1)
    for number in (7, 8, 9):
        release(world, number)
    # Of 6 to 9 none but 6 was known to be good: the others did not outlive their bake.
    for item in world.cloud.catalog.items.values():
        if item["sk"].startswith("DEPLOYMENT#") and item["package_version"] in (7, 8):
            item["bake_until"] = "2090-01-01T00:00:00.000Z"
    clean(world, keep=2)
    assert versions(world.cloud.endpoints.configs) == versions(world.cloud.endpoints.models) == [6, 8, 9]


def test_what_the_endpoint_itself_serves_is_kept_though_nobody_released_it_last(world: World) -> None:
    """Else the endpoint that somebody put back by hand could never be changed again."""
    old = next(name for name in world.cloud.endpoints.configs if "-v1-" in name)
    world.cloud.endpoints.update_endpoint({"EndpointName": ENDPOINT, "EndpointConfigName": old})
    clean(world)
    assert versions(world.cloud.endpoints.configs) == [1, 5, 6]
    world.cloud.endpoints.settle(ENDPOINT)
    clean(world)
    assert versions(world.cloud.endpoints.configs) == versions(world.cloud.endpoints.models) == [1, 5, 6]


def test_while_a_release_is_under_way_its_stage_is_left_alone(world: World) -> None:
    world.plan(world.register(7))
    assert clean(world) == {}
    assert versions(world.cloud.endpoints.configs) == [1, 2, 3, 4, 5, 6]


def test_what_lacks_our_tags_is_left_alone(world: World) -> None:
    for found in (world.cloud.endpoints.configs, world.cloud.endpoints.models):
        for name, each in found.items():
            if "-v2-" in name:
                each["Tags"] = []
    clean(world)
    assert versions(world.cloud.endpoints.configs) == versions(world.cloud.endpoints.models) == [2, 5, 6]


def test_a_retired_stage_keeps_its_newest_too(world: World) -> None:
    live = world.stage()["live"]
    world.cloud.catalog.update(
        {"pk": world.stage()["pk"], "sk": world.stage()["sk"]}, {"live": None, "retired": live}
    )
    world.cloud.endpoints.delete_endpoint(ENDPOINT)
    clean(world)
    assert versions(world.cloud.endpoints.configs) == [5, 6]


def test_it_stops_when_its_time_is_over_and_goes_on_next_time(world: World) -> None:
    left = [3]

    def has_time() -> bool:
        left[0] -= 1
        return left[0] >= 0

    assert cleaning.clean(world.cloud, 2, has_time) == {PIPELINE: {"endpoint config": 3}}
    assert clean(world) == {PIPELINE: {"endpoint config": 1, "model": 4}}


def test_a_rollback_needs_nothing_that_was_removed(world: World) -> None:
    clean(world)
    world.fire()
    world.tell_alarm()
    world.run_all()
    assert world.served_version() == "5"


MADE = st.builds(
    Made,
    name=st.uuids().map(str),
    arn=st.just("arn"),
    created_at=st.datetimes().map(lambda at: at.isoformat()),
    release_id=st.sampled_from(["reviews-v1-aaaaaaaa", "reviews-v2-bbbbbbbb"]),
)


@given(
    found=st.lists(MADE, max_size=8, unique_by=lambda each: each.name), keep=st.integers(1, 4), data=st.data()
)
def test_neither_what_is_needed_nor_the_newest_ever_goes(
    found: list[Made], keep: int, data: st.DataObject
) -> None:
    needed = data.draw(st.sets(st.sampled_from([each.name for each in found] or ["none"])))
    old = leftovers.old_configs(found, keep, needed)
    left = [each for each in found if each not in old]
    assert not needed & {each.name for each in old}
    assert len(left) >= min(keep, len(found))
    newest_gone = max((each.created_at for each in old), default="")
    assert sum(each.created_at >= newest_gone for each in left) >= min(keep, len(left))
    releases = {"reviews-v1-aaaaaaaa"}
    models = leftovers.old_models(found, keep, releases, "2020-01-01")
    assert all(each.release_id not in releases and each.created_at < "2020-01-01" for each in models)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("sluice--reviews-v1-0a1b2c3d--production", ("reviews-v1-0a1b2c3d", "production")),
        ("sluice--reviews-v1-0a1b2c3d--theirs", None),
        ("sluice--by-hand--production", None),
        ("sluice---0123456789-reviews-v1-0a1b2c3d-production", None),
    ],
)
def test_only_a_name_that_has_its_release_whole_is_one_of_ours(name: str, found: Any) -> None:
    assert leftovers.release_of_name("sluice", name, ["staging", "production"]) == found
