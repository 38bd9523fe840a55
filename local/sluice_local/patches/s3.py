"""Events of S3 that name the version they are about.

Ministack leaves the version out of what it puts on the event bus, and such events out of archives.
"""

from __future__ import annotations

import json
from contextvars import ContextVar
from typing import Any

from ministack.services import eventbridge, s3

from sluice_local.settings import Settings

_version_id: ContextVar[str | None] = ContextVar("version_id", default=None)


def install(settings: Settings) -> None:
    """Carry the version from the operation to the event."""
    fire, dispatch = s3._fire_s3_event, eventbridge._dispatch_event

    def fire_with_version(*args: Any, version_id: str | None = None, **options: Any) -> None:
        _version_id.set(version_id)  # this thread fires one event
        fire(*args, version_id=version_id, **options)

    def dispatch_with_version(event: dict[str, Any], view: Any = None) -> None:
        if event["Source"] == "aws.s3":
            detail = json.loads(event["Detail"])
            if version_id := _version_id.get():
                detail["object"]["version-id"] = version_id
            event = {**event, "Detail": json.dumps(detail)}
            eventbridge._archive_event(event)
        dispatch(event, view)

    s3._fire_s3_event = fire_with_version
    eventbridge._dispatch_event = dispatch_with_version
