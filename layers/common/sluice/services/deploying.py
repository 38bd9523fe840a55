"""Find deployments (what releases did to a stage) from the live one back, and end them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.catalog.changes import releases as changes
from sluice.catalog.records.releases import Deployment
from sluice.domain.release import releases

if TYPE_CHECKING:
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
    if deployment.replaces:
        status = releases.replaced_status(is_rollback=is_rollback)
        at = str(deployment.promoted_at)
        cloud.catalog.apply(
            changes.replace_deployment(deployment.pipeline, deployment.stage, deployment.replaces, status, at)
        )
