"""A window costs what is new, however old its keys are, and keeps what all of their versions tell of."""

from __future__ import annotations

import itertools
from typing import Any
from unittest import mock

import pytest

import fakes
from build_world import PIPELINE, PIPELINE_YAML, Invoke, World
from sluice.services.data import presence, windows

KNOWN = windows._known
NAMES = ("a.csv", "b.csv", "c.csv", "d.csv")


def rows(number: int) -> bytes:
    return f"x,y\n{number % 100},1\n{number % 7},0\n".encode()


def windowed(cloud: fakes.Cloud, invoke: Invoke, last: str) -> World:
    world = World(cloud, invoke)
    mode = f"format: csv\n  mode: window\n  window: {{last: {last}}}"
    world.later(minutes=1)
    world.push(pipeline=PIPELINE_YAML.replace("format: csv", mode).encode())
    return world


def build(world: World) -> str | None:
    """Wait for a build to be due, play it, and return its run, if one was."""
    world.later(hours=5)
    world.ask()
    if run_id := world.pipeline.get("in_flight"):
        world.play(run_id)
    return run_id


@pytest.mark.parametrize("listed_max", [1_000, -1], ids=["small", "large"])
def test_what_a_build_reads_of_the_catalog_does_not_grow_with_its_keys_versions(
    cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, listed_max: int
) -> None:
    monkeypatch.setattr(presence, "LISTED_MAX", listed_max)
    world, numbers = windowed(cloud, invoke, "3 batches"), itertools.count()
    reads = []
    for turn in range(8):
        for name in NAMES[turn % 2 :: 2]:
            world.upload(name, rows(next(numbers)))
        reads.append(read_by_a_snapshot(world))
    assert len(set(reads[3:])) == 1, reads
    held = world.objects_of(f"{PIPELINE}-00008")
    assert len(held) == len(NAMES), "nothing that is not new was in the window"


def read_by_a_snapshot(world: World) -> int:
    """Play a run, and count what its snapshot reads of arrivals that are settled."""
    seen = 0
    catalog, invoke = world.cloud.catalog, world.invoke
    query = catalog.query

    def counted(*given: Any, **asked: Any) -> list[Any]:
        nonlocal seen
        found = query(*given, **asked)
        seen += len(found)
        return found

    def watched(name: str, event: Any) -> Any:
        if name != "snapshot_dataset":
            return invoke(name, event)
        with mock.patch.object(catalog, "query", counted):
            return invoke(name, event)

    with mock.patch.object(world, "invoke", watched):
        run_id = build(world)
    assert run_id is not None
    assert world.catalog_run(run_id)["status"] == "registered"
    return seen


@pytest.mark.parametrize(
    "history",
    [
        # The first object comes again, so it outlives the second; the third is deleted.
        "again a, upload b | upload c | again a, delete c | upload d",
        # It comes again with data that are rejected, and then beside a run that fails.
        "again a | bad b, again a | upload c, fail c | upload d",
    ],
)
@pytest.mark.parametrize("last", ["8h", "2 batches"])
def test_a_window_that_kept_when_its_objects_came_is_one_that_asks_for_all_of_them(
    history: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    builds = [[each.split() for each in steps.split(", ")] for steps in history.split(" | ")]
    kept, asked = (played(builds, invoke, monkeypatch, last, keeps) for keeps in (True, False))
    assert kept == asked


def played(
    builds: list[list[list[str]]],
    invoke: Invoke,
    monkeypatch: pytest.MonkeyPatch,
    last: str,
    keeps: bool,
) -> list[list[str]]:
    cloud = fakes.Cloud()
    monkeypatch.setattr("sluice.wiring.cloud", lambda: cloud)
    monkeypatch.setattr(windows, "_known", KNOWN if keeps else lambda *_: {})
    world, numbers, made = windowed(cloud, invoke, last), itertools.count(), []
    for steps in builds:
        world.failing = {"evaluate-candidate"} if any(act == "fail" for act, _ in steps) else set()
        for act, name in steps:
            step(world, act, f"{name}.csv", next(numbers))
        if (run_id := build(world)) and world.catalog_run(run_id).get("dataset_version"):
            made.append(world.objects_of(run_id))
    return made


def step(world: World, act: str, name: str, number: int) -> None:
    key = f"{PIPELINE}/{name}"
    if act == "delete":
        if world.cloud.objects.head(fakes.DATA_BUCKET, key):
            world.cloud.objects.delete(f"s3://{fakes.DATA_BUCKET}/{key}")
            detail = {"bucket": {"name": fakes.DATA_BUCKET}, "object": {"key": key, "version-id": "d"}}
            world.invoke("record_deletion", {"time": world.cloud.now(), "detail": detail})
    elif act != "fail":
        content = {"again": rows(1), "bad": b"x\n1\n"}
        world.upload(name, content.get(act, rows(number)))
