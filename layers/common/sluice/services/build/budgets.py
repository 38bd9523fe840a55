"""Tell that a budget holds builds back which data cause, and when it let them go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluice.catalog.changes import builds
from sluice.domain import config
from sluice.domain.build import governor
from sluice.domain.times import to_iso
from sluice.services import building, timeline

if TYPE_CHECKING:
    from datetime import datetime

    from sluice.catalog.changes import Put
    from sluice.catalog.records.builds import Pipeline
    from sluice.domain.build.governor import WaitUntil
    from sluice.ports import Cloud


def held_until(cloud: Cloud, pipeline: Pipeline, now: datetime) -> WaitUntil | None:
    """Return until when a budget holds back builds of a pipeline that has a project; None if none does."""
    project = building.find_project(cloud, pipeline.name, pipeline.project_version)
    return governor.budget_wait(pipeline, governor.Policy.of(config.restore(project.config)), now)


def tell(cloud: Cloud, pipeline: Pipeline, decision: WaitUntil) -> None:
    """Announce and note once that builds wait for their budget, and until when."""
    until, now = to_iso(decision.time), cloud.now()
    if pipeline.budget_told == until:
        return
    from sluice.services import announcing  # hardly any decision ends so, and all would load it

    announcing.budget_reached(cloud, pipeline.name, decision.reason, until, now)
    said = f"{decision.reason}; until {until}"
    noted = timeline.noting(pipeline.name, now, pipeline.name, "builds held", said)
    cloud.catalog.apply(builds.tell_budget(pipeline, until), noted)


def noting_end(pipeline: Pipeline, at: str) -> list[Put]:
    """Return the entry that builds are held no longer, if it was told that a budget holds them."""
    if pipeline.budget_told is None:
        return []
    # The next day or month let them go, unless the budget was raised before.
    ended_at = min(pipeline.budget_told, at)
    said = "the budget has room"
    return [timeline.noting(pipeline.name, ended_at, pipeline.name, "builds no longer held", said)]
