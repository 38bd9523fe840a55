"""Find what is watched: live models whose projects have `monitor`, with what they are compared with."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.catalog.records.monitoring import LabelWindow, Watch
from sluice.catalog.records.releases import Deployment
from sluice.domain.locations import Locations
from sluice.domain.monitor.capture import Shape
from sluice.services import building
from sluice.services.build import judging
from sluice.services.release import deploying, releasing

if TYPE_CHECKING:
    from sluice.domain.config import PipelineConfig
    from sluice.domain.config.monitor import Monitor
    from sluice.domain.predictions.table import Predictions
    from sluice.ports import Cloud
    from sluice.quality.statistics.profiles import Profile


@dataclasses.dataclass(frozen=True)
class Watched:
    """A live model that is watched on a stage."""

    cloud: Cloud
    pipeline: str
    stage: str
    endpoint_name: str
    live: Deployment
    config: PipelineConfig

    @property
    def monitor(self) -> Monitor:
        if self.config.monitor is None:
            raise ValueError(f"{self.pipeline} is not watched")
        return self.config.monitor

    @cached_property
    def shape(self) -> Shape:
        return Shape.of(self.config)

    @property
    def locations(self) -> Locations:
        return building.locations(self.cloud, self.pipeline)

    @property
    def positive(self) -> str:
        return judging.meaning(self.config).positive

    @cached_property
    def dataset_version(self) -> str | None:
        """The data set version that the live model was trained on."""
        run = building.find_run(self.cloud, self.pipeline, self.live.run_id) if self.live.run_id else None
        return run.dataset_version if run else None

    @cached_property
    def training_profile(self) -> Profile | None:
        if self.dataset_version is None:
            return None
        return building.find_profile(self.cloud, self.pipeline, self.dataset_version)

    @cached_property
    def hold_out(self) -> Predictions | None:
        """What the live model predicted on the hold-out data of its run, if that is kept."""
        if self.live.run_id is None:
            return None
        scored = judging.Scored(self.cloud, self.pipeline, self.live.run_id)
        found = scored.facts("candidate", None, with_predictions=True).predictions
        return None if isinstance(found, str) else found


def find(cloud: Cloud, pipeline: str, stage: str | None = None) -> Iterator[Watched]:
    """Yield the stages of a pipeline whose live model is watched, or one of them."""
    for each in releasing.find_stages(cloud, pipeline):
        live = deploying.find_deployment(cloud, pipeline, each.name, each.live)
        if live is None or stage not in (None, each.name):
            continue
        config = releasing.live_config(cloud, live)
        if config is not None and config.monitor is not None:
            yield Watched(cloud, pipeline, each.name, each.endpoint_name, live, config)


def find_watch(cloud: Cloud, pipeline: str, stage: str) -> Watch | None:
    """Return how far the watching of a stage is."""
    item = cloud.catalog.get(keys.monitor_key(pipeline, stage))
    return Watch.of(item) if item else None


def find_label_window(watched: Watched, start: str) -> LabelWindow | None:
    item = watched.cloud.catalog.get(keys.label_window_key(watched.pipeline, watched.stage, start))
    return LabelWindow.of(item) if item else None
