"""Start a run that a person asks for with `sluice start` or `sluice retry`, or note why not."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.events import RunRequested, event_parser
from sluice.observability import logger
from sluice.services.build import starting
from sluice.services.build.wishes import Wanted


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=RunRequested)
def lambda_handler(event: RunRequested, context: LambdaContext) -> dict[str, str]:
    cloud, detail = wiring.cloud(), event.detail
    logger.append_keys(pipeline=detail.pipeline, request_id=detail.request_id)
    answer = starting.start(
        cloud,
        Wanted(
            pipeline=detail.pipeline,
            request_id=detail.request_id,
            actor=detail.actor,
            overrides=detail.overrides,
            dataset_version=detail.dataset_version,
            retry_of=detail.retry_of,
            is_uncached=detail.is_uncached,
            reproduces=detail.reproduces,
            tolerance=detail.tolerance,
        ),
    )
    logger.info("answered", extra={"status": answer.status, "reasons": list(answer.reasons)})
    return {"status": answer.status, **({"run_id": answer.run_id} if answer.run_id else {})}
