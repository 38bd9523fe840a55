"""Release a quarantined object into the next data set version, as a person asked, or note why not."""

from __future__ import annotations

from collections.abc import Sequence

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog import keys
from sluice.catalog.changes import Change, recalls
from sluice.catalog.changes import arrivals as changes
from sluice.catalog.records.arrivals import Arrival
from sluice.catalog.records.recalls import Recall
from sluice.domain import locations
from sluice.domain.actors import unverified
from sluice.domain.data import uploads
from sluice.domain.failures import ConflictError
from sluice.domain.times import from_iso, to_iso
from sluice.events import DataReleaseRequested, event_parser
from sluice.observability import logger
from sluice.ports import Cloud
from sluice.services.data import arrivals
from sluice.services.timeline import note


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=DataReleaseRequested)
def lambda_handler(event: DataReleaseRequested, context: LambdaContext) -> dict[str, str]:
    cloud = wiring.cloud()
    logger.append_keys(key=event.key, version_id=event.version_id)
    pipeline = locations.parse_key(event.key)[0] or ""
    arrival = arrivals.find(cloud, pipeline, event.key, event.version_id)
    if arrival is None:
        return {"status": "unknown"}
    if arrival.release_request != event.request_id:
        refused = _decide(cloud, event, arrival)
    else:
        refused = arrival.release_refused
    _tell(cloud, event, pipeline, refused)
    return {"status": "refused" if refused else "released"}


def _decide(cloud: Cloud, event: DataReleaseRequested, arrival: Arrival) -> str | None:
    """Write the answer on the arrival, where the caller looks for it; returns why it is not released."""
    head = cloud.objects.head(event.bucket, event.key)
    objection = uploads.release_objection(arrival, head.version_id if head else None)
    answer: Sequence[Change] = (
        [*changes.release(arrival, event.request_id), *_lift(cloud, arrival)]
        if objection is None
        else [changes.refuse_release(arrival, event.request_id, objection)]
    )
    if not cloud.catalog.apply(*answer):
        raise ConflictError(f"the arrival of {event.key} changed while its release was decided")
    return objection


def _lift(cloud: Cloud, arrival: Arrival) -> list[Change]:
    """Take back the recall of what is released, if there is one."""
    item = cloud.catalog.get(keys.recall_key(arrival.pipeline, arrival.sha256))
    return [recalls.lift(Recall.of(item))] if item else []


def _tell(cloud: Cloud, event: DataReleaseRequested, pipeline: str, refused: str | None) -> None:
    at, actor = to_iso(from_iso(event.time)), unverified(event.actor)
    if refused:
        note(cloud, pipeline, at, event.key, "data not released", f"{event.key} {refused}", actor)
        return
    tags = {"sluice:status": "released"}
    cloud.objects.tag(event.bucket, event.key, event.version_id, tags)
    note(cloud, pipeline, at, event.key, "data released", event.reason, actor)
    cloud.build_requests.send(pipeline)
