"""Find what serves now, the champion of runs, and whether a version was compared with another one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sluice.catalog import keys
from sluice.catalog.records.releases import Deployment, Stage
from sluice.domain.build import champions
from sluice.domain.build.champions import Live
from sluice.services.release import deploying

if TYPE_CHECKING:
    from sluice.domain.config import PipelineConfig
    from sluice.ports import Cloud


def find_champion(cloud: Cloud, config: PipelineConfig) -> Live | None:
    """Return what serves of a project's pipeline, by `champions.choose`."""
    stages = [stage.name for stage in config.release.stages]
    return champions.choose(_live(cloud, config.name, stages), stages)


def compares(config: PipelineConfig) -> bool:
    """Tell whether a gate of a project compares with the champion."""
    from sluice.domain.config import gate_syntax

    return any(gate_syntax.parse(text).compares for text in config.gates)


def overtaken(
    cloud: Cloud, config: PipelineConfig, champion: Mapping[str, Any] | None, arn: str, run_id: str | None
) -> str | None:
    """Say what a version of a run was compared with, if something else serves now; `config` is the run's."""
    from sluice.domain.release import automatic  # builds find champions, and release nothing

    return automatic.overtaken(champion, find_champion(cloud, config), arn, run_id)


def _live(cloud: Cloud, pipeline: str, wanted: Iterable[str]) -> Iterator[Live]:
    """Yield what serves, also where the catalog lost half of what it knew of a stage that is wanted."""
    partition = keys.partition(pipeline)
    stages = [Stage.of(item) for item in cloud.catalog.query(partition, keys.STAGES)]
    if live := [stage for stage in stages if stage.live]:
        for stage in live:
            deployment = deploying.find_deployment(cloud, pipeline, stage.name, stage.live)
            yield Live(stage.name, stage.position or 0, str(stage.live), deployment)
        return
    # A stage that nothing was released to has neither an item nor deployments; a retired one keeps its item.
    known = {stage.name for stage in stages}
    for name in (name for name in wanted if name not in known):
        for item in cloud.catalog.query(partition, keys.deployments_of(name)):
            deployment = Deployment.of(item)
            if deployment.status == "live":
                yield Live(name, 0, deployment.release_id, deployment)
