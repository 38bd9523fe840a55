"""Note that an object, which may be part of a data set, was deleted or restored."""

from __future__ import annotations

from urllib.parse import unquote_plus

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog import keys
from sluice.domain import locations
from sluice.events import ObjectDeleted, event_parser
from sluice.observability import logger
from sluice.services import arrivals


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=ObjectDeleted)
def lambda_handler(event: ObjectDeleted, context: LambdaContext) -> dict[str, str]:
    cloud = wiring.cloud()
    pipeline, _ = locations.parse_key(event.key)
    if pipeline is None or cloud.catalog.get(keys.pipeline_key(pipeline)) is None:
        return {"status": "ignored"}
    # EventBridge is said not to encode keys, S3's older notifications do: try both.
    there = False
    for key in dict.fromkeys((event.key, unquote_plus(event.key))):
        head = cloud.objects.head(event.bucket, key)
        # The next data set looks at the bucket itself, so the order of events does not matter.
        arrivals.touch(cloud, pipeline, key)
        arrivals.mark_gone(cloud, pipeline, key, is_gone=head is None)
        there = there or head is not None
    logger.info("noted", extra={"key": event.key, "there": there})
    return {"status": "there" if there else "gone"}
