"""Recall an object's content, as a person asked: later data sets lack it, and a model is built without it."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog import keys
from sluice.domain.actors import unverified
from sluice.domain.times import from_iso, to_iso
from sluice.events import DataRecallRequested, event_parser
from sluice.observability import logger
from sluice.services.data import recalling
from sluice.services.data.recalling import Wanted


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=DataRecallRequested)
def lambda_handler(event: DataRecallRequested, context: LambdaContext) -> dict[str, str]:
    cloud, detail = wiring.cloud(), event.detail
    logger.append_keys(pipeline=detail.pipeline, key=detail.key)
    if cloud.catalog.get(keys.pipeline_key(detail.pipeline)) is None:
        return {"status": "unknown"}
    recalling.recall(
        cloud,
        Wanted(
            pipeline=detail.pipeline,
            key=detail.key,
            contents=frozenset(detail.contents),
            request_id=detail.request_id,
            actor=unverified(detail.actor),
            reason=detail.reason,
            at=to_iso(from_iso(event.time)),
        ),
    )
    return {"status": "recalled"}
