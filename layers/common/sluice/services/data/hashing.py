"""Find the digest of an object that arrived: S3's if there is one, else computed some parts at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from sluice.catalog import keys
from sluice.catalog.changes import progress as changes
from sluice.catalog.records.progress import Hashing
from sluice.domain import digests, lost_events
from sluice.domain.times import from_iso, to_iso
from sluice.ports import Cloud, ObjectHead

# A part takes a quarter of a minute; the function must have time left for a slow one.
_PART_TAKES_MS = 90_000
# Longer than a function runs: by then an invocation that took the work and did not report has died.
_TAKEN_FOR = timedelta(minutes=6)
_PROGRESS_KEPT = timedelta(days=30)


def digest(cloud: Cloud, head: ObjectHead, remaining_ms: Callable[[], int]) -> str | None:
    """Return the digest; None if parts are left, for which the object is announced again."""
    objects = cloud.objects
    if head.sha256:
        return head.sha256
    if not digests.is_by_parts(head.size_bytes):
        return digests.of_bytes(objects.chunks(head.bucket, head.key, head.version_id)).hex()
    uploaded = objects.parts(head.bucket, head.key, head.version_id)
    return digests.of_upload(head.size_bytes, uploaded) or _by_parts(cloud, head, remaining_ms)


def _by_parts(cloud: Cloud, head: ObjectHead, remaining_ms: Callable[[], int]) -> str | None:
    taken = _take(cloud, head.key, head.version_id)
    if taken is None:
        return None
    done = [*taken.parts]
    for span in digests.spans(head.size_bytes)[len(done) :]:
        if remaining_ms() < _PART_TAKES_MS:
            cloud.catalog.apply(changes.leave_hashing(taken))
            lost = lost_events.object_created(head.bucket, head.key, head.version_id)
            cloud.bus.put(lost.detail_type, lost.detail)
            return None
        chunks = cloud.objects.chunks(head.bucket, head.key, head.version_id, span)
        done = [*done, digests.of_bytes(chunks).hex()]
        cloud.catalog.apply(changes.record_parts(taken, done))
    return digests.combined(map(bytes.fromhex, done))


def _take(cloud: Cloud, key: str, version_id: str) -> Hashing | None:
    """Return the progress, to one caller at a time: an object without arrival is announced repeatedly."""
    now = from_iso(cloud.now())
    until, expires_at = to_iso(now + _TAKEN_FOR), int((now + _PROGRESS_KEPT).timestamp())
    item = cloud.catalog.get(keys.hashing_key(key, version_id))
    if item is None:
        begun = Hashing(key, version_id, taken_until=until, expires_at=expires_at)
        return begun if cloud.catalog.apply(changes.begin_hashing(begun)) else None
    known = Hashing.of(item, key, version_id)
    if (known.taken_until or "") > to_iso(now):
        return None
    return known if cloud.catalog.apply(changes.take_hashing(known, until, expires_at)) else None
