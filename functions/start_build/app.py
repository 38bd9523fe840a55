"""Start a build of each pipeline that was asked about, if one is due."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from aws_lambda_powertools.utilities.parser import event_parser
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import ValidationError

from sluice import wiring
from sluice.catalog import keys
from sluice.domain import config, failures, names
from sluice.domain.build.governor import StartBuild, WaitUntil
from sluice.domain.times import from_iso, to_iso
from sluice.events import BuildRequest, BuildRequestBatch
from sluice.observability import logger
from sluice.ports import Cloud, Item, StartRefusedError
from sluice.services import batching, building, deciding, ending
from sluice.services.deciding import Outlook
from sluice.services.timeline import note

# Of the incomplete batches, how many a log line names.
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
    """If this fails, its messages come again, and no others."""
    try:
        yield
    except Exception:
        logger.exception("build request failed", extra={"message_ids": message_ids})
        failed += ({"itemIdentifier": message_id} for message_id in message_ids)


def _consider(cloud: Cloud, pipeline: str, awaited: Collection[str | None]) -> None:
    item = cloud.catalog.get(keys.pipeline_key(pipeline))
    if item is None:
        logger.info("no such pipeline", extra={"pipeline": pipeline})
        return
    if item.get("in_flight"):
        _relaunch(cloud, pipeline, item)
        return
    if item.get("asks_at", "") > cloud.now() and item["asks_at"] not in awaited:
        logger.debug("asked again later", extra={"pipeline": pipeline})
        return
    now = from_iso(cloud.now())
    outlook = deciding.decide(cloud, pipeline, item, now)
    _log(pipeline, outlook)
    decision = outlook.decision
    if isinstance(decision, StartBuild):
        _start(cloud, pipeline, item, decision, now)
    elif isinstance(decision, WaitUntil):
        batching.ask_later(cloud, pipeline, math.ceil((decision.time - now).total_seconds()))


def _log(pipeline: str, outlook: Outlook) -> None:
    if outlook.incomplete:
        missing = [batch.missing[0] for batch in outlook.incomplete[:_SHOWN]]
        logger.info("incomplete", extra={"batches": len(outlook.incomplete), "missing": missing})
    logger.info("decided", extra={"pipeline": pipeline, "decision": str(outlook.decision)})


def _start(cloud: Cloud, pipeline: str, item: Item, decision: StartBuild, now: datetime) -> None:
    """Take the build lock and the next number in one write, which only one request can win."""
    catalog, seq = cloud.catalog, item["build_seq"] + 1
    run_id = names.run_id(pipeline, seq)
    claim = {
        "in_flight": run_id,
        "build_cause": decision.reason,
        "build_seq": seq,
        "built_project_version": item["project_version"],
        "built_content": item.get("project_content"),
        "last_build_at": to_iso(now),
        "former_build_at": item.get("last_build_at"),
        "budget_day": decision.budget_day,
        "budget_used": decision.budget_used,
        "asks_at": None,
    }
    if catalog.update(keys.pipeline_key(pipeline), claim, when={"in_flight": None, "build_seq": seq - 1}):
        _launch(cloud, pipeline, {**item, **claim})


def _relaunch(cloud: Cloud, pipeline: str, item: Item) -> None:
    """Whoever took the lock may have crashed before its execution began."""
    run = cloud.catalog.get(keys.run_key(pipeline, item["in_flight"]))
    if run is None or "execution_arn" not in run:
        _launch(cloud, pipeline, item)


def _launch(cloud: Cloud, pipeline: str, item: Item) -> None:
    """Record and start the run that holds the lock; every part of it can be repeated."""
    catalog, run_id, version = cloud.catalog, item["in_flight"], item["built_project_version"]
    run = {
        **keys.run_key(pipeline, run_id),
        "status": "running",
        "project_version": version,
        "started_at": item["last_build_at"],
    }
    catalog.create(run)
    try:
        payload = _payload(cloud, pipeline, run_id, version)
        execution_arn = cloud.workflows.start("build", run_id, payload)
    except (StartRefusedError, ValidationError, LookupError) as error:
        # As often as it is tried again: the lock would be held for ever.
        ending.end_run(cloud, pipeline, run_id, "failed", [failures.reason(type(error).__name__, str(error))])
        return
    catalog.update(keys.run_key(pipeline, run_id), {"execution_arn": execution_arn})
    note(cloud, pipeline, item["last_build_at"], run_id, "build started", item["build_cause"])


def _payload(cloud: Cloud, pipeline: str, run_id: str, version: str) -> dict[str, Any]:
    """The input of an execution: names only, as what they stand for may be more than a state may hold."""
    train = config.restore(building.find_project(cloud, pipeline, version)["config"]).train
    return {
        "pipeline": pipeline,
        "run_id": run_id,
        "project_version": version,
        "candidates": list(range(train.candidates.count)),
        "max_parallel": train.candidates.max_parallel,
    }
