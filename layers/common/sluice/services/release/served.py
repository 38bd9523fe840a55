"""Find what serves now, with which the model of a run is compared: its champion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.catalog.records.releases import Deployment
from sluice.domain.build import champions
from sluice.domain.build.champions import Live
from sluice.services.release import deploying, releasing

if TYPE_CHECKING:
    from sluice.ports import Cloud


def find_champion(cloud: Cloud, pipeline: str, stages: Sequence[str]) -> Live | None:
    """Return what serves of a pipeline whose project has these stages, by `champions.choose`."""
    return champions.choose(_live(cloud, pipeline), stages)


def _live(cloud: Cloud, pipeline: str) -> Iterator[Live]:
    """Yield what serves, also where the catalog lost half of what it knew of that."""
    stages = releasing.find_stages(cloud, pipeline)
    if live := [stage for stage in stages if stage.live]:
        for stage in live:
            deployment = deploying.find_deployment(cloud, pipeline, stage.name, stage.live)
            yield Live(stage.name, stage.position or 0, str(stage.live), deployment)
        return
    known = {stage.name for stage in stages}
    deployments = cloud.catalog.query(keys.partition(pipeline), keys.DEPLOYMENTS)
    for deployment in map(Deployment.of, deployments):
        if deployment.status == "live" and deployment.stage not in known:
            yield Live(deployment.stage, 0, deployment.release_id, deployment)
