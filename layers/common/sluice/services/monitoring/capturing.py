"""Read what an endpoint captured in a window."""

from __future__ import annotations

from sluice.domain.monitor import windows
from sluice.domain.monitor.capture import Traffic
from sluice.domain.monitor.windows import Span
from sluice.domain.release import serving
from sluice.domain.times import from_iso
from sluice.ports import ObjectHead
from sluice.services.monitoring.watched import Watched


def read(watched: Watched, window: Span) -> Traffic:
    """Return the traffic of files that S3 dates within the window: each is read for one window."""
    traffic = Traffic()
    for head in _files(watched, window):
        data = b"".join(watched.cloud.objects.chunks(head.bucket, head.key))
        for line in data.decode("utf-8", "replace").splitlines():
            if line.strip():
                traffic.add(line, watched.shape, ignored=serving.SMOKE_TEST)
    return traffic


def _files(watched: Watched, window: Span) -> list[ObjectHead]:
    bucket = watched.cloud.artifact_bucket
    prefix = watched.locations.capture.removeprefix(f"s3://{bucket}/")
    folder = f"{prefix}/{watched.endpoint_name}/{serving.VARIANT}"
    found = []
    for hour in windows.hours(window):
        for head in watched.cloud.objects.listing(bucket, f"{folder}/{hour}/"):
            if window.start <= from_iso(head.last_modified).replace(microsecond=0) < window.end:
                found.append(head)
    return found
