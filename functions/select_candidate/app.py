"""SelectCandidate task: choose the best trained candidate, and the champion it has to beat."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from aws_lambda_powertools.utilities.parser import event_parser
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import ValidationError

from sluice import wiring
from sluice.catalog import keys
from sluice.catalog.changes import builds
from sluice.catalog.records.releases import Stage
from sluice.domain import failures
from sluice.domain.build import archives, candidates, champions
from sluice.domain.build.champions import ChampionError, Live
from sluice.domain.build.errors import BuildError
from sluice.domain.config import PipelineConfig, restore
from sluice.domain.config.images import UnknownImageError
from sluice.domain.config.models import Candidates
from sluice.domain.failures import MissingError
from sluice.domain.release import evidence
from sluice.events import SelectCandidateTask
from sluice.observability import logger
from sluice.ports import Cloud, Item, ObjectHead
from sluice.services import building, deploying, presence
from sluice.services.timeline import note
from sluice.tasks import machine_task

_KEYS_SHOWN = 5


class NoCandidateError(BuildError):
    """No candidate was trained; the reasons of all follow."""


class DatasetChangedError(BuildError):
    """Objects changed while jobs read them: the model matches no data set version."""


@logger.inject_lambda_context(clear_state=True)
@machine_task
@event_parser(model=SelectCandidateTask)
def lambda_handler(task: SelectCandidateTask, context: LambdaContext) -> dict[str, Any]:
    cloud = wiring.cloud()
    logger.append_keys(run_id=task.run_id)
    _check_unchanged(cloud, task)
    config = building.find_config(cloud, task)
    wanted = config.train.candidates
    regex = next(metric.regex for metric in config.train.metrics if metric.name == wanted.objective)
    trained = building.find_results(cloud, task, config.train.candidates.count)
    best = _best(cloud, task, trained, wanted, regex)
    detail = f"{best['step']} with {wanted.objective} {best['metrics'][wanted.objective]:.6g}"
    note(
        cloud,
        task.pipeline,
        building.first_time(cloud, task, "selected"),
        task.run_id,
        "candidate selected",
        detail,
    )
    champion = _champion(cloud, task, config)
    return {
        # Pin the version: any job of the run may overwrite the model before the registration.
        "candidate": {name: best[name] for name in ("step", "model_uri", "model_version_id")},
        "evaluations": champions.evaluations(str(best["model_uri"]), task.project_version, champion),
        "champion": None if champion is None else champions.identity(champion),
    }


def _best(
    cloud: Cloud, task: SelectCandidateTask, trained: list[Item], wanted: Candidates, regex: str
) -> dict[str, Any]:
    """Return the best result that has a model: SageMaker completes jobs that saved none, too."""
    while True:
        selection = candidates.select(trained, wanted.objective, wanted.direction, regex)
        if selection.best is None:
            raise NoCandidateError("; ".join(failures.bounded(selection.reasons)))
        best = dict(selection.best)
        head = _find_model(cloud, str(best["model_uri"]))
        problem = _model_problem(cloud, head)
        if head is not None and problem is None:
            return {**best, "model_version_id": head.version_id}
        # For SageMaker, and so for the step, the job is completed.
        cloud.catalog.apply(builds.remark_on_step(task.run_id, best["step"], problem))
        failed = {"step": best["step"], "status": "Failed", "failure_reason": problem}
        trained = [failed if each["step"] == best["step"] else each for each in trained]


def _find_model(cloud: Cloud, uri: str) -> ObjectHead | None:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return cloud.objects.head(bucket, key)


def _model_problem(cloud: Cloud, head: ObjectHead | None) -> str | None:
    if head is None:
        return archives.NOTHING_SAVED
    return archives.problem(cloud.objects.chunks(head.bucket, head.key))


def _check_unchanged(cloud: Cloud, task: SelectCandidateTask) -> None:
    if changed := presence.changed_since_made(cloud, task.pipeline, task.dataset_version):
        shown = ", ".join(changed[:_KEYS_SHOWN])
        raise DatasetChangedError(f"{len(changed)} objects changed while the run read them: {shown}")


def _champion(cloud: Cloud, task: SelectCandidateTask, config: PipelineConfig) -> dict[str, Any] | None:
    """Return what serves now, with what is needed to score it or the `problem` that prevents that."""
    stages = [stage.name for stage in config.release.stages]
    live = champions.choose(_live(cloud, task.pipeline), stages)
    if live is None:
        return None
    champion: dict[str, Any] = {
        "package_arn": live.package_arn,
        "package_version": live.package_version,
        "release_id": live.release_id,
        "stage": live.stage,
    }
    project = building.find_project(cloud, task.pipeline, task.project_version)
    if why := champions.passed_over(project, task.run_id):
        return {**champion, "passed_over": why}
    try:
        return {**champion, **_scorable(cloud, task.pipeline, live)}
    except (ChampionError, MissingError, ValidationError, UnknownImageError) as error:
        return {**champion, "problem": failures.cut(str(error))}


def _live(cloud: Cloud, pipeline: str) -> Iterator[Live]:
    for item in cloud.catalog.query(keys.partition(pipeline), keys.STAGES):
        stage = Stage.of(item)
        deployment = deploying.find_deployment(cloud, pipeline, stage.name, stage.live)
        if deployment is not None:
            yield Live.of(stage, deployment)


def _scorable(cloud: Cloud, pipeline: str, live: Live) -> dict[str, Any]:
    """Return its model, image and project, from its run's manifest; raises if any is gone."""
    run = building.find_run(cloud, pipeline, live.run_id) if live.run_id else None
    if run is None or run.manifest_uri is None:
        raise ChampionError(f"v{live.package_version} has no run in the catalog")
    data = _manifest(cloud, run.manifest_uri, run.manifest_sha256)
    try:
        document = json.loads(data)
        (model_uri,) = (each["uri"] for each in document["artifacts"] if each["name"] == "model")
        image = document.get("serving", {}).get("container", {}).get("Image")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ChampionError(f"its run's manifest cannot be read: {run.manifest_uri}") from error
    project = building.find_project(cloud, pipeline, run.project_version)
    image = image or restore(project.config).image_uri(cloud.region)
    return {
        "project_version": run.project_version,
        "model_uri": model_uri,
        "image": evidence.pinned_image(image, run.image_digest),
    }


def _manifest(cloud: Cloud, uri: str, sha256: str | None) -> bytes:
    try:
        data = cloud.objects.read(uri)
    except FileNotFoundError:
        raise ChampionError(f"its run's manifest is gone: {uri}") from None
    if sha256 not in (None, hashlib.sha256(data).hexdigest()):
        raise ChampionError(f"its run's manifest has changed: {uri}")
    return data
