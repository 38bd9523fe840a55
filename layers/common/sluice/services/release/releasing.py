"""Find stages, what serves there and what guards them, by the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sluice.catalog import keys
from sluice.catalog.records.builds import Project, Run
from sluice.catalog.records.releases import Approval, Release, Stage
from sluice.domain import names
from sluice.domain.release import alarms
from sluice.domain.release.alarms import Guarded
from sluice.services.release import deploying

if TYPE_CHECKING:
    from sluice.catalog.records.releases import Deployment
    from sluice.domain.config import PipelineConfig
    from sluice.ports import Cloud


def find_stage(cloud: Cloud, pipeline: str, stage: str) -> Stage | None:
    item = cloud.catalog.get(keys.stage_key(pipeline, stage))
    return Stage.of(item) if item else None


def find_stages(cloud: Cloud, pipeline: str) -> list[Stage]:
    return [Stage.of(item) for item in cloud.catalog.query(keys.partition(pipeline), keys.STAGES)]


def find_endpoint_name(cloud: Cloud, pipeline: str, stage: str) -> str:
    """Return the name of the stage's endpoint: a stage keeps its first, which may follow an older rule."""
    found = find_stage(cloud, pipeline, stage)
    return found.endpoint_name if found else names.endpoint_name(cloud.stack_name, pipeline, stage)


def find_guarded(cloud: Cloud, pipeline: str, stage: str, endpoint_name: str) -> Guarded:
    return Guarded(cloud.stack_name, pipeline, stage, endpoint_name)


def find_settled_config(cloud: Cloud, stage: Stage) -> PipelineConfig | None:
    """Return the config of the stage's live release; None while another release is under way."""
    live = deploying.find_deployment(cloud, stage.pipeline, stage.name, stage.live)
    return live_config(cloud, live) if live and not stage.releasing else None


def find_guard_faults(
    cloud: Cloud, stage: Stage, config: PipelineConfig | None
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the alarms that the stage's live release wants, and what is wrong with the existing ones.

    Without a settled config there is nothing to want: while a release is under way, the alarms belong to it.
    """
    if config is None:
        return [], {}
    guarded = find_guarded(cloud, stage.pipeline, stage.name, stage.endpoint_name)
    limits, errors = config.release.alarms, config.serve.errors
    wanted = [] if config.serve.compute.batch else [*alarms.requests(guarded, limits, errors)]
    wanted += watch_alarms(cloud, guarded, config)
    found = cloud.alarms.describe((*guarded.alarm_names, *watch_alarm_names(guarded)))
    return wanted, alarms.faults(wanted, found)


def watch_alarms(cloud: Cloud, guarded: Guarded, config: PipelineConfig) -> list[dict[str, Any]]:
    """Return the alarms that tell of drift and decay, if the project is watched."""
    from sluice.domain.monitor import alarms as watching

    if config.monitor is None:
        return []
    return watching.requests(guarded.stack, guarded.pipeline, guarded.stage)


def watch_alarm_names(guarded: Guarded) -> tuple[str, ...]:
    """Return the names of all alarms that tell of drift and decay on a stage: they roll nothing back."""
    from sluice.domain.monitor import alarms as watching

    return watching.alarm_names(guarded.stack, guarded.pipeline, guarded.stage)


def live_config(cloud: Cloud, live: Deployment) -> PipelineConfig | None:
    """Return the config of the live model's project, from the catalog: the package may be gone."""
    from sluice.domain import config

    catalog = cloud.catalog
    run = catalog.get(keys.run_key(live.pipeline, live.run_id)) if live.run_id else None
    version = Run.of(run).project_version if run else None
    project = catalog.get(keys.project_key(live.pipeline, version)) if version else None
    return config.restore(Project.of(project).config) if project else None


def find_guarded_stage(cloud: Cloud, alarm_name: str, *, or_watched: bool = False) -> Stage | None:
    """Return the stage that an alarm guards, or perhaps only watches; None if it is not our alarm."""
    for item in cloud.catalog.listing(keys.PIPELINES):
        for stage in find_stages(cloud, keys.pipeline_of(item)):
            guarded = find_guarded(cloud, stage.pipeline, stage.name, stage.endpoint_name)
            if alarm_name in guarded.alarm_names or (or_watched and alarm_name in watch_alarm_names(guarded)):
                return stage
    return None


def started_at(cloud: Cloud, pipeline: str, release_id: str) -> str:
    """Return when the release began: a time for notes that a retry does not repeat."""
    release = find_release(cloud, pipeline, release_id)
    return release.started_at if release else cloud.now()


def find_live(cloud: Cloud, pipeline: str, stage: str) -> Deployment | None:
    """Return the deployment that serves on a stage, by the catalog."""
    found = find_stage(cloud, pipeline, stage)
    return deploying.find_deployment(cloud, pipeline, stage, found.live) if found else None


def find_release(cloud: Cloud, pipeline: str, release_id: str) -> Release | None:
    item = cloud.catalog.get(keys.release_key(pipeline, release_id))
    return Release.of(item) if item else None


def find_approval(cloud: Cloud, arn: str) -> Approval | None:
    """Return the newest decision about a package."""
    newest = cloud.catalog.query(keys.package_partition(arn), keys.APPROVALS, newest_first=True, limit=1)
    return Approval.of(newest[0]) if newest else None
