"""Find the object that an event tells of."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from sluice.ports import Cloud, ObjectHead


def find_object(cloud: Cloud, bucket: str, key: str, version_id: str | None) -> ObjectHead | None:
    """Find the object: EventBridge is said not to encode keys, S3's older notifications do, so try both."""
    for name in dict.fromkeys((key, unquote_plus(key))):
        if head := cloud.objects.head(bucket, name, version_id):
            return head
    return None


def pipeline_below(key: str) -> str | None:
    """Return the pipeline of an object at `<folder>/<pipeline>/<name>`; None for a key that is none."""
    _, _, rest = key.partition("/")
    pipeline, _, name = rest.partition("/")
    return pipeline if name and not key.endswith("/") else None
