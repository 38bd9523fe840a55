"""PromoteRelease task: point the stage to the release that now serves, and mark what it replaced."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog.changes import releases as changes
from sluice.catalog.records.releases import Deployment, Stage
from sluice.domain.release.errors import ReleaseError
from sluice.domain.times import later
from sluice.events import event_parser
from sluice.observability import logger
from sluice.ports import Cloud
from sluice.release_events import ReleaseStageTask
from sluice.services.release import deploying, releasing, scaling
from sluice.services.timeline import note
from sluice.tasks import machine_task


class StageLostError(ReleaseError):
    """The stage no longer belongs to this release."""


@logger.inject_lambda_context(clear_state=True)
@machine_task
@event_parser(model=ReleaseStageTask)
def lambda_handler(task: ReleaseStageTask, context: LambdaContext) -> dict[str, Any]:
    cloud = wiring.cloud()
    logger.append_keys(release_id=task.release_id, stage=task.stage.stage)
    deployment = _declare(cloud, task)
    _point(cloud, task, deployment)
    deploying.mark_replaced(cloud, deployment, is_rollback=task.is_rollback)
    serves = "each transform uses" if task.stage.is_batch else f"{task.stage.endpoint_name} serves"
    detail = f"{serves} v{deployment.package_version}" + (
        f" in place of {deployment.replaces}" if deployment.replaces else ""
    )
    note(cloud, task.pipeline, str(deployment.promoted_at), task.release_id, "promoted", detail)
    if task.stage.is_scaled:
        scaling.announce(cloud, task.pipeline, task.stage.stage)
    return {"stage": task.stage.stage, "replaces": deployment.replaces}


def _declare(cloud: Cloud, task: ReleaseStageTask) -> Deployment:
    """Record once when the promotion was and what it replaces."""
    stage = releasing.find_stage(cloud, task.pipeline, task.stage.stage)
    if stage is None or stage.releasing != task.release_id:
        raise _lost(task, stage)
    at = cloud.now()
    bake_until = later(at, task.stage.bake_s)
    cloud.catalog.apply(changes.promote(stage, task.release_id, at, bake_until))
    deployment = deploying.find_deployment(cloud, task.pipeline, stage.name, task.release_id)
    if deployment is None:
        raise StageLostError(f"{task.release_id} was never planned for {task.stage.stage}")
    return deployment


def _point(cloud: Cloud, task: ReleaseStageTask, deployment: Deployment) -> None:
    stage = task.stage.stage
    pointed = changes.point_stage(task.pipeline, stage, task.release_id)
    if not cloud.catalog.apply(pointed, changes.index_promotion(deployment)):
        raise _lost(task, releasing.find_stage(cloud, task.pipeline, stage))


def _lost(task: ReleaseStageTask, stage: Stage | None) -> StageLostError:
    holder = (stage.releasing if stage else None) or "no release"
    return StageLostError(f"{task.stage.stage} is held by {holder} by now")
