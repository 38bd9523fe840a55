"""Record an uploaded object as an arrival of its pipeline, or say why it is none."""

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
    """EventBridge is said to give keys as they are, S3's older notifications encode them: try both."""
    objects = cloud.objects
    for key in dict.fromkeys((event.key, unquote_plus(event.key))):
        if head := objects.head(event.bucket, key, event.version_id):
            return head
    return None


def _pipelines(cloud: Cloud, key: str) -> tuple[Item, list[str]]:
    """The key's own pipeline, read consistently; all others, to suggest one, only if that does not exist."""
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
    """Record the arrival; False if its digest takes longer than this function may."""
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
        # While it was read to be hashed, another event of it may have been heard, and it may have moved on.
        if head.sha256 or arrivals.find(cloud, pipeline, head.key, head.version_id) is None:
            cloud.catalog.create(arrival)
    event = "batch marked" if status == CONTROL else "data arrived"
    note(cloud, pipeline, arrival["arrived_at"], head.key, event, f"{head.size_bytes} bytes")
    if arrival["status"] == status:
        # Read after the arrival was written: whoever is going to ask then sees it.
        item = cloud.catalog.get(keys.pipeline_key(pipeline)) or {}
        batching.ask_once(cloud, pipeline, item, item.get("ask_delay_s", 0))
    return True


def _order(heard_at: str, sequencer: str | None) -> Item:
    """What tells arrivals of one second apart, of which S3's time says no more."""
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
        # First, as who repeats this after a crash finds the arrival.
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
        # S3's own time, the same however often and late the event comes.
        "arrived_at": to_iso(from_iso(head.last_modified)),
    }
