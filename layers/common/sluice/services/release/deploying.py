"""Find deployments (what releases did to a stage) from the live one back, and end them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.catalog.records.releases import Deployment
from sluice.domain import names

if TYPE_CHECKING:
    from sluice.catalog.records.releases import Package
    from sluice.ports import Cloud


def find_deployment(cloud: Cloud, pipeline: str, stage: str, release_id: str | None) -> Deployment | None:
    """Return a release's deployment on a stage, if any."""
    if release_id is None:
        return None
    item = cloud.catalog.get(keys.deployment_key(pipeline, stage, release_id))
    return Deployment.of(item) if item else None


def find_history(cloud: Cloud, live: Deployment) -> Iterator[Deployment]:
    """Yield the promotions on a stage, newest first from the live one; reads only as many as are taken."""
    seen: set[str] = set()
    at: Deployment | None = live
    while at is not None:
        yield at
        seen.add(at.release_id)
        oldest, at = at, find_deployment(cloud, at.pipeline, at.stage, at.previous)
    if not oldest.is_first:
        yield from _unlinked(cloud, oldest, seen)


def _unlinked(cloud: Cloud, oldest: Deployment, seen: set[str]) -> Iterator[Deployment]:
    """Yield promotions from before an older stack retired the stage, which broke the link to them."""
    items = cloud.catalog.query(keys.partition(oldest.pipeline), keys.deployments_of(oldest.stage))
    found = [Deployment.of(item) for item in items]
    promoted = [each for each in found if each.promoted_at and each.release_id not in seen]
    yield from sorted(promoted, key=lambda each: str(each.promoted_at), reverse=True)


def mark_replaced(cloud: Cloud, deployment: Deployment, *, is_rollback: bool) -> None:
    """Mark the deployment that a promotion replaced, if any."""
    from sluice.catalog.changes import releases as changes  # all others only read
    from sluice.domain.release import releases

    replaced = find_deployment(cloud, deployment.pipeline, deployment.stage, deployment.replaces)
    if replaced is not None:
        status = releases.replaced_status(is_rollback=is_rollback)
        end = changes.take_back if status == "rolled_back" else changes.supersede
        cloud.catalog.apply(*end(replaced, str(deployment.promoted_at)))


def was_taken_back(cloud: Cloud, pipeline: str, stage: str, arn: str, version: int) -> bool:
    """Tell whether a package was rolled back on a stage; an older stack noted that only on deployments."""
    if cloud.catalog.get(keys.taken_back_key(pipeline, stage, arn)):
        return True
    found = _of_version(cloud, pipeline, stage, version)
    return any(each.package_arn == arn and each.status == "rolled_back" for each in found)


def has_served(cloud: Cloud, package: Package, stage: str) -> bool:
    """Tell whether a version was ever promoted on a stage."""
    found = _of_version(cloud, str(package.pipeline), stage, package.version)
    return any(each.is_of(package.arn, package.run_id) and each.promoted_at for each in found)


def _of_version(cloud: Cloud, pipeline: str, stage: str, version: int) -> Iterator[Deployment]:
    """Yield what the releases of a version did to a stage, and the rollbacks that took it back."""
    prefix = keys.deployments_of(stage) + names.releases_of(pipeline, version)
    return map(Deployment.of, cloud.catalog.query(keys.partition(pipeline), prefix))


def is_deployed(cloud: Cloud, pipeline: str, stage: str, live: str | None, config: str | None) -> bool:
    """Tell whether a release deployed an endpoint config to a stage.

    It looks at the live release and at the one that the config is named for, and at all only if the name does
    not have that whole.
    """
    own = names.release_of_config(cloud.stack_name, stage, config or "")
    found = (find_deployment(cloud, pipeline, stage, release) for release in (live, own))
    if any(each is not None and each.endpoint_config_name == config for each in found):
        return True
    if own is not None:
        return False
    items = cloud.catalog.query(keys.partition(pipeline), keys.deployments_of(stage))
    return any(Deployment.of(item).endpoint_config_name == config for item in items)
