"""Note that an object, which may be part of a data set, was deleted or restored."""

from __future__ import annotations

from urllib.parse import unquote_plus

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog import keys
from sluice.domain import locations
from sluice.domain.times import from_iso, to_iso
from sluice.events import ObjectDeleted, event_parser
from sluice.observability import logger
from sluice.ports import Cloud
from sluice.services import timeline
from sluice.services.data import arrivals

# The timeline names so many deleted objects that no run has left out yet.
_TOLD = 20
_EXPIRED = "Lifecycle Expiration"


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
        found = arrivals.taken_up(cloud, pipeline, key)
        is_deleted = head is None and bool(found)
        if is_deleted and not any(each.gone for each in found):
            _tell(cloud, pipeline, event, key)
        arrivals.touch(cloud, pipeline, key, is_deleted=is_deleted)
        arrivals.mark_gone(cloud, found, is_gone=head is None)
        there = there or head is not None
    logger.info("noted", extra={"key": event.key, "there": there})
    return {"status": "there" if there else "gone"}


def _tell(cloud: Cloud, pipeline: str, event: ObjectDeleted, key: str) -> None:
    """Note a deletion in the timeline, unless many are noted: the next run says how many there were."""
    if len(arrivals.deleted(cloud, pipeline, limit=_TOLD)) < _TOLD:
        why = "by the bucket's life cycle; " if event.reason == _EXPIRED else ""
        timeline.note(
            cloud,
            pipeline,
            to_iso(from_iso(event.time)),
            key,
            timeline.DATA_DELETED,
            f"{why}the next data set lacks it",
        )
