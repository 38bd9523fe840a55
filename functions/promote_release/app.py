"""PromoteRelease task: point the stage to the release that now serves, and mark what it replaced."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.parser import event_parser
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog import keys
from sluice.domain.release import releases
from sluice.events import ReleaseStageTask
from sluice.observability import logger
from sluice.ports import Cloud, Item
from sluice.services import releasing
from sluice.services.timeline import note
from sluice.tasks import machine_task


class StageLostError(releases.ReleaseError):
    """The stage is no longer this release's."""


@logger.inject_lambda_context(clear_state=True)
@machine_task
@event_parser(model=ReleaseStageTask)
def lambda_handler(task: ReleaseStageTask, context: LambdaContext) -> dict[str, Any]:
    cloud = wiring.cloud()
    logger.append_keys(release_id=task.release_id, stage=task.stage.stage)
    deployment = _declare(cloud, task)
    _point(cloud, task)
    replaces = deployment.get("replaces")
    releasing.mark_replaced(cloud, task.pipeline, task.stage.stage, deployment, is_rollback=task.is_rollback)
    detail = f"{task.stage.endpoint_name} serves v{deployment['package_version']}" + (
        f" in place of {replaces}" if replaces else ""
    )
    note(cloud, task.pipeline, deployment["promoted_at"], task.release_id, "promoted", detail)
    return {"stage": task.stage.stage, "replaces": replaces}


def _declare(cloud: Cloud, task: ReleaseStageTask) -> Item:
    """Write down, once, when the promotion was and what it replaces: a retry must not find other answers."""
    catalog = cloud.catalog
    key = keys.deployment_key(task.pipeline, task.stage.stage, task.release_id)
    stage = catalog.get(keys.stage_key(task.pipeline, task.stage.stage)) or {}
    if stage.get("releasing") != task.release_id:
        raise _lost(task, stage)
    promoted_at = cloud.now()
    changes = {
        "status": "live",
        "promoted_at": promoted_at,
        "bake_until": releases.bake_until(promoted_at, task.stage.bake_s),
        "replaces": stage.get("live"),
    }
    catalog.update(key, changes, when={"promoted_at": None})
    deployment = catalog.get(key)
    if deployment is None:
        raise StageLostError(f"{task.release_id} was never planned for {task.stage.stage}")
    return deployment


def _point(cloud: Cloud, task: ReleaseStageTask) -> None:
    catalog, key = cloud.catalog, keys.stage_key(task.pipeline, task.stage.stage)
    if catalog.update(key, {"live": task.release_id}, when={"releasing": task.release_id}):
        return
    raise _lost(task, catalog.get(key) or {})


def _lost(task: ReleaseStageTask, stage: Item) -> StageLostError:
    return StageLostError(f"{task.stage.stage} is held by {stage.get('releasing') or 'no release'} by now")
