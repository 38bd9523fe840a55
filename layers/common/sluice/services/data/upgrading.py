"""Move the arrivals of an older stack, which were in one place, to the places of their states."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.catalog.changes import arrivals as changes
from sluice.services import building
from sluice.services.data import arrivals

if TYPE_CHECKING:
    from sluice.catalog.records.arrivals import Arrival
    from sluice.ports import Cloud

_AT_A_TIME = 40


def move_arrivals(cloud: Cloud, pipeline: str) -> Iterator[None]:
    """Move all arrivals, some at each step; a caller that stops early continues the next time."""

    @cache
    def run_status(run_id: str) -> str | None:
        run = building.find_run(cloud, pipeline, run_id)
        return run.status if run else None

    @cache
    def dataset_status(version: str) -> str | None:
        dataset = building.find_dataset(cloud, pipeline, version)
        return dataset.status if dataset else None

    found = arrivals.stream(cloud, pipeline, keys.ARRIVALS)
    while some := list(islice(found, _AT_A_TIME)):
        settled = []
        for arrival in some:
            run = run_status(arrival.taken_up_by or "")
            moved = placed(arrival, run, dataset_status(arrival.dataset_version or ""))
            if moved.state == keys.SETTLED:
                settled.append(arrival)
            elif moved.state == keys.QUARANTINED:
                cloud.catalog.apply(*changes.quarantine(arrival, arrival.reason, cloud.now()))
            else:
                cloud.catalog.apply(*changes.move(arrival, moved))
        if settled:
            arrivals.settle_these(cloud, pipeline, settled)
        yield None


def placed(arrival: Arrival, run_status: str | None, dataset_status: str | None) -> Arrival:
    """Return an arrival of an older stack as it is where it belongs.

    What a run took up waits until the run ends. A run that ended meanwhile did not find it there.
    """
    if arrival.status == "quarantined":
        return replace(arrival, state=keys.QUARANTINED)
    waits = replace(arrival, state=keys.WAITING)
    if not arrival.is_included:
        return waits
    if run_status in ("failed", "stopped"):
        failed = replace(waits, taken_up_by=None, dataset_version=None, failed_run=arrival.taken_up_by)
        return failed.as_untaken()
    if run_status == "running" or dataset_status != "valid":
        return waits
    return replace(arrival, state=keys.SETTLED)
