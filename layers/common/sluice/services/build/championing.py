"""Find the champion of a run: what serves now, and what it takes to score it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sluice.domain import failures
from sluice.domain.build import champions
from sluice.domain.build.champions import ChampionError
from sluice.domain.config.images import UnknownImageError
from sluice.domain.failures import MissingError
from sluice.ports import Cloud
from sluice.services import building
from sluice.services.release import served

if TYPE_CHECKING:
    from sluice.catalog.records.builds import Project, Run
    from sluice.catalog.records.releases import Deployment
    from sluice.domain.config import PipelineConfig


def find(cloud: Cloud, run: Run, project: Project, config: PipelineConfig) -> dict[str, Any] | None:
    """Return what serves now, with what is needed to score it or the `problem` that prevents that."""
    live = served.find_champion(cloud, config)
    if live is None:
        return None
    deployment = live.deployment
    champion: dict[str, Any] = {
        "package_arn": deployment and deployment.package_arn,
        "package_version": deployment and deployment.package_version,
        "run_id": deployment and deployment.run_id,
        "release_id": live.release_id,
        "stage": live.stage,
    }
    if why := champions.passed_over(project, run.run_id):
        return {**champion, "passed_over": why}
    try:
        if deployment is None:
            raise ChampionError(f"the catalog has no record of {live.release_id}, which {live.stage} serves")
        return {**champion, **_scorable(cloud, deployment)}
    except (ChampionError, MissingError, ValidationError, UnknownImageError) as error:
        return {**champion, "problem": failures.cut(str(error))}


def _scorable(cloud: Cloud, live: Deployment) -> dict[str, Any]:
    """Return its model, image and project, from its run's manifest; raises if any is gone."""
    from sluice.domain.config import restore

    pipeline = live.pipeline
    run = building.find_run(cloud, pipeline, live.run_id) if live.run_id else None
    if run is None:
        raise ChampionError(f"v{live.package_version} has no run in the catalog")
    manifest = building.read_manifest(cloud, run)
    try:
        document = json.loads(manifest)
        (model_uri,) = (each["uri"] for each in document["artifacts"] if each["name"] == "model")
        image = document.get("serving", {}).get("container", {}).get("Image")
        evaluation = next((each for each in document["artifacts"] if each["name"] == "evaluation"), None)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ChampionError(f"its run's manifest cannot be read: {run.manifest_uri}") from error
    project = building.find_project(cloud, pipeline, run.project_version)
    image = image or restore(project.config).serving_image_uri(cloud.region)
    return {
        "project_version": run.project_version,
        "model_uri": model_uri,
        "evaluation": evaluation,
        # The tag too: it tells which packages a job on Lambda needs.
        "image": image if "@" in image or not run.image_digest else f"{image}@{run.image_digest}",
    }
