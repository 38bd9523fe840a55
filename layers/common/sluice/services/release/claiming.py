"""Claim for a release what it changes: its stages, by locks, and their resources, by tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sluice.catalog.changes import releases as changes
from sluice.catalog.records.releases import Stage
from sluice.domain import names, tags
from sluice.domain.release import serving
from sluice.domain.release.errors import ReleaseRefusedError, StageBusyError
from sluice.services.release import releasing

if TYPE_CHECKING:
    from sluice.ports import Cloud, Item


def lock_stages(cloud: Cloud, pipeline: str, release_id: str, positions: Mapping[str, int | None]) -> None:
    """Lock all stages for this release, or none; raises StageBusyError.

    Makes missing stages; `positions` are their places in the project.
    """
    for name, position in positions.items():
        endpoint_name = names.endpoint_name(cloud.stack_name, pipeline, name)
        holder = _lock(cloud, Stage(pipeline, name, endpoint_name, position), release_id)
        if holder != release_id:
            unlock_stages(cloud, pipeline, release_id)
            raise StageBusyError(f"{pipeline}/{name} is taken by {holder or 'another release'}")


def _lock(cloud: Cloud, stage: Stage, release_id: str) -> str | None:
    """Lock a stage; returns who holds it now."""
    cloud.catalog.apply(changes.make_stage(stage))
    if cloud.catalog.apply(changes.lock_stage(stage.pipeline, stage.name, release_id)):
        return release_id
    found = releasing.find_stage(cloud, stage.pipeline, stage.name)
    return found.releasing if found else None


def unlock_stages(cloud: Cloud, pipeline: str, release_id: str) -> None:
    """Unlock every stage that this release holds."""
    for stage in releasing.find_stages(cloud, pipeline):
        if stage.releasing == release_id:
            tried_at = None if stage.live == release_id else cloud.now()
            cloud.catalog.apply(changes.unlock_stage(pipeline, stage.name, release_id, tried_at))


def require_stage(cloud: Cloud, pipeline: str, stage: str) -> Stage:
    """Return a stage that a release has locked."""
    found = releasing.find_stage(cloud, pipeline, stage)
    if found is None:
        raise ReleaseRefusedError(f"the stage {stage} of {pipeline} is gone from the catalog")
    return found


def find_own_endpoint(cloud: Cloud, pipeline: str, stage: str, name: str) -> Item | None:
    """Describe a stage's endpoint, if it exists; raises ReleaseRefusedError if it is not ours."""
    described = cloud.endpoints.describe_endpoint(name)
    if described is not None:
        owner = tags.of_stage(cloud.stack_name, pipeline, stage)
        require_own(cloud, "endpoint", name, described["EndpointArn"], owner)
    return described


def require_own(cloud: Cloud, what: str, name: str, arn: str, owner: Mapping[str, str]) -> None:
    """Raise ReleaseRefusedError for a resource with a name of ours but without our tags."""
    if reason := serving.foreign(what, name, arn, owner, cloud.endpoints.tags(arn)):
        raise ReleaseRefusedError(reason)
