"""Record an uploaded object as an arrival of its pipeline, or note why it is none."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog import keys
from sluice.catalog.changes import arrivals as changes
from sluice.catalog.records.arrivals import Arrival, ArrivalStatus, UnclaimedArrival
from sluice.catalog.records.builds import Pipeline
from sluice.domain import locations, wording
from sluice.domain.data import uploads
from sluice.domain.data.uploads import Classification
from sluice.domain.nearest import nearest
from sluice.domain.times import from_iso, to_iso
from sluice.events import ObjectCreated, event_parser
from sluice.observability import logger
from sluice.ports import Cloud, ObjectHead
from sluice.services import finding, metering
from sluice.services.data import arrivals, batching, hashing
from sluice.services.side_by_side import together
from sluice.services.timeline import note, noting


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=ObjectCreated)
def lambda_handler(event: ObjectCreated, context: LambdaContext) -> dict[str, str]:
    cloud = wiring.cloud()
    head, pipeline = together(
        partial(finding.find_object, cloud, event.bucket, event.key, event.version_id),
        partial(_pipeline_of, cloud, event.key),
    )
    if head is None:
        return {"status": "gone"}
    logger.append_keys(key=head.key, version_id=head.version_id)
    if head.key != event.key:
        pipeline = _pipeline_of(cloud, head.key)
    known = (
        [pipeline.name] if pipeline else [item["gsi1sk"] for item in cloud.catalog.listing(keys.PIPELINES)]
    )
    verdict = uploads.classify(head, known, pipeline.control_name if pipeline else None)
    logger.info("classified", extra={"status": verdict.status, "reason": verdict.reason})
    match verdict.status:
        case "accepted":
            if not _record(cloud, head, event.sequencer, verdict, "pending", context):
                return {"status": "hashing"}
        case "control":
            if not _record(cloud, head, event.sequencer, verdict, "control", context):
                return {"status": "hashing"}
        case "quarantined":
            _quarantine(cloud, head, event.sequencer, verdict)
        case "unclaimed":
            _list_unclaimed(cloud, head, verdict, known)
    return {"status": verdict.status}


def _pipeline_of(cloud: Cloud, key: str) -> Pipeline | None:
    name, _ = locations.parse_key(key)
    return None if name is None else _pipeline(cloud, name)


def _pipeline(cloud: Cloud, name: str) -> Pipeline | None:
    item = cloud.catalog.get(keys.pipeline_key(name))
    return Pipeline.of(item) if item else None


def _record(
    cloud: Cloud,
    head: ObjectHead,
    sequencer: str | None,
    verdict: Classification,
    status: ArrivalStatus,
    context: LambdaContext,
) -> bool:
    """Record the arrival; False if its digest takes longer than this function may run."""
    pipeline, heard_at = str(verdict.pipeline), cloud.now()
    event = "batch marked" if status == "control" else "data arrived"
    noted = noting(pipeline, _arrived_at(head), head.key, event, wording.count(head.size_bytes, "byte"))
    if (arrival := arrivals.find(cloud, pipeline, head.key, head.version_id)) is None:
        sha256 = hashing.digest(cloud, head, context.get_remaining_time_in_millis)
        if sha256 is None:
            return False
        arrival = replace(
            _arrival(pipeline, head, sequencer, heard_at, status),
            sha256=sha256,
            recorded_at=cloud.now(),
            is_control=status == "control",
        )
        # While this hashed it, another event may have recorded the arrival, which may have moved on.
        is_new = head.sha256 or arrivals.find(cloud, pipeline, head.key, head.version_id) is None
        added = changes.add_arrival(arrival)
        # Another version of the same second and size has the same entry.
        is_added = is_new and (cloud.catalog.apply(added, noted) or cloud.catalog.apply(added))
        if is_added and status == "pending":
            metering.arrived(cloud, pipeline, head.size_bytes)
    else:
        cloud.catalog.apply(noted)
    if arrival.status == status:
        # Read this after the arrival was written, so that a request that is already due sees the arrival.
        batching.ask_once(cloud, _pipeline(cloud, pipeline) or Pipeline(pipeline, ""))
    return True


def _arrival(
    pipeline: str, head: ObjectHead, sequencer: str | None, heard_at: str, status: ArrivalStatus
) -> Arrival:
    return Arrival(
        pipeline=pipeline,
        key=head.key,
        version_id=head.version_id,
        size_bytes=head.size_bytes,
        arrived_at=_arrived_at(head),
        status=status,
        heard_at=heard_at,
        sequencer=sequencer or "",
    )


def _arrived_at(head: ObjectHead) -> str:
    """Return S3's time, which does not change if the event comes late or repeatedly."""
    return to_iso(from_iso(head.last_modified))


def _quarantine(cloud: Cloud, head: ObjectHead, sequencer: str | None, verdict: Classification) -> None:
    pipeline = str(verdict.pipeline)
    arrival = replace(
        _arrival(pipeline, head, sequencer, cloud.now(), "quarantined"),
        state=keys.QUARANTINED,
        reason=verdict.reason,
    )
    if arrivals.find(cloud, pipeline, head.key, head.version_id) is None:
        # Do this first: a retry after a crash finds the arrival, and stops there.
        arrivals.touch(cloud, pipeline, head.key)
        arrivals.note_aside(cloud, arrival)
        cloud.catalog.apply(changes.add_arrival(arrival))
    cloud.objects.tag(head.bucket, head.key, head.version_id, {"sluice:status": "quarantined"})
    note(cloud, pipeline, arrival.arrived_at, head.key, "data quarantined", verdict.reason)


def _list_unclaimed(cloud: Cloud, head: ObjectHead, verdict: Classification, known: list[str]) -> None:
    arrival = UnclaimedArrival(head.key, head.version_id, head.size_bytes, _arrived_at(head), verdict.reason)
    cloud.catalog.apply(changes.add_unclaimed(arrival))
    prefix, _ = locations.parse_key(head.key)
    if pipeline := nearest(prefix or head.key, known):
        note(cloud, pipeline, arrival.arrived_at, head.key, "data unclaimed", verdict.reason)
