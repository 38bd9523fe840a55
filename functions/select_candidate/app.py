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
from sluice.catalog.records.builds import Step
from sluice.catalog.records.releases import Stage
from sluice.domain import failures, names
from sluice.domain.build import archives, candidates, champions, selection
from sluice.domain.build.champions import ChampionError, Live
from sluice.domain.build.errors import BuildError, DatasetChangedError
from sluice.domain.build.selection import Selection, Trained
from sluice.domain.config import PipelineConfig, restore
from sluice.domain.config.images import UnknownImageError
from sluice.domain.config.models import Train
from sluice.domain.failures import MissingError
from sluice.events import SelectCandidateTask
from sluice.observability import logger
from sluice.ports import Cloud, ObjectHead
from sluice.services import building, deploying, measuring, presence
from sluice.services.timeline import note
from sluice.tasks import machine_task

_KEYS_SHOWN = 5


class NoCandidateError(BuildError):
    """No candidate was trained; the reasons of all follow."""


@logger.inject_lambda_context(clear_state=True)
@machine_task
@event_parser(model=SelectCandidateTask)
def lambda_handler(task: SelectCandidateTask, context: LambdaContext) -> dict[str, Any]:
    cloud = wiring.cloud()
    logger.append_keys(run_id=task.run_id)
    _check_unchanged(cloud, task)
    config = building.find_config(cloud, task)
    if config.build is not None:
        return _taken_over(cloud, task, config)
    trained, next_rung = _trained(cloud, task, config.train)
    if next_rung:
        return {"is_final": False, "candidates": next_rung}
    model, found = _best(cloud, task, trained, config.train)
    run = building.find_run(cloud, task.pipeline, task.run_id)
    # A reproduction is compared with what it reproduces.
    champion = None if run is not None and run.reproduces else _champion(cloud, task, config)
    _record(cloud, task, config.train, found, champion)
    return {
        "is_final": True,
        # Pin the version: any job of the run may overwrite the model before the registration.
        "candidate": model,
        "evaluations": champions.evaluations(model["model_uri"], task.project_version, champion),
        "champion": None if champion is None else champions.identity(champion),
    }


def _taken_over(cloud: Cloud, task: SelectCandidateTask, config: PipelineConfig) -> dict[str, Any]:
    """Return what a pipeline of SageMaker registered, evaluated already, or why it registered nothing."""
    from sluice.services import taking_over  # few builds run one

    found = taking_over.take(cloud, task)
    if isinstance(found, str):
        return {"is_final": True, "outcome": "nothing registered", "reasons": [failures.cut(found)]}
    run = building.find_run(cloud, task.pipeline, task.run_id)
    champion = None if run is not None and run.reproduces else _champion(cloud, task, config)
    if problem := taking_over.take_champion(cloud, task, champion):
        champion = {**(champion or {}), "problem": problem}
    detail = {"objective": None, "direction": None, "ranked": [names.PIPELINE]}
    _record_selection(cloud, task, detail, f"the pipeline registered it as {found.package}", champion)
    model = {"step": names.PIPELINE, "model_uri": found.model_uri, "model_version_id": found.model_version_id}
    return {
        "is_final": True,
        "outcome": "evaluated",
        "candidate": model,
        "evaluations": champions.evaluations(found.model_uri, task.project_version, champion),
        "champion": None if champion is None else champions.identity(champion),
    }


def _trained(cloud: Cloud, task: SelectCandidateTask, train: Train) -> tuple[list[Trained], list[str]]:
    """Return the candidates of all rungs that were trained, and the names of the next one's candidates.

    Which go on follows from the results alone, so a repeated task plans the same.
    """
    trained, planned, rung = list[Trained](), candidates.first(train), 0
    while planned:
        found = [
            measuring.complete(cloud, task.run_id, train, candidate)
            for candidate in measuring.find_trained(cloud, task.run_id, planned)
        ]
        if rung and not any(candidate.status for candidate in found):
            break
        trained += found
        planned = selection.promoted(train, rung, found)
        rung += 1
    return trained, planned


