"""CheckGates task: judge the candidate's evaluation by the gates and the champion's evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.utilities.parser import event_parser
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog.changes import builds
from sluice.catalog.records.builds import Run, Step
from sluice.domain import failures, names
from sluice.domain.build import champions, evaluations, gates
from sluice.domain.build.evaluations import Evaluation, EvaluationError
from sluice.domain.build.gates import Champion
from sluice.domain.build.jobs import EVALUATION_FILE
from sluice.events import CheckGatesTask
from sluice.observability import logger
from sluice.ports import Cloud
from sluice.services import building
from sluice.services.timeline import note
from sluice.tasks import machine_task


@logger.inject_lambda_context(clear_state=True)
@machine_task
@event_parser(model=CheckGatesTask)
def lambda_handler(task: CheckGatesTask, context: LambdaContext) -> dict[str, Any]:
    cloud = wiring.cloud()
    logger.append_keys(run_id=task.run_id)
    candidate = _evaluation(cloud, task, "candidate")
    _record_metrics(cloud, task, "candidate", candidate)
    run = building.find_run(cloud, task.pipeline, task.run_id)
    if run is not None and run.reproduces:
        return _compare(cloud, run, candidate)
    champion = None if task.champion is None else _champion(cloud, task, task.champion)
    verdict = gates.judge(building.find_config(cloud, task).gates, candidate.document, champion)
    results = [asdict(result) for result in verdict.results]
    _record(cloud, task, verdict, results, candidate)
    return {"is_better": verdict.passed, "reasons": failures.bounded(verdict.reasons)}


def _compare(cloud: Cloud, run: Run, candidate: Evaluation) -> dict[str, Any]:
    """Compare a reproduction with what it reproduces; it is never better, so that it is never registered."""
    from sluice.services import reproducing

    found = reproducing.compare(cloud, run, candidate.document)
    note(cloud, run.pipeline, cloud.now(), run.run_id, found.verdict, "; ".join(found.reasons))
    return {"is_better": False, "reasons": failures.bounded(found.reasons)}


def _champion(cloud: Cloud, task: CheckGatesTask, champion: Mapping[str, Any]) -> Champion:
    """Return the champion's scores, from whichever of its evaluations completed."""
    if why := champion.get("passed_over"):
        return Champion(None, passed_over=why)
    if problem := champion.get("problem"):
        return Champion(None, unscored=f"{problem}; {champions.WAY_ON}")
    problems = []
    for role in (champions.ROLE, champions.OWN_ROLE):
        step = building.find_step(cloud, task.run_id, names.evaluate_step(role))
        try:
            if step and step.status == building.COMPLETED:
                evaluation = _evaluation(cloud, task, role)
                _record_metrics(cloud, task, role, evaluation)
                return Champion(evaluation.document)
        except EvaluationError as error:
            problems.append(str(error))
        else:
            problems += [f"{names.evaluate_step(role)}: {step.failure_reason}"] if step else []
    return Champion(None, unscored=failures.cut("; ".join([*problems, champions.WAY_ON])))


def _evaluation(cloud: Cloud, task: CheckGatesTask, role: str) -> Evaluation:
    uri = f"{building.locations(cloud, task.pipeline).evaluation(task.run_id, role)}/{EVALUATION_FILE}"
    try:
        return evaluations.read(_content(cloud, uri))
    except EvaluationError as error:
        raise EvaluationError(f"the {role}'s {EVALUATION_FILE} {error} ({uri})") from None


def _content(cloud: Cloud, uri: str) -> bytes:
    objects = cloud.objects
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    head = objects.head(bucket, key)
    if head is None:
        raise EvaluationError("was not written: the script must write it to /opt/ml/processing/evaluation")
    if head.size_bytes > evaluations.MAX_BYTES:
        raise evaluations.too_large(head.size_bytes)
    return objects.read(uri)


def _record_metrics(cloud: Cloud, task: CheckGatesTask, role: str, evaluation: Evaluation) -> None:
    """Record a model's metrics with the step that measured them."""
    step = names.evaluate_step(role)
    metrics = gates.metric_values(evaluation.document)
    cloud.catalog.apply(builds.measure_step(task.run_id, step, metrics, evaluation.remark))
    if evaluation.remark:
        note(
            cloud,
            task.pipeline,
            building.first_time(cloud, task, "judged"),
            task.run_id,
            f"{step}: remark",
            evaluation.remark,
        )


def _record(
    cloud: Cloud,
    task: CheckGatesTask,
    verdict: gates.Verdict,
    results: list[dict[str, Any]],
    candidate: Evaluation,
) -> None:
    now = building.first_time(cloud, task, "judged")
    step = Step(
        run_id=task.run_id,
        step=names.GATES,
        status="Completed",
        kind="gates",
        started_at=now,
        ended_at=now,
        detail=results,
        # Pin what was judged: any job of the run may overwrite it before the registration.
        evaluation_sha256=candidate.sha256,
    )
    cloud.catalog.apply(builds.record_step(step))
    event = "gates passed" if verdict.passed else "gates failed"
    reasons = verdict.reasons or tuple(f"{result.gate}: {result.reason}" for result in verdict.results)
    note(cloud, task.pipeline, now, task.run_id, event, "; ".join(reasons))
