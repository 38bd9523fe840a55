"""Show which version served on a stage, and when: now and at any time in the past."""

from __future__ import annotations

from itertools import islice
from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.releases import Deployment, Stage
from sluice.ports import Cloud
from sluice.services.release import deploying, releasing
from sluice.services.views import models

Row = dict[str, Any]


def history(cloud: Cloud, pipeline: str, stage: str | None = None, limit: int = 20) -> list[Row]:
    """List what was promoted on each stage, the newest first; `limit` is of a stage."""
    return [
        _row(cloud, deployment)
        for found in _stages(cloud, pipeline, stage)
        for deployment in islice(_promotions(cloud, found), limit)
    ]


def at(cloud: Cloud, pipeline: str, time: str, stage: str | None = None) -> list[Row]:
    """Say for each stage what served at a time; where nothing did, `version` is None."""
    rows = []
    for found in _stages(cloud, pipeline, stage):
        serving = _serving_at(cloud, found, time)
        rows.append(_row(cloud, serving) if serving else {"stage": found.name, "version": None})
    return rows


def _stages(cloud: Cloud, pipeline: str, wanted: str | None) -> list[Stage]:
    return [each for each in releasing.find_stages(cloud, pipeline) if wanted in (None, each.name)]


def _promotions(cloud: Cloud, stage: Stage) -> Any:
    """Yield the promotions on a stage, newest first; of a retired one from what was live last."""
    newest = deploying.find_deployment(cloud, stage.pipeline, stage.name, stage.live or stage.retired)
    return deploying.find_history(cloud, newest) if newest else iter(())


def _serving_at(cloud: Cloud, stage: Stage, time: str) -> Deployment | None:
    """Return what served at a time: the last promotion until then, unless it had ended."""
    newest = cloud.catalog.query(
        keys.partition(stage.pipeline),
        between=keys.promotions_until(stage.name, time),
        newest_first=True,
        limit=1,
    )
    if newest:
        release_id = newest[0]["release_id"]
        found = deploying.find_deployment(cloud, stage.pipeline, stage.name, release_id)
    else:
        # Promotions that are older than the index are linked to those after them.
        older = (each for each in _promotions(cloud, stage) if str(each.promoted_at) <= time)
        found = next(older, None)
    return None if found is None or (found.ended_at and found.ended_at <= time) else found


def _row(cloud: Cloud, deployment: Deployment) -> Row:
    release = releasing.find_release(cloud, deployment.pipeline, deployment.release_id)
    return {
        "stage": deployment.stage,
        "version": deployment.package_version,
        "model": models.model_name(cloud, deployment.pipeline, deployment.package_arn),
        "arn": deployment.package_arn,
        "run_id": deployment.run_id,
        "release_id": deployment.release_id,
        "from": deployment.promoted_at,
        "until": deployment.ended_at,
        "status": deployment.status,
        "replaces": deployment.replaces,
        "cause": release.cause if release else None,
        "is_rollback": release.is_rollback if release else None,
        "actor": release.actor if release else None,
    }
