"""Start a build of each requested pipeline, if one is due."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog.changes import builds, recalls
from sluice.catalog.records.builds import Pipeline, Project, Run
from sluice.domain import actors, names
from sluice.domain.build.governor import StartBuild, WaitUntil
from sluice.domain.times import from_iso, to_iso
from sluice.events import BuildRequest, BuildRequestBatch, event_parser
from sluice.observability import logger
from sluice.ports import Cloud
from sluice.services import building
from sluice.services.build import budgets, deciding, launching
from sluice.services.build.deciding import Outlook
from sluice.services.data import batching

# A log line names so many incomplete batches.
_SHOWN = 5


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=BuildRequestBatch)
def lambda_handler(batch: BuildRequestBatch, context: LambdaContext) -> dict[str, Any]:
    cloud = wiring.cloud()
    failed: list[dict[str, str]] = []
    asked: dict[str, list[tuple[str, BuildRequest]]] = defaultdict(list)
    for message in batch.records:
        with _retried(failed, message.message_id):
            request = BuildRequest.model_validate_json(message.body)
            asked[request.pipeline].append((message.message_id, request))
    for pipeline, messages in asked.items():
        with _retried(failed, *(message_id for message_id, _ in messages)):
            _consider(cloud, pipeline, {request.at for _, request in messages})
    return {"batchItemFailures": failed}


@contextmanager
def _retried(failed: list[dict[str, str]], *message_ids: str) -> Iterator[None]:
    """While entered, a failure returns only these messages to the queue."""
    try:
        yield
    except Exception:
        logger.exception("build request failed", extra={"message_ids": message_ids})
        failed += ({"itemIdentifier": message_id} for message_id in message_ids)


def _consider(cloud: Cloud, pipeline: str, awaited: Collection[str | None]) -> None:
    state = building.find_pipeline(cloud, pipeline)
    if state is None:
        logger.info("no such pipeline", extra={"pipeline": pipeline})
        return
    if state.in_flight:
        launching.relaunch(cloud, state, state.in_flight)
        return
    if (state.build_requested_for or "") > cloud.now() and state.build_requested_for not in awaited:
        logger.debug("asked again later", extra={"pipeline": pipeline})
        return
    now = from_iso(cloud.now())
    outlook = deciding.decide(cloud, state, now, tells_overwritten=True)
    _log(pipeline, outlook)
    decision = outlook.decision
    if isinstance(decision, StartBuild):
        _start(cloud, state, outlook.project, decision, to_iso(now))
    elif isinstance(decision, WaitUntil):
        batching.ask_later(cloud, pipeline, math.ceil((decision.time - now).total_seconds()))
        if decision.is_budget:
            budgets.tell(cloud, state, decision)


def _log(pipeline: str, outlook: Outlook) -> None:
    if outlook.incomplete:
        missing = [batch.missing[0] for batch in outlook.incomplete[:_SHOWN]]
        logger.info("incomplete", extra={"batches": len(outlook.incomplete), "missing": missing})
    logger.info("decided", extra={"pipeline": pipeline, "decision": str(outlook.decision)})


def _start(cloud: Cloud, pipeline: Pipeline, project: Project, decision: StartBuild, at: str) -> None:
    """Take the build lock and the next number: only one request can."""
    run_id = names.run_id(pipeline.name, pipeline.build_seq + 1)
    if decision.is_recall:
        _start_recall(cloud, pipeline, project, run_id, decision.reason, at)
        return
    claim = builds.claim_build(
        pipeline,
        run_id,
        decision.reason,
        at,
        budget_day=decision.budget_day,
        budget_used=decision.budget_used,
    )
    version = pipeline.project_version
    # What somebody asked for is not skipped, though the data may be those of the last build.
    actor = actors.of_cause(decision.reason)
    run = Run(pipeline.name, run_id, "running", version, at, cause=decision.reason, actor=actor)
    if cloud.catalog.apply(claim, builds.start_run(run), *budgets.noting_end(pipeline, at)):
        launching.execute(cloud, run, project)


def _start_recall(
    cloud: Cloud, pipeline: Pipeline, project: Project, run_id: str, cause: str, at: str
) -> None:
    """Start the build of a recall, which a person asked for: it is not skipped, and what it makes is held."""
    run = Run(
        pipeline.name,
        run_id,
        "running",
        pipeline.project_version,
        at,
        cause=cause,
        actor=pipeline.recalled_by,
        recalls=pipeline.recalled_key,
    )
    if cloud.catalog.apply(*recalls.claim_build(pipeline, run)):
        launching.execute(cloud, run, project)
