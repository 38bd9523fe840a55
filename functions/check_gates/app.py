"""CheckGates task: judge the candidate's evaluation against the gates and the champion's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.utilities.parser import event_parser
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import building, wiring
from sluice.domain import catalog as keys
from sluice.domain import failures, gates, names
from sluice.domain.jobs import EVALUATION_FILE
from sluice.events import CheckGatesTask
from sluice.observability import logger
from sluice.timeline import note


class EvaluationError(Exception):
    """The evaluation script left no evaluation.json that can be read."""


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=CheckGatesTask)
def lambda_handler(task: CheckGatesTask, context: LambdaContext) -> dict[str, Any]:
    logger.append_keys(run_id=task.run_id)
    candidate = _evaluation(task, "candidate")
    champion = _evaluation(task, "champion") if task.champion else None
    verdict = gates.judge(building.find_config(task).gates, candidate, champion)
    results = [asdict(result) for result in verdict.results]
    _record_metrics(task, {"candidate": candidate, "champion": champion})
    _record(task, verdict, results)
    return {"is_better": verdict.passed, "reasons": failures.bounded(verdict.reasons)}


def _evaluation(task: CheckGatesTask, role: str) -> dict[str, Any]:
    uri = f"{building.locations(task.pipeline).evaluation(task.run_id, role)}/{EVALUATION_FILE}"
    try:
        evaluation = json.loads(wiring.objects().read(uri))
    except FileNotFoundError:
        raise EvaluationError(f"the {role}'s evaluation wrote no {EVALUATION_FILE}") from None
    except ValueError as error:
        raise EvaluationError(f"the {role}'s {EVALUATION_FILE} is no JSON: {error}") from None
    if not isinstance(evaluation, dict):
        raise EvaluationError(f"the {role}'s {EVALUATION_FILE} holds no mapping")
    return evaluation


def _record_metrics(task: CheckGatesTask, evaluations: Mapping[str, Mapping[str, Any] | None]) -> None:
    """Show each model's metrics with the step that measured them."""
    for role, evaluation in evaluations.items():
        if evaluation is not None:
            step = keys.step_key(task.run_id, names.evaluate_step(role))
            wiring.catalog().update(step, {"metrics": gates.metric_values(evaluation)})


def _record(task: CheckGatesTask, verdict: gates.Verdict, results: list[dict[str, Any]]) -> None:
    now = building.first_time(task, "judged")
    step = {
        "kind": "gates",
        "status": "Completed",
        "started_at": now,
        "ended_at": now,
        "detail": results,
    }
    wiring.catalog().update(keys.step_key(task.run_id, names.GATES), step)
    event = "gates passed" if verdict.passed else "gates failed"
    reasons = verdict.reasons or tuple(f"{result.gate}: {result.reason}" for result in verdict.results)
    note(task.pipeline, now, task.run_id, event, "; ".join(reasons))
