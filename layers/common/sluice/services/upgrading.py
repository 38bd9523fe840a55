"""Move the arrivals of an older stack, which were in one place, to the places of their states."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.domain.data.arrivals import CONTROL
from sluice.services import arrivals

if TYPE_CHECKING:
    from sluice.ports import Cloud, Item

_AT_A_TIME = 40


def move_arrivals(cloud: Cloud, pipeline: str) -> Iterator[None]:
    """Move all arrivals, some at each step; a caller that stops early continues the next time."""

    @cache
    def run_status(run_id: str) -> str | None:
        run = cloud.catalog.get(keys.run_key(pipeline, run_id)) or {}
        return run.get("status")

    @cache
    def dataset_status(version: str) -> str | None:
        dataset = cloud.catalog.get(keys.dataset_key(pipeline, version)) or {}
        return dataset.get("status")

    items = arrivals.stream(cloud, pipeline, keys.ARRIVALS)
    while some := list(islice(items, _AT_A_TIME)):
        settled = []
        for item in some:
            run = run_status(item.get("taken_up_by", ""))
            state, changes = place(item, run, dataset_status(item.get("dataset_version", "")))
            if state == keys.SETTLED:
                settled.append(item)
            elif state == keys.QUARANTINED:
                arrivals.set_aside(cloud, item, changes)
            else:
                arrivals.move(cloud, item, state, changes)
        arrivals.settle_these(cloud, pipeline, settled)
        yield None


def place(item: Item, run_status: str | None, dataset_status: str | None) -> tuple[str, Item]:
    """Return where an arrival of an older stack belongs, and its changed attributes.

    What a run took up waits until the run ends. A run that ended meanwhile did not find it there.
    """
    if item["status"] == "quarantined":
        return keys.QUARANTINED, {}
    if item["status"] != "included":
        return keys.WAITING, {}
    if run_status in ("failed", "stopped"):
        status = CONTROL if item.get("is_control") else "pending"
        put_back = {"status": status, "dataset_version": None, "taken_up_by": None}
        return keys.WAITING, {**put_back, "failed_run": item["taken_up_by"]}
    if run_status == "running" or dataset_status != "valid":
        return keys.WAITING, {}
    return keys.SETTLED, {}
