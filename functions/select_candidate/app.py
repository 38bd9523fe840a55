"""SelectCandidate task: choose the best trained candidate, and the champion it has to beat."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.parser import event_parser
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import building, wiring
from sluice.domain import archives, candidates, failures, names, serving
from sluice.domain import catalog as keys
from sluice.domain.config import PipelineConfig
from sluice.domain.config.models import Candidates
from sluice.events import SelectCandidateTask
from sluice.observability import logger
from sluice.ports import Item
from sluice.timeline import note

_KEYS_SHOWN = 5


class NoCandidateError(Exception):
    """No candidate was trained; each one's reason follows."""


class DatasetChangedError(Exception):
    """Objects were changed while jobs read them: the model is of no known data set version."""


class ChampionGoneError(Exception):
    """The model that serves is no longer in the registry, so nothing can be compared with it."""


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=SelectCandidateTask)
def lambda_handler(task: SelectCandidateTask, context: LambdaContext) -> dict[str, Any]:
    logger.append_keys(run_id=task.run_id)
    _check_unchanged(task)
    config = building.find_config(task)
    wanted = config.train.candidates
    regex = next(metric.regex for metric in config.train.metrics if metric.name == wanted.objective)
    best = _best(building.find_results(task, candidates.count(config.train)), wanted, regex)
    detail = f"{best['step']} with {wanted.objective} {best['metrics'][wanted.objective]:.6g}"
    note(task.pipeline, building.first_time(task, "selected"), task.run_id, "candidate selected", detail)
    champion = _champion(task.pipeline, config)
    evaluations = [_evaluation("candidate", best["model_uri"])]
    if champion is not None:
        evaluations.append(_evaluation("champion", champion.pop("model_uri")))
    candidate = {"step": best["step"], "model_uri": best["model_uri"]}
    return {"candidate": candidate, "evaluations": evaluations, "champion": champion}


def _best(trained: list[Item], wanted: Candidates, regex: str) -> dict[str, Any]:
    """The best result that has a model: SageMaker calls a job completed that saved none."""
    while True:
        selection = candidates.select(trained, wanted.objective, wanted.direction, regex)
        if selection.best is None:
            raise NoCandidateError("; ".join(failures.bounded(selection.reasons)))
        best = dict(selection.best)
        problem = _model_problem(str(best["model_uri"]))
        if problem is None:
            return best
        failed = {"step": best["step"], "status": "Failed", "failure_reason": problem}
        trained = [failed if each["step"] == best["step"] else each for each in trained]


def _model_problem(uri: str) -> str | None:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    objects = wiring.objects()
    if objects.head(bucket, key) is None:
        return archives.NOTHING_SAVED
    return archives.problem(objects.chunks(bucket, key))


def _evaluation(role: str, model_uri: str) -> dict[str, str]:
    return {"role": role, "step": names.evaluate_step(role), "model_uri": model_uri}


def _check_unchanged(task: SelectCandidateTask) -> None:
    manifest = building.find_manifest(task.pipeline, task.dataset_version)
    current = building.current_versions(task.pipeline)
    if changed := building.changed_objects(task.pipeline, manifest, current):
        shown = ", ".join(changed[:_KEYS_SHOWN])
        raise DatasetChangedError(f"{len(changed)} objects changed while the run read them: {shown}")


def _champion(pipeline: str, config: PipelineConfig) -> dict[str, Any] | None:
    """What serves on the last stage that serves anything, with where its model lies."""
    catalog = wiring.catalog()
    for stage in reversed(config.release.stages):
        live = (catalog.get(keys.stage_key(pipeline, stage.name)) or {}).get("live")
        deployment = catalog.get(keys.deployment_key(pipeline, stage.name, live)) if live else None
        if deployment is not None:
            arn = deployment["package_arn"]
            package = wiring.registry().describe_package(arn)
            if package is None:
                raise ChampionGoneError(f"{stage.name} serves {arn}, which is gone from the registry")
            return {
                "package_arn": arn,
                "package_version": deployment["package_version"],
                "release_id": live,
                "model_uri": serving.container(package)["ModelDataUrl"],
            }
    return None
