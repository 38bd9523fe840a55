"""Decide whether a pipeline's next build is due, for `start_build` to act on and the command line to show."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from sluice.domain import config
from sluice.domain.build import governor
from sluice.domain.data import batches
from sluice.lazy import dataclass
from sluice.services import building
from sluice.services.data import arrivals, batching
from sluice.services.side_by_side import together

if TYPE_CHECKING:
    from datetime import datetime

    from sluice.catalog.records.arrivals import Arrival
    from sluice.catalog.records.builds import Pipeline, Project
    from sluice.domain.build.governor import Decision
    from sluice.domain.data.batches import Batch
    from sluice.ports import Cloud


@dataclass(frozen=True, slots=True)
class Outlook:
    """The governor's decision, what it is based on, the incomplete batches, and the project as it was pushed.

    `deleted` are keys whose data were deleted since the last valid data set: up to a page of them.
    """

    decision: Decision
    pending: Sequence[Arrival]
    incomplete: Sequence[Batch]
    project: Project
    deleted: Sequence[str] = ()


def decide(cloud: Cloud, pipeline: Pipeline, now: datetime, *, tells_overwritten: bool = False) -> Outlook:
    """Decide for a pipeline that has a project.

    `tells_overwritten` has a build's cause say which uploads are new, for which their keys are asked for.
    """
    name = pipeline.name
    pushed, waiting = together(
        partial(building.find_project, cloud, name, pipeline.project_version),
        partial(arrivals.waiting, cloud, name),
    )
    project = config.restore(pushed.config)
    found = batching.find(cloud, name, project.data.complete_when, waiting)
    deleted = arrivals.deleted(cloud, name, waiting) if pipeline.has_deletions else []
    # What a run took up waits again, marked with the run, if that died before its data were judged.
    pending = governor.pending(batches.ready(found))
    # Other modes leave data out anyway, and which of them were deleted says nothing of the next data set.
    missed = len(deleted) if project.data.mode == "append" else 0
    decided = partial(governor.decide, pipeline, pending, governor.Policy.of(project), now, missed)
    decision = decided()
    is_start = tells_overwritten and isinstance(decision, governor.StartBuild)
    if is_start and governor.is_for_uploads(pipeline, pending):
        decision = decided(arrivals.overwritten(cloud, name, {each.key for each in pending}))
    return Outlook(decision, pending, batches.incomplete(found), pushed, deleted)
