"""Configs and models of former releases go; what serves, is a known good or is being released never does."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fakes
from batch_world import BatchWorld
from release_world import ENDPOINT, PIPELINE, PIPELINE_YAML, World
from sluice.catalog import keys
from sluice.catalog.records.releases import Release, Stage
from sluice.domain.release import leftovers
from sluice.domain.release.leftovers import Made
from sluice.services.release import cleaning, old_logs


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


# -------------------------------------------------------------------------------------------------- logs

GROUP = f"/aws/sagemaker/Endpoints/{ENDPOINT}"


def log(world: World, name: str, group: str = GROUP) -> None:
    """An instance, or a job, begins to write."""
    world.cloud.log_streams.groups.setdefault(group, {})[name] = world.cloud.now()


def streams(world: World, group: str = GROUP) -> list[str]:
    return sorted(world.cloud.log_streams.groups.get(group, {}))


@pytest.fixture
def logging(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]) -> World:
    """Six versions, each with an instance two hours after its release, which is replaced later."""
    made = World(cloud, invoke)
    for number in range(1, 7):
        release(made, number)
        made.later(hours=2 - 24)
        log(made, f"AllTraffic/i-{number}")
        made.later(hours=10)
        log(made, f"AllTraffic/i-{number}-again")
        made.later(hours=12)
    return made


def kept(*numbers: int) -> list[str]:
    return sorted(f"AllTraffic/i-{number}{end}" for number in numbers for end in ("", "-again"))


def test_streams_of_former_releases_go_once_and_the_timeline_says_so(logging: World) -> None:
    removed = clean(logging)
    assert removed[PIPELINE]["log stream"] == 8
    assert streams(logging) == kept(5, 6)
    said = dict(logging.timeline())["cleaned up"]
    assert said.startswith("4 endpoint configs, 4 models and 8 log streams")
    assert clean(logging) == {}


def test_of_few_releases_no_log_goes(logging: World) -> None:
    clean(logging, keep=7)
    assert streams(logging) == kept(1, 2, 3, 4, 5, 6)


def test_the_logs_of_the_known_good_are_kept_however_old(logging: World) -> None:
    for item in logging.cloud.catalog.items.values():
        if item["sk"].startswith("DEPLOYMENT#") and item["package_version"] in (4, 5):
            item["bake_until"] = "2090-01-01T00:00:00.000Z"
    clean(logging, keep=1)
    assert streams(logging) == kept(3, 4, 5, 6)


def test_the_logs_of_what_the_endpoint_serves_are_kept_though_nobody_released_it_last(logging: World) -> None:
    old = next(name for name in logging.cloud.endpoints.configs if "-v2-" in name)
    logging.cloud.endpoints.update_endpoint({"EndpointName": ENDPOINT, "EndpointConfigName": old})
    clean(logging)
    assert streams(logging) == kept(2, 3, 4, 5, 6)


def test_while_a_release_is_under_way_no_log_of_its_stage_goes(logging: World) -> None:
    logging.plan(logging.register(7))
    clean(logging)
    assert streams(logging) == kept(1, 2, 3, 4, 5, 6)


@pytest.mark.parametrize("lost", ["started", "linked"])
def test_where_the_catalog_does_not_know_when_releases_began_no_log_goes(logging: World, lost: str) -> None:
    """Of an older stack, for example."""
    catalog, live = logging.cloud.catalog, logging.stage()["live"]
    if lost == "started":
        del catalog.items[f"PIPELINE#{PIPELINE}", f"RELEASE#{live}"]
    else:
        catalog.update(keys.stage_key(PIPELINE, "production"), {"is_linked": None}, None)
    clean(logging)
    assert streams(logging) == kept(1, 2, 3, 4, 5, 6)


def test_logs_of_other_endpoints_are_left_alone(logging: World) -> None:
    others = "/aws/sagemaker/Endpoints/theirs"
    logging.cloud.log_streams.groups[others] = {"AllTraffic/i-1": "2020-01-01T00:00:00.000Z"}
    clean(logging)
    assert streams(logging, others) == ["AllTraffic/i-1"]


def test_it_stops_with_logs_when_its_time_is_over_and_goes_on_next_time(logging: World) -> None:
    left = [10]

    def has_time() -> bool:
        left[0] -= 1
        return left[0] >= 0

    cleaning.clean(logging.cloud, 2, has_time)
    assert {*kept(5, 6)} < {*streams(logging)} < {*kept(1, 2, 3, 4, 5, 6)}
    clean(logging)
    assert streams(logging) == kept(5, 6)


@given(
    keep=st.integers(1, 5),
    made=st.lists(st.integers(0, 20), max_size=8),
    needed=st.sets(st.integers(1, 5), max_size=2),
)
def test_no_stream_goes_that_a_kept_release_may_have_written(
    keep: int, made: list[int], needed: set[int]
) -> None:
    """Five releases on days 2, 4, ..., 10; a stream of a release is made after that began."""
    cloud = fakes.Cloud()
    stage = Stage(PIPELINE, "production", ENDPOINT, live="r5", position=0, is_linked=True)
    days = {number: f"2026-11-{2 * number:02d}T09:00:00.000Z" for number in range(1, 6)}
    for number, at in days.items():
        begun = Release(PIPELINE, f"r{number}", "approval", "released", "me", "arn", at)
        promoted = {**keys.promotion_key(PIPELINE, "production", at), "release_id": f"r{number}"}
        for item in (begun.item(), promoted):
            cloud.catalog.create(item)
    cloud.log_streams.groups[GROUP] = {
        f"s{place}": f"2026-11-{day + 1:02d}T12:00:00.000Z" for place, day in enumerate(made)
    }
    before = dict(cloud.log_streams.groups[GROUP])
    where = {(PIPELINE, "production"): {"r5", *(f"r{number}" for number in needed)}}
    old_logs.clean(cloud, [stage], where, keep, lambda: True, defaultdict(Counter))
    oldest = min(days[number] for number in {5, *needed, *range(6 - keep, 6)})
    gone = {at for name, at in before.items() if name not in cloud.log_streams.groups[GROUP]}
    assert all(at < oldest for at in gone)


TWO_STAGES = PIPELINE_YAML.replace(
    "stages: [{name: production,",
    "stages: [{name: staging, traffic: {type: all_at_once, bake_s: 60, unwatched: true}}, {name: production,",
)


@pytest.mark.parametrize(("releases", "is_gone"), [(1, False), (2, True)])
def test_the_group_of_a_retired_endpoint_goes_after_as_many_releases(
    cloud: fakes.Cloud, invoke: Callable[[str, Any], Any], releases: int, is_gone: bool
) -> None:
    world = World(cloud, invoke, TWO_STAGES)
    release(world, 1)
    staging, group = "sluice--reviews--staging", "/aws/sagemaker/Endpoints/sluice--reviews--staging"
    log(world, "AllTraffic/i-1", group)
    cloud.endpoints.delete_endpoint(staging)
    retired = {"pipeline": PIPELINE, "stage": "staging", "actor": "me", "reason": "it costs"}
    world.invoke("retire_stage", {"time": cloud.now(), "detail": retired})
    assert world.stage("staging").get("live") is None
    world.later(hours=1)
    world.push(PIPELINE_YAML)
    for number in range(2, 2 + releases):
        release(world, number)
    removed = clean(world)
    assert (group not in cloud.log_streams.groups) == is_gone
    assert (removed.get(PIPELINE, {}).get("log group", 0) == 1) == is_gone
    assert clean(world).get(PIPELINE, {}).get("log group", 0) == 0


def test_the_group_of_an_endpoint_that_is_there_again_stays(
    cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]
) -> None:
    world = World(cloud, invoke, TWO_STAGES)
    for number in range(1, 5):
        release(world, number)
    group = "/aws/sagemaker/Endpoints/sluice--reviews--staging"
    log(world, "AllTraffic/i-4", group)
    stage = world.stage("staging")
    cloud.catalog.update(keys.key_of(stage), {"live": None, "retired": stage["live"]}, None)
    cloud.catalog.update(
        keys.deployment_key(PIPELINE, "staging", stage["live"]),
        {"ended_at": "2026-01-01T00:00:00.000Z"},
        None,
    )
    clean(world)
    assert streams(world, group) == ["AllTraffic/i-4"]


def test_streams_of_transforms_go_with_the_releases_that_scored_and_no_others(
    cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]
) -> None:
    world, group = BatchWorld(cloud, invoke), "/aws/sagemaker/TransformJobs"
    for number in range(1, 5):
        release(world, number)
        log(world, f"sluice--reviews-batch-{number:05d}/i-1", group)
        world.later(days=1)
    others = ["another--reviews-batch-00001/i", "sluice--reviews-batch-x-batch-00001/i", "train/i"]
    for name in others:
        cloud.log_streams.groups[group][name] = "2020-01-01T00:00:00.000Z"
    clean(world)
    assert streams(world, group) == sorted(
        [*others, "sluice--reviews-batch-00003/i-1", "sluice--reviews-batch-00004/i-1"]
    )
