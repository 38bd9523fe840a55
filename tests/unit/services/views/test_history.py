"""Which version served when is told from what was recorded at the time, at any time in the past."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fakes
import release_world
from release_world import PIPELINE, World
from sluice.catalog import keys
from sluice.catalog.changes import releases as changes
from sluice.catalog.records.releases import Deployment, Stage
from sluice.services import timeline
from sluice.services.views import history


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: release_world.Invoke) -> World:
    """Version 1 is replaced by 2 after an hour, which an alarm rolls back an hour later."""
    made = World.of_rollback(cloud, invoke)
    made.later(hours=1)
    return made


def served(world: World, time: str) -> int | None:
    (row,) = history.at(world.cloud, PIPELINE, time)
    version: int | None = row["version"]
    return version


def test_the_history_names_each_promotion_with_its_cause_and_its_end(world: World) -> None:
    rows = history.history(world.cloud, PIPELINE)
    assert [(row["version"], row["status"], row["cause"]) for row in rows] == [
        (1, "live", "alarm"),
        (2, "rolled_back", "approval"),
        (1, "superseded", "approval"),
    ]
    assert rows[0]["until"] is None
    assert [row["until"] for row in rows[1:]] == [row["from"] for row in rows[:-1]]
    assert rows[0]["actor"].startswith(release_world.ERROR_ALARM)
    assert history.history(world.cloud, PIPELINE, limit=1) == rows[:1]
    assert history.history(world.cloud, PIPELINE, "staging") == []


def test_what_served_at_a_time_is_what_had_been_promoted_last(world: World) -> None:
    rows = history.history(world.cloud, PIPELINE)
    third, second, first = (str(row["from"]) for row in rows)
    assert served(world, "2000-01-01T00:00:00.000Z") is None
    assert [served(world, at) for at in (first, second, third)] == [1, 2, 1]
    assert served(world, world.cloud.now.at) == 1
    just_before = str(int(second[20:23]) - 1).zfill(3) if second[20:23] != "000" else None
    if just_before:
        assert served(world, f"{second[:20]}{just_before}Z") == 1


def test_after_its_retirement_nothing_served_until_something_is_released_again(world: World) -> None:
    stage = Stage.of(world.stage())
    live, at = str(stage.live), world.cloud.now.at
    assert world.cloud.catalog.apply(changes.retire_deployment(PIPELINE, "production", live, at))
    assert world.cloud.catalog.apply(changes.retire_stage(PIPELINE, "production", live))
    assert served(world, at) is None
    world.later(hours=1)
    assert served(world, world.cloud.now.at) is None
    assert history.history(world.cloud, PIPELINE)[0]["status"] == "retired"
    world.cloud.endpoints.delete_endpoint(release_world.ENDPOINT)
    world.fire(state="OK")
    world.approve(world.register(3))
    assert served(world, world.cloud.now.at) == 3
    assert served(world, at) is None


def test_promotions_of_an_older_stack_are_found_without_the_index(world: World) -> None:
    times = [str(row["from"]) for row in history.history(world.cloud, PIPELINE)]
    before = [served(world, at) for at in times]
    for pk, sk in list(world.cloud.catalog.items):
        if sk.startswith(keys.PROMOTIONS):
            del world.cloud.catalog.items[pk, sk]
    assert [served(world, at) for at in times] == before == [1, 2, 1]


@pytest.mark.parametrize("count", [3, 300])
def test_what_served_long_ago_costs_as_little_as_what_serves_now(
    world: World, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = Deployment.of(world.deployment(str(world.stage()["live"])))
    for number in range(count):
        at = f"2020-01-01T00:{number // 60:02d}:{number % 60:02d}.000Z"
        ended = f"2020-01-01T00:{(number + 1) // 60:02d}:{(number + 1) % 60:02d}.000Z"
        release_id = f"{PIPELINE}-v1-{number:08x}"
        past = {"release_id": release_id, "promoted_at": at, "ended_at": ended, "status": "superseded"}
        item = Deployment(**{**{name: getattr(live, name) for name in live.__slots__}, **past})
        world.cloud.catalog.create(item.item())
        world.cloud.catalog.apply(changes.index_promotion(item))
    read = fakes.count_reads(world.cloud.catalog, monkeypatch)
    assert served(world, "2020-01-01T00:00:01.500Z") == 1
    assert len(read) <= 6, read


def test_a_promotion_that_came_to_nothing_is_not_in_the_index(world: World) -> None:
    """The stage is pointed to what serves, and that is indexed, together or not at all."""
    stage = Stage.of(world.stage())
    deployment = Deployment.of(world.deployment(str(stage.live)))
    index = changes.index_promotion(deployment)
    del world.cloud.catalog.items[index.key["pk"], index.key["sk"]]
    pointed = changes.point_stage(PIPELINE, "production", "another")
    assert not world.cloud.catalog.apply(pointed, index)
    assert world.cloud.catalog.get(index.key) is None


@given(times=st.lists(st.integers(0, 59), min_size=1, max_size=8), limit=st.integers(1, 3))
def test_pages_of_the_timeline_are_all_of_it_newest_first(times: list[int], limit: int) -> None:
    cloud = fakes.Cloud()
    for number, second in enumerate(times):
        timeline.note(cloud, PIPELINE, f"2026-11-29T08:00:{second:02d}.000Z", "s", f"event {number}", "")
    whole = timeline.page(cloud, PIPELINE)
    assert len(whole) == len(times)
    assert [entry["at"] for entry in whole] == sorted((entry["at"] for entry in whole), reverse=True)
    paged: list[dict[str, Any]] = []
    while found := timeline.page(cloud, PIPELINE, after=paged[-1]["id"] if paged else None, limit=limit):
        paged += found
    assert paged == whole
    since = "2026-11-29T08:00:30.000Z"
    assert timeline.page(cloud, PIPELINE, since) == [entry for entry in whole if entry["at"] >= since]
