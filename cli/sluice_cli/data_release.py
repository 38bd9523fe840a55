"""`sluice data release`: ask the stack to release a quarantined object."""

from __future__ import annotations

import time
import uuid
from typing import Any

from sluice.catalog.records.arrivals import Arrival
from sluice.domain import locations, nearest
from sluice.domain.data import uploads
from sluice.services.data import arrivals
from sluice.services.views import pipelines
from sluice.services.views import uploads as seen
from sluice_cli import bus
from sluice_cli.errors import CommandError, unknown
from sluice_cli.target import Target

_POLL_S = 0.2
_LISTED = "`sluice data list --quarantined` lists what can be released; anything else is uploaded again."


def release(target: Target, key: str, reason: str, *, timeout_s: float = 60) -> dict[str, Any]:
    """Ask the stack to release a quarantined object into the next data set version; wait for its answer."""
    bucket = target.cloud.data_bucket
    key = key.removeprefix(f"s3://{bucket}/")
    pipeline = str(locations.parse_key(key)[0])
    version_id = _releasable(target, pipeline, key).version_id
    request_id = uuid.uuid4().hex
    detail = {
        "bucket": {"name": bucket},
        "object": {"key": key, "version-id": version_id},
        "request_id": request_id,
        "actor": target.call("sts", "get_caller_identity")["Arn"],
        "reason": reason,
    }
    bus.announce(target.client("events"), "DataReleaseRequested", detail)
    answered = _answer(target, (pipeline, key, version_id), request_id, timeout_s)
    if answered.release_refused:
        raise CommandError(f"{key} {answered.release_refused}", hint=_LISTED)
    # Its status may differ by now: a build may have quarantined it again.
    return {"pipeline": pipeline, "key": key, "version_id": version_id, "status": "pending"}


def _answer(target: Target, arrival: tuple[str, str, str], request_id: str, timeout_s: float) -> Arrival:
    """Return the arrival once it holds the stack's answer to a request, which moves it."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = arrivals.find(target.cloud, *arrival)
        if found is not None and found.release_request == request_id:
            return found
        if time.monotonic() > deadline:
            raise CommandError(
                f"the release was asked for, but the stack did not answer within {timeout_s:.0f} s",
                hint="`sluice logs --function release_data` shows why; to ask twice does no harm.",
            )
        time.sleep(_POLL_S)


def _releasable(target: Target, pipeline: str, key: str) -> Arrival:
    """Return the quarantined arrival of a key; raises CommandError if none can be released."""
    newest = seen.newest(target.cloud, pipeline, {key}).get(key)
    current = target.cloud.objects.head(target.cloud.data_bucket, key) if newest else None
    objection = uploads.release_objection(newest, current.version_id if current else None)
    if newest is None or objection:
        others = [each for each in _quarantined_keys(target) if each != key]
        others += [] if newest else _arrived_keys(target, pipeline)
        raise unknown(f"{key} {objection}", key, others, _LISTED)
    return newest


def _arrived_keys(target: Target, pipeline: str) -> list[str]:
    """Return keys that arrived for the pipeline of this name, or the nearest, as many as a hint needs."""
    name = nearest.nearest(pipeline, pipelines.pipeline_names(target.cloud))
    return [each.key for each in seen.page(target.cloud, name).items] if name else []


def _quarantined_keys(target: Target) -> list[str]:
    """Return quarantined keys of all pipelines, as many as a hint needs."""
    names = pipelines.pipeline_names(target.cloud)
    return [each.key for name in names for each in seen.quarantined(target.cloud, name).items]
