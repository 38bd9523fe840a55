"""Find out whether what serves on a stage may be taken back, or replaced, without a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.catalog.records import releases as records
from sluice.domain.release import automatic, holds
from sluice.domain.release.errors import ReleaseRefusedError
from sluice.services.release import deploying, deviating, releasing

if TYPE_CHECKING:
    from sluice.catalog.records.releases import Deployment, Stage
    from sluice.domain.config import models
    from sluice.domain.release.holds import Hold
    from sluice.domain.release.releases import Request
    from sluice.ports import Cloud
    from sluice.services.release.model_packages import Package


def find_hold(cloud: Cloud, stage: Stage, live: Deployment | None) -> Hold | None:
    """Return why alarms roll nothing back where this is live; None if they do."""
    if live is None:
        return None
    if pinned := holds.of_pin(stage, live):
        return pinned
    release = releasing.find_release(cloud, live.pipeline, live.release_id)
    return holds.after_rollback(live, release, deviating.way_back(cloud, live))


def find_stage_hold(cloud: Cloud, pipeline: str, stage: str) -> Hold | None:
    """Return the hold of a stage as it is now."""
    found = releasing.find_stage(cloud, pipeline, stage)
    live = deploying.find_deployment(cloud, pipeline, stage, found.live) if found else None
    return find_hold(cloud, found, live) if found else None


def before_a_pin(
    cloud: Cloud, request: Request, stages: list[models.Stage]
) -> tuple[list[models.Stage], str | None]:
    """Return the stages before the first one whose live version is pinned, and why it goes no further.

    Nothing is pinned once the stages are locked. Raises ReleaseRefusedError for a pinned stage that is named.
    """
    for index, stage in enumerate(stages):
        hold = find_stage_hold(cloud, request.pipeline, stage.name)
        if hold is None or not hold.is_pin:
            continue
        reason = holds.refusal(stage.name, hold)
        if request.stages is not None:
            raise ReleaseRefusedError(reason)
        return stages[:index], reason
    return stages, None


def objections(cloud: Cloud, request: Request, package: Package, stages: list[str]) -> list[str]:
    """Say why a version that nobody approved waits for a person; nothing of others."""
    if request.cause != "approval" or not _is_automatic(cloud, package):
        return []
    held = {stage: find_stage_hold(cloud, request.pipeline, stage) for stage in stages}
    command = f"`sluice approve {package.called(cloud.stack_name)}`"
    reasons = [
        f"{stage} is held: {hold.reason}, and no version is released unless a person does: {command}"
        for stage, hold in held.items()
        if hold
    ]
    if overtaken := _overtaken(cloud, package):
        what = f"v{package.version} was {overtaken}"
        reasons.append(f"{automatic.DECIDES}: {what}; {command} releases it")
    return reasons


def _is_automatic(cloud: Cloud, package: Package) -> bool:
    if package.config.register_.approval != "automatic":
        return False
    item = cloud.catalog.get(keys.package_key(package.arn))
    record = records.Package.of(item) if item else records.Package(package.arn)
    return automatic.is_automatic(record, releasing.find_approval(cloud, package.arn))


def _overtaken(cloud: Cloud, package: Package) -> str | None:
    """Say what a package's gates compared it with, if something else serves now.

    Raises ReleaseRefusedError if the evidence of that does not hold.
    """
    from sluice.services.release import model_packages, served  # few versions are approved by nobody

    if not served.compares(package.config):
        return None
    champion = model_packages.find_evidence(cloud, package).champion
    return served.overtaken(cloud, package.config, champion, package.arn, package.provenance.run_id)