def _best(
    cloud: Cloud, task: SelectCandidateTask, trained: list[Trained], train: Train
) -> tuple[dict[str, str], Selection]:
    """Return the model of the best candidate that has one: SageMaker completes jobs that saved none, too."""
    while True:
        found = selection.select(train, trained)
        if (best := found.best) is None:
            _remark(cloud, task, found)
            raise NoCandidateError(failures.together(found.reasons))
        uri = str(best.model_uri)
        head = _find_model(cloud, uri)
        problem = _model_problem(cloud, head)
        if head is not None and problem is None:
            return {"step": best.step, "model_uri": uri, "model_version_id": head.version_id}, found
        # For SageMaker, and so for the step, the job is completed.
        cloud.catalog.apply(builds.remark_on_step(task.run_id, best.step, problem))
        failed = Trained(best.step, "Failed", failure_reason=problem)
        trained = [failed if each.step == best.step else each for each in trained]


def _record(
    cloud: Cloud,
    task: SelectCandidateTask,
    train: Train,
    found: Selection,
    champion: dict[str, Any] | None,
) -> None:
    """Record what was chosen and why, and against whom it has to stand."""
    detail = {
        "objective": train.candidates.objective,
        "direction": train.candidates.direction,
        "ranked": [each.step for each in found.ranked],
    }
    _record_selection(cloud, task, detail, selection.why(train, found), champion)
    _remark(cloud, task, found)


def _record_selection(
    cloud: Cloud,
    task: SelectCandidateTask,
    detail: dict[str, Any],
    why: str,
    champion: dict[str, Any] | None,
) -> None:
    now = building.first_time(cloud, task, "selected")
    step = Step(
        run_id=task.run_id,
        step=names.SELECT,
        status="Completed",
        kind="selection",
        started_at=now,
        ended_at=now,
        detail={
            **detail,
            "why": why,
            "champion": None if champion is None else champions.identity(champion),
        },
    )
    cloud.catalog.apply(builds.record_step(step))
    note(cloud, task.pipeline, now, task.run_id, "candidate selected", why)


def _remark(cloud: Cloud, task: SelectCandidateTask, found: Selection) -> None:
    """Note with completed jobs what they did not report."""
    for step, problem in found.problems.items():
        if problem.startswith(selection.UNREPORTED):
            cloud.catalog.apply(builds.remark_on_step(task.run_id, step, problem))


def _find_model(cloud: Cloud, uri: str) -> ObjectHead | None:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return cloud.objects.head(bucket, key)


def _model_problem(cloud: Cloud, head: ObjectHead | None) -> str | None:
    if head is None:
        return archives.NOTHING_SAVED
    return archives.problem(cloud.objects.chunks(head.bucket, head.key))


def _check_unchanged(cloud: Cloud, task: SelectCandidateTask) -> None:
    run = building.find_run(cloud, task.pipeline, task.run_id)
    if run is not None and run.restored_uri:
        # It reads copies, which no job can write.
        return
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
        evaluation = next((each for each in document["artifacts"] if each["name"] == "evaluation"), None)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ChampionError(f"its run's manifest cannot be read: {run.manifest_uri}") from error
    project = building.find_project(cloud, pipeline, run.project_version)
    image = image or restore(project.config).serving_image_uri(cloud.region)
    return {
        "project_version": run.project_version,
        "run_id": run.run_id,
        "model_uri": model_uri,
        "evaluation": evaluation,
        # The tag too: it tells which packages a job on Lambda needs.
        "image": image if "@" in image or not run.image_digest else f"{image}@{run.image_digest}",
    }


def _manifest(cloud: Cloud, uri: str, sha256: str | None) -> bytes:
    try:
        data = cloud.objects.read(uri)
    except FileNotFoundError:
        raise ChampionError(f"its run's manifest is gone: {uri}") from None
    if sha256 not in (None, hashlib.sha256(data).hexdigest()):
        raise ChampionError(f"its run's manifest has changed: {uri}")
    return data
