"""CheckGates task: judge the candidate's evaluation by the gates and the champion's evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog import keys
from sluice.catalog.changes import Change, builds
from sluice.catalog.records.builds import Run, Step
from sluice.domain import canonical, failures, names
from sluice.domain.build import gate_report, gates
from sluice.domain.build.evaluations import Evaluation
from sluice.domain.build.verdicts import Verdict
from sluice.events import CheckGatesTask, event_parser
from sluice.observability import logger
from sluice.ports import Cloud
from sluice.services import building
from sluice.services.build import judging
from sluice.services.build.judging import ROLES, Scored
from sluice.services.timeline import note, noting
from sluice.tasks import machine_task


@logger.inject_lambda_context(clear_state=True)
@machine_task
@event_parser(model=CheckGatesTask)
def lambda_handler(task: CheckGatesTask, context: LambdaContext) -> dict[str, Any]:
    cloud = wiring.cloud()
    logger.append_keys(run_id=task.run_id)
    evaluated = [keys.step_key(task.run_id, names.evaluate_step(role)) for role in ROLES]
    begun = building.find_begun(cloud, task, *evaluated)
    steps = [Step.of(item) if item else None for item in begun.others]
    scored = Scored(cloud, task.pipeline, task.run_id, steps)
    if begun.run.reproduces:
        return _compare(cloud, task, begun.run, scored.evaluation("candidate"))
    judged = judging.judge(scored, begun.config(), task.champion, task.evaluations)
    verdict, candidate = judged.verdict, scored.evaluation("candidate")
    others = {judged.role: scored.evaluation(judged.role)} if judged.role is not None else {}

    def record(at: str) -> list[Change]:
        _write(cloud, task, verdict, candidate, at)
        measured = _metrics(task, {"candidate": candidate, **others}, at)
        return [*measured, *_judgement(task, verdict, candidate, at)]

    building.reach(cloud, task, begun.run, "judged", record)
    return {"is_better": verdict.passed, "reasons": failures.bounded(verdict.reasons)}


def _compare(cloud: Cloud, task: CheckGatesTask, run: Run, candidate: Evaluation) -> dict[str, Any]:
    """Compare a reproduction with what it reproduces; it is never better, so that it is never registered."""
    from sluice.services.build import reproducing

    building.reach(cloud, task, run, "judged", lambda at: _metrics(task, {"candidate": candidate}, at))
    found = reproducing.compare(cloud, run, candidate.document)
    note(cloud, run.pipeline, cloud.now(), run.run_id, found.verdict, "; ".join(found.reasons))
    return {"is_better": False, "reasons": failures.bounded(found.reasons)}


def _metrics(task: CheckGatesTask, evaluated: Mapping[str, Evaluation], at: str) -> list[Change]:
    """Record models' metrics with the steps that measured them."""
    changes = list[Change]()
    for role, evaluation in evaluated.items():
        step, remark = names.evaluate_step(role), evaluation.remark
        metrics = gates.metric_values(evaluation.document)
        changes.append(builds.measure_step(task.run_id, step, metrics, remark))
        if remark:
            changes.append(noting(task.pipeline, at, task.run_id, f"{step}: remark", remark))
    return changes


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


def _judgement(task: CheckGatesTask, verdict: Verdict, candidate: Evaluation, now: str) -> list[Change]:
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
    event = "gates passed" if verdict.passed else "gates failed"
    reasons = verdict.reasons or tuple(f"{result.gate}: {result.reason}" for result in verdict.results)
    return [
        builds.record_step(step),
        noting(task.pipeline, now, task.run_id, event, "; ".join(reasons)),
    ]
