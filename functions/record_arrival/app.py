"""Record an uploaded object as an arrival of its pipeline, or note why it is none."""

from __future__ import annotations

from urllib.parse import unquote_plus

from aws_lambda_powertools.utilities.parser import event_parser
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog import keys
from sluice.domain.data import uploads
from sluice.domain.data.arrivals import CONTROL
from sluice.domain.data.uploads import Classification
from sluice.domain.nearest import nearest
from sluice.domain.times import from_iso, to_iso
from sluice.events import ObjectCreated
from sluice.observability import logger
from sluice.ports import Cloud, Item, ObjectHead
from sluice.services import arrivals, batching, hashing
from sluice.services.timeline import note


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=ObjectCreated)
def lambda_handler(event: ObjectCreated, context: LambdaContext) -> dict[str, str]:
    cloud = wiring.cloud()
    head = _find(cloud, event)
    if head is None:
        return {"status": "gone"}
    logger.append_keys(key=head.key, version_id=head.version_id)
    item, known = _pipelines(cloud, head.key)
    verdict = uploads.classify(head, known, item.get("control_name"))
    logger.info("classified", extra={"status": verdict.status, "reason": verdict.reason})
    match verdict.status:
        case "accepted":
            if not _record(cloud, head, event.sequencer, verdict, "pending", context):
                return {"status": "hashing"}
        case "control":
            if not _record(cloud, head, event.sequencer, verdict, CONTROL, context):
                return {"status": "hashing"}
        case "quarantined":
            _quarantine(cloud, head, event.sequencer, verdict)
        case "unclaimed":
            _list_unclaimed(cloud, head, verdict, known)
    return {"status": verdict.status}


def _find(cloud: Cloud, event: ObjectCreated) -> ObjectHead | None:
    """Find the object: EventBridge is said not to encode keys, S3's older notifications do, so try both."""
    objects = cloud.objects
    for key in dict.fromkeys((event.key, unquote_plus(event.key))):
        if head := objects.head(event.bucket, key, event.version_id):
            return head
    return None


def _pipelines(cloud: Cloud, key: str) -> tuple[Item, list[str]]:
    """Read the key's pipeline consistently; only if it does not exist list all others, to suggest one."""
    catalog = cloud.catalog
    pipeline, _ = uploads.parse_key(key)
    if pipeline is not None and (item := catalog.get(keys.pipeline_key(pipeline))):
        return item, [pipeline]
    return {}, [item["gsi1sk"] for item in catalog.listing(keys.PIPELINES)]


def _record(
    cloud: Cloud,
    head: ObjectHead,
    sequencer: str | None,
    verdict: Classification,
    status: str,
    context: LambdaContext,
) -> bool:
    """Record the arrival; False if its digest takes longer than this function may run."""
    pipeline, heard_at = str(verdict.pipeline), cloud.now()
    if (arrival := arrivals.find(cloud, pipeline, head.key, head.version_id)) is None:
        sha256 = hashing.digest(cloud, head, context.get_remaining_time_in_millis)
        if sha256 is None:
            return False
        content = {
            "sha256": sha256,
            "status": status,
            "recorded_at": cloud.now(),
            **_order(heard_at, sequencer),
        }
        key = keys.arrival_key(keys.WAITING, pipeline, head.key, head.version_id)
        arrival = {**key, **_described(head), **content, "is_control": True if status == CONTROL else None}
        # While this hashed it, another event may have recorded the arrival, which may have moved on.
        if head.sha256 or arrivals.find(cloud, pipeline, head.key, head.version_id) is None:
            cloud.catalog.create(arrival)
    event = "batch marked" if status == CONTROL else "data arrived"
    note(cloud, pipeline, arrival["arrived_at"], head.key, event, f"{head.size_bytes} bytes")
    if arrival["status"] == status:
        # Read this after the arrival was written, so that a request that is already due sees the arrival.
        item = cloud.catalog.get(keys.pipeline_key(pipeline)) or {}
        batching.ask_once(cloud, pipeline, item, item.get("ask_delay_s", 0))
    return True


def _order(heard_at: str, sequencer: str | None) -> Item:
    """Return what orders arrivals within one second of S3's time."""
    return {"heard_at": heard_at, "sequencer": sequencer}


def _quarantine(cloud: Cloud, head: ObjectHead, sequencer: str | None, verdict: Classification) -> None:
    pipeline = str(verdict.pipeline)
    arrival = {
        **keys.arrival_key(keys.QUARANTINED, pipeline, head.key, head.version_id),
        **_described(head),
        **_order(cloud.now(), sequencer),
        "status": "quarantined",
        "reason": verdict.reason,
    }
    if arrivals.find(cloud, pipeline, head.key, head.version_id) is None:
        # Do this first: a retry after a crash finds the arrival, and stops there.
        arrivals.touch(cloud, pipeline, head.key)
        cloud.catalog.create(arrival)
    cloud.objects.tag(head.bucket, head.key, head.version_id, {"sluice:status": "quarantined"})
    note(cloud, pipeline, arrival["arrived_at"], head.key, "data quarantined", verdict.reason)


def _list_unclaimed(cloud: Cloud, head: ObjectHead, verdict: Classification, known: list[str]) -> None:
    arrival = {
        **keys.unclaimed_key(head.key, head.version_id),
        **_described(head),
        "status": "unclaimed",
        "reason": verdict.reason,
    }
    cloud.catalog.create(arrival)
    prefix, _ = uploads.parse_key(head.key)
    if pipeline := nearest(prefix or head.key, known):
        note(cloud, pipeline, arrival["arrived_at"], head.key, "data unclaimed", verdict.reason)


def _described(head: ObjectHead) -> Item:
    return {
        "key": head.key,
        "version_id": head.version_id,
        "size_bytes": head.size_bytes,
        # S3's time, which does not change if the event comes late or repeatedly.
        "arrived_at": to_iso(from_iso(head.last_modified)),
    }
