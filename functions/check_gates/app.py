"""CheckGates task: judge the candidate's evaluation by the gates and the champion's evaluation."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog.changes import builds
from sluice.catalog.records.builds import Run, Step
from sluice.domain import canonical, failures, names
from sluice.domain.build import gate_report, gates
from sluice.domain.build.evaluations import Evaluation
from sluice.domain.build.verdicts import Verdict
from sluice.events import CheckGatesTask, event_parser
from sluice.observability import logger
from sluice.ports import Cloud
from sluice.services import building, judging
from sluice.services.judging import Scored
from sluice.services.timeline import note
from sluice.tasks import machine_task


@logger.inject_lambda_context(clear_state=True)
@machine_task
@event_parser(model=CheckGatesTask)
def lambda_handler(task: CheckGatesTask, context: LambdaContext) -> dict[str, Any]:
    cloud = wiring.cloud()
    logger.append_keys(run_id=task.run_id)
    begun = building.find_begun(cloud, task)
    scored = Scored(cloud, task.pipeline, task.run_id)
    candidate = scored.evaluation("candidate")
    _record_metrics(cloud, task, "candidate", candidate)
    if begun.run.reproduces:
        return _compare(cloud, begun.run, candidate)
    judged = judging.judge(scored, begun.config(), task.champion, task.evaluations)
    verdict = judged.verdict
    if judged.role is not None:
        _record_metrics(cloud, task, judged.role, scored.evaluation(judged.role))
    now = building.first_time(cloud, task, "judged")
    _write(cloud, task, verdict, candidate, now)
    _record(cloud, task, verdict, candidate, now)
    return {"is_better": verdict.passed, "reasons": failures.bounded(verdict.reasons)}


def _compare(cloud: Cloud, run: Run, candidate: Evaluation) -> dict[str, Any]:
    """Compare a reproduction with what it reproduces; it is never better, so that it is never registered."""
    from sluice.services import reproducing

    found = reproducing.compare(cloud, run, candidate.document)
    note(cloud, run.pipeline, cloud.now(), run.run_id, found.verdict, "; ".join(found.reasons))
    return {"is_better": False, "reasons": failures.bounded(found.reasons)}


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


def _write(
    cloud: Cloud, task: CheckGatesTask, verdict: Verdict, candidate: Evaluation, judged_at: str
) -> None:
    """Write gates.json, which has all slices, for the page and for `sluice gates backtest`."""
    document = gate_report.document(
        verdict,
        pipeline=task.pipeline,
        run_id=task.run_id,
        project_version=task.project_version,
        judged_at=judged_at,
        evaluation_sha256=candidate.sha256,
        champion=task.champion,
        models=task.evaluations,
    )
    uri = building.locations(cloud, task.pipeline).gates(task.run_id)
    cloud.objects.write(uri, canonical.to_json(document), "application/json")


def _record(cloud: Cloud, task: CheckGatesTask, verdict: Verdict, candidate: Evaluation, now: str) -> None:
    step = Step(
        run_id=task.run_id,
        step=names.GATES,
        status="Completed",
        kind="gates",
        started_at=now,
        ended_at=now,
        detail=[asdict(result.shortened) for result in verdict.results],
        # Pin what was judged: any job of the run may overwrite it before the registration.
        evaluation_sha256=candidate.sha256,
    )
    cloud.catalog.apply(builds.record_step(step))
    event = "gates passed" if verdict.passed else "gates failed"
    reasons = verdict.reasons or tuple(f"{result.gate}: {result.reason}" for result in verdict.results)
    note(cloud, task.pipeline, now, task.run_id, event, "; ".join(reasons))
