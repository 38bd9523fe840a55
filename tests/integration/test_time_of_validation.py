"""Data that take all the time of a validation, in a process of its own, are set aside by name."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import fakes
from build_world import PIPELINE, ROWS, Invoke, World

# Loaded here once, and not anew in each process that judges.
from sluice.quality.engine.store import Store
from sluice.quality.report import html
from sluice.quality.run import Limits

SECOND = "reviews-00002"


def validate(world: World, run_id: str) -> Any:
    version = world.catalog_run(run_id)["dataset_version"]
    return world.invoke("validate_data", {**world.common(run_id), "dataset_version": version})


def test_an_object_that_takes_all_the_time_whatever_interrupts_it_is_set_aside_and_the_good_is_built(
    cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    html.load()
    world = World(cloud, invoke)
    world.push()
    for name, body in (("a", ROWS), ("b", b"y,x\n0,1\n")):
        world.upload(f"{name}.csv", body)
    world.later(minutes=2)
    world.ask()
    run_id = world.pipeline["in_flight"]
    world.prepare_run(run_id)
    add = Store.add

    def stuck(store: Store, tables: Any) -> str:
        if 1 in tables:
            threading.Event().wait(60)
        return add(store, tables)

    with monkeypatch.context() as patched:
        patched.setattr(Store, "add", stuck)
        patched.setattr(Limits, "of_function", lambda memory_mb, _, folder: Limits(memory_mb, 4.0, folder))
        verdict = validate(world, run_id)
    assert verdict["reasons"][0].startswith(f"{PIPELINE}/b.csv: the data could not be checked within 4 s")
    assert world.arrivals() == {f"{PIPELINE}/a.csv#v1": "pending", f"{PIPELINE}/b.csv#v1": "quarantined"}
    world.finish("data_rejected")
    world.ask()
    world.prepare_run(SECOND)
    assert validate(world, SECOND)["is_valid"]
