"""Remove the endpoint configs and models of former releases, on a schedule."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.events import CleaningDue, event_parser
from sluice.observability import logger
from sluice.services.release import cleaning

_LAST_MS = 10_000


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=CleaningDue)
def lambda_handler(event: CleaningDue, context: LambdaContext) -> dict[str, Any]:
    removed = cleaning.clean(
        wiring.cloud(), event.keep, lambda: context.get_remaining_time_in_millis() > _LAST_MS
    )
    logger.info("cleaned up", extra={"removed": removed})
    return {"removed": removed}
