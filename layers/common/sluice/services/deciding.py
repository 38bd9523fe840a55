"""Whether a pipeline's next build is due: what `start_build` acts on, and what the command line shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.domain import config
from sluice.domain.build import governor
from sluice.domain.data import batches
from sluice.domain.data.arrivals import Arrival
from sluice.services import batching, building

if TYPE_CHECKING:
    from datetime import datetime

    from sluice.domain.build.governor import Decision, PendingArrival
    from sluice.domain.data.batches import Batch
    from sluice.ports import Cloud, Item


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the governor decides, of what, and the batches that are not complete."""

    decision: Decision
    pending: Sequence[PendingArrival]
    incomplete: Sequence[Batch]


def decide(cloud: Cloud, pipeline: str, item: Item, now: datetime) -> Outlook:
    """Decide for a pipeline that has a project; `item` is the pipeline's in the catalog."""
    project = config.restore(building.find_project(cloud, pipeline, item["project_version"]).config)
    items = batching.arrival_items(cloud, pipeline)
    found = batching.find(cloud, project.data.complete_when, [Arrival.of(arrival) for arrival in items])
    pending = governor.pending(batches.ready(found), items)
    state = governor.PipelineState.of(item, has_data=has_data(cloud, pipeline, item))
    decision = governor.decide(state, pending, governor.Policy.of(project), now)
    return Outlook(decision, pending, batches.incomplete(found))


def has_data(cloud: Cloud, pipeline: str, item: Item) -> bool:
    """Whether there is a valid data set, or one that a run left which died before it was judged."""
    if item.get("dataset_version") is not None:
        return True
    sets = cloud.catalog.query(keys.partition(pipeline), "DATASET#")
    return any(dataset["status"] == "new" for dataset in sets)
