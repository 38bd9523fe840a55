"""Send S3 events with object versions and in order, describe ranges, and encrypt by the account's own key.

Ministack omits the version from events on the bus and these events from archives, starts a thread for
each event, refuses `aws:kms` without a key, and answers HeadObject with a range as if it had none.
"""

from __future__ import annotations

import contextvars
import functools
import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import s3

from sluice_local.settings import Settings

# Consequences of an event are queued or have their own threads: one thread is enough, and keeps the order.
_EVENTS = ThreadPoolExecutor(1, "s3-events")
_ENCRYPTION = "x-amz-server-side-encryption"
_KEY_ID = f"{_ENCRYPTION}-aws-kms-key-id"
_version_id: ContextVar[str | None] = ContextVar("version_id", default=None)


def install(settings: Settings) -> None:
    """Carry the version from the operation to the event."""
    fire = s3._fire_s3_event

    def fire_with_version(*args: Any, version_id: str | None = None, **options: Any) -> None:
        _version_id.set(version_id)  # this context sends one event
        fire(*args, version_id=version_id, **options)

    def fire_in_order(
        bucket: str,
        key: str,
        name: str,
        size: int = 0,
        etag: str = "",
        deletion_type: str | None = None,
        **options: Any,
    ) -> None:
        if bucket in s3._bucket_notifications:
            options["sequencer"] = s3._next_event_sequencer(name)
            event = (bucket, key, name, size, etag, deletion_type)
            context = contextvars.copy_context()
            _EVENTS.submit(context.run, functools.partial(fire_with_version, *event, **options))

    s3._head_object = _with_range(s3._head_object)
    s3._fire_s3_event = fire_with_version
    resolve = s3._resolve_sse_write_headers
    s3._resolve_sse_write_headers = lambda headers, bucket: resolve(_with_key(headers), bucket)
    s3._fire_s3_event_async = fire_in_order


def _with_key(headers: dict[str, str]) -> dict[str, str]:
    """Return a write's headers with the key that AWS uses by itself, which is the account's `aws/s3`."""
    if headers.get(_ENCRYPTION) != "aws:kms" or headers.get(_KEY_ID):
        return headers
    account, region = get_account_id(), get_region()
    key_id = uuid.uuid5(uuid.NAMESPACE_URL, f"{account}/{region}/aws/s3")
    return {**headers, _KEY_ID: f"arn:aws:kms:{region}:{account}:key/{key_id}"}


def _with_range(head_object: Callable[..., Any]) -> Callable[..., Any]:
    def head(bucket: str, key: str, headers: Any = None, query: Any = None) -> Any:
        status, answered, body = head_object(bucket, key, headers, query)
        wanted = (headers or {}).get("range")
        if status != 200 or not wanted:
            return status, answered, body
        size = int(answered["Content-Length"])
        if (part := s3._parse_range(wanted, size)) is None:
            return 416, {"Content-Range": f"bytes */{size}"}, b""
        start, end = part
        length = {"Content-Length": str(end - start + 1), "Content-Range": f"bytes {start}-{end}/{size}"}
        return 206, {**answered, **length}, body

    return head


def with_version(event: dict[str, Any]) -> dict[str, Any]:
    """Return an S3 event for the bus with its object version."""
    detail = json.loads(event["Detail"])
    if version_id := _version_id.get():
        detail["object"]["version-id"] = version_id
    return {**event, "Detail": json.dumps(detail)}
