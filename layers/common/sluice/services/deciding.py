"""Decide whether a pipeline's next build is due, for `start_build` to act on and the command line to show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluice.domain import config
from sluice.domain.build import governor
from sluice.domain.data import batches
from sluice.domain.data.arrivals import Arrival
from sluice.services import arrivals, batching, building

if TYPE_CHECKING:
    from datetime import datetime

    from sluice.domain.build.governor import Decision, PendingArrival
    from sluice.domain.data.batches import Batch
    from sluice.ports import Cloud, Item


@dataclass(frozen=True, slots=True)
class Outlook:
    """The governor's decision, what it is based on, and the incomplete batches."""

    decision: Decision
    pending: Sequence[PendingArrival]
    incomplete: Sequence[Batch]


def decide(cloud: Cloud, pipeline: str, item: Item, now: datetime) -> Outlook:
    """Decide for a pipeline that has a project; `item` is the pipeline's in the catalog."""
    project = config.restore(building.find_project(cloud, pipeline, item["project_version"]).config)
    items = arrivals.waiting(cloud, pipeline)
    waiting = [Arrival.of(arrival) for arrival in items]
    found = batching.find(cloud, pipeline, project.data.complete_when, waiting)
    pending = governor.pending(batches.ready(found), items)
    # What a run took up waits again, marked with the run, if that died before its data were judged.
    state = governor.PipelineState.of(item, has_data=item.get("dataset_version") is not None)
    decision = governor.decide(state, pending, governor.Policy.of(project), now)
    return Outlook(decision, pending, batches.incomplete(found))
