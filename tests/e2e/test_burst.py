"""A thousand uploads at a time: nothing is lost, nothing is doubled, and few builds are made of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from e2e.loop import Loop, rows
from sluice.services.views import data, runs, uploads
from sluice_cli import waiting

pytestmark = pytest.mark.thorough

OBJECTS = 1000
UPLOADERS = 8


def is_settled(loop: Loop) -> bool | None:
    """Whether everything that was uploaded is in a data set, and no build runs."""
    return (not loop.is_building() and loop.status()["arrivals"] == {"included": OBJECTS}) or None


def keys_of(loop: Loop, run: dict[str, Any]) -> list[str]:
    """The keys of a run's data set, as `sluice dataset show` has them."""
    (item,) = data.versions_beginning(loop.target.cloud, loop.pipeline, run["dataset_version"])
    return [obj["key"] for obj in data.dataset(loop.target.cloud, loop.pipeline, item)["objects"]]


def test_a_thousand_uploads_lose_nothing_and_build_at_most_twice(loop: Loop) -> None:
    loop.push(pipeline=loop.configure(complete_when="{quiet_period_s: 5}"))
    bodies = {
        f"dt=2026-01-{number % 28 + 1:02d}/part {number:04d}.csv": rows(4, seed=number)
        for number in range(OBJECTS)
    }
    with ThreadPoolExecutor(UPLOADERS) as pool:
        list(pool.map(lambda item: loop.upload(*item), bodies.items()))
    waiting.until(lambda: is_settled(loop), timeout_s=150, what="the burst to be built", poll_s=1)

    newest, *earlier = runs.runs(loop.target.cloud, loop.pipeline)
    assert len(earlier) <= 1
    assert newest["status"] in {"registered", "rejected"}
    assert sorted(keys_of(loop, newest)) == sorted(f"{loop.pipeline}/{key}" for key in bodies)
    versions = {run["dataset_version"] for run in (newest, *earlier)}
    arrived = uploads.page(loop.target.cloud, loop.pipeline).items
    assert {arrival.dataset_version for arrival in arrived} == versions
