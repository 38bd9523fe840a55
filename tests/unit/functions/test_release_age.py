"""What a rollback and `reconcile` read of the catalog does not grow with what was ever released."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import fakes
from release_world import PIPELINE, World
from sluice.catalog import keys
from sluice.catalog.records.releases import Deployment, Release

# Items that `reconcile`, an alarm and the rollback that follows read, whatever there was before.
READ_MAX = 73


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]) -> World:
    """A stage whose second version is live, in the place of one that outlived its bake."""
    made = World(cloud, invoke)
    for number in (1, 2):
        made.approve(made.register(number))
        made.later(hours=1)
    return made


def add_past(world: World, count: int) -> None:
    """Releases of long ago, as if they were promoted before the first that is known."""
    live = Deployment.of(world.deployment(world.stage()["live"]))
    at = "2025-01-01T00:00:00.000Z"
    for number in range(count):
        release_id = f"{PIPELINE}-v{number}-{number:08x}"
        past = replace(live, release_id=release_id, status="superseded", promoted_at=at, ended_at=at)
        release = Release(PIPELINE, release_id, "approval", "released", "me", f"arn:{number}", at)
        for item in (past.item(), release.item()):
            world.cloud.catalog.items[item["pk"], item["sk"]] = item


@pytest.mark.parametrize("count", [10, 10_000])
def test_a_rollback_and_reconcile_read_as_much_after_ten_thousand_releases(
    world: World, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    add_past(world, count)
    catalog = world.cloud.catalog
    query = catalog.query
    read = fakes.count_reads(catalog, monkeypatch)
    world.invoke("reconcile", {})
    world.fire()
    world.tell_alarm()
    world.run_all()
    assert world.served_version() == "1"
    assert len(read) <= READ_MAX, len(read)
    assert len(query(keys.partition(PIPELINE), keys.RELEASES)) == count + 3
