"""Check the alarms of their own that a project names before they guard a release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluice.domain.release.errors import ReleaseRefusedError
from sluice.services.release import releasing

if TYPE_CHECKING:
    from sluice.domain.config.models import Release, Stage
    from sluice.ports import Cloud
    from sluice.release_events import ReleaseStageTask
    from sluice.services.release.model_packages import Package


def find_named(cloud: Cloud, task: ReleaseStageTask, package: Package) -> list[str]:
    """Return the alarms that the project names for a stage; raises ReleaseRefusedError for useless ones."""
    stage = next(each for each in package.config.release.stages if each.name == task.stage.stage)
    if not stage.alarms:
        return []
    is_live = releasing.find_live(cloud, task.pipeline, stage.name) is not None
    if faults := named_faults(cloud, stage, task.stage.endpoint_name, is_live=is_live):
        raise ReleaseRefusedError(*faults)
    return list(stage.alarms)


def named_faults(cloud: Cloud, stage: Stage, endpoint_name: str, *, is_live: bool) -> list[str]:
    """Say what keeps the alarms that a stage names from guarding its releases."""
    from sluice.domain.release import alarm_lint

    bake_s = None if stage.traffic.unwatched else stage.traffic.bake_s
    guarded = alarm_lint.Guarding(endpoint_name, bake_s, is_live=is_live)
    described = cloud.alarms.describe(stage.alarms)
    return [fault for name in stage.alarms for fault in alarm_lint.faults(name, described.get(name), guarded)]


def warnings(cloud: Cloud, pipeline: str, release: Release) -> list[str]:
    """Tell before any release which alarms that a project names could not guard it, as they are now."""
    found = list[str]()
    for stage in release.stages:
        is_live = releasing.find_live(cloud, pipeline, stage.name) is not None
        endpoint_name = releasing.find_endpoint_name(cloud, pipeline, stage.name)
        faults = named_faults(cloud, stage, endpoint_name, is_live=is_live) if stage.alarms else []
        found += [f"{fault}: a release to {stage.name} will be refused" for fault in faults]
    return found
