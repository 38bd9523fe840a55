"""What the commands show of data: data set versions, arrivals, and the batches that are not complete yet."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sluice.catalog import keys
from sluice.domain import digests, nearest
from sluice.domain.build import governor
from sluice.domain.data import datasets, uploads
from sluice.domain.data.datasets import DatasetManifest, ObjectVersion
from sluice.domain.times import to_iso
from sluice.ports import Objects
from sluice.quality import validation
from sluice.services import deciding
from sluice.services.deciding import Outlook
from sluice_cli import bus
from sluice_cli.errors import EXIT_USAGE, CommandError
from sluice_cli.items import without_keys
from sluice_cli.output import short
from sluice_cli.target import Target

READERS = 8
_PREFIX = "DATASET#"
_POLL_S = 0.2
_LISTED = "`sluice data list --quarantined` lists what can be released; anything else is uploaded again."


# ---------------------------------------------------------------------------------------- data set versions


def dataset_versions(target: Target, pipeline: str) -> list[dict[str, Any]]:
    """A pipeline's data set versions, newest first."""
    items = target.catalog.query(keys.partition(pipeline), _PREFIX)
    found = [_described(item) for item in items]
    return sorted(found, key=lambda item: str(item["created_at"]), reverse=True)


def _described(item: dict[str, Any]) -> dict[str, Any]:
    return {"dataset_version": item["sk"].removeprefix(_PREFIX), **without_keys(item)}


def dataset_version(target: Target, pipeline: str, version: str) -> dict[str, Any]:
    """The version of these digits, or the only one that begins with them."""
    if not re.fullmatch(r"[0-9a-f]{4,64}", version):
        raise CommandError(
            f"{version!r} is no data set version: 4 to 64 hex digits",
            hint=f"`sluice dataset list {pipeline}` lists them.",
            exit_code=EXIT_USAGE,
        )
    found = target.catalog.query(keys.partition(pipeline), f"{_PREFIX}{version}")
    if len(found) != 1:
        problem = f"no data set version begins with {version}"
        if found:
            several = ", ".join(short(item["sk"].removeprefix(_PREFIX)) for item in found)
            problem = f"{len(found)} data set versions begin with {version}: {several}"
        raise CommandError(
            problem, hint=f"`sluice dataset list {pipeline}` lists them.", exit_code=EXIT_USAGE
        )
    return _described(found[0])


def dataset(target: Target, pipeline: str, version: str) -> dict[str, Any]:
    """A version with its objects."""
    item = dataset_version(target, pipeline, version)
    manifest = DatasetManifest.from_json(target.cloud.objects.read(item["manifest_uri"]))
    rows = _object_rows(target, item)
    listed = [{**asdict(obj), "rows": rows.get(obj.key)} for obj in manifest.objects]
    return {"pipeline": pipeline, **item, "objects": listed}


def _object_rows(target: Target, item: dict[str, Any]) -> dict[str, int]:
    """The rows of each object that validation could read; none are known before it."""
    try:
        uri = f"{item['manifest_uri'].rpartition('/')[0]}/{validation.ROWS}"
        found: dict[str, int] = json.loads(target.cloud.objects.read(uri))
    except FileNotFoundError:
        return {}
    return found


def verify(target: Target, pipeline: str, version: str) -> dict[str, Any]:
    """Read a version's manifest and every object of it again, and say what has become of each."""
    item = dataset_version(target, pipeline, version)
    manifest = DatasetManifest.from_json(target.cloud.objects.read(item["manifest_uri"]))
    with ThreadPoolExecutor(READERS) as pool:
        found = list(pool.map(lambda obj: _verified(target, obj), manifest.objects))
    is_manifest_intact = manifest.version == item["dataset_version"]
    return {
        "pipeline": pipeline,
        "dataset_version": item["dataset_version"],
        "is_intact": is_manifest_intact and all(obj["condition"] == "intact" for obj in found),
        "is_manifest_intact": is_manifest_intact,
        "objects": found,
    }


def _verified(target: Target, obj: ObjectVersion) -> dict[str, Any]:
    bucket, store = target.cloud.data_bucket, target.cloud.objects
    stored = _sha256(store, bucket, obj.key, obj.version_id, obj.size_bytes)
    head = store.head(bucket, obj.key)
    if head is None or head.version_id == obj.version_id:
        current = stored if head else None
    else:
        current = _sha256(store, bucket, obj.key, head.version_id, head.size_bytes)
    condition = datasets.condition(obj, stored, current)
    return {"key": obj.key, "version_id": obj.version_id, "condition": condition}


def _sha256(store: Objects, bucket: str, key: str, version_id: str, size_bytes: int) -> str | None:
    """The digest of an object version's bytes; None when it is not there."""
    try:
        return digests.of_content(size_bytes, store.chunks(bucket, key, version_id))
    except FileNotFoundError:
        return None


# ------------------------------------------------------------------------------------------------- arrivals


def arrival_items(target: Target, pipeline: str) -> list[dict[str, Any]]:
    """The catalog's items of what arrived, oldest first."""
    items = target.catalog.query(keys.partition(pipeline), "ARRIVAL#")
    return sorted(items, key=lambda item: str(item["arrived_at"]))


def arrivals(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What arrived, without what is the table's own."""
    return [without_keys(item) for item in items]


def quarantined(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is set aside, and no later upload of the same key has replaced."""
    newest = {item["key"]: item for item in items}
    return arrivals(item for item in newest.values() if item["status"] == "quarantined")


def what_waits(target: Target, pipeline: str, now: datetime | None = None) -> dict[str, Any]:
    """The batches that build nothing yet, with what they lack; the next build, and what it waits for."""
    item = target.catalog.get(keys.pipeline_key(pipeline)) or {}
    if not item.get("project_version"):
        return {"incomplete": [], "next_build": None, "failed": None}
    now = now or datetime.now(UTC)
    outlook = deciding.decide(target.cloud, pipeline, item, now)
    return {
        "incomplete": [
            {"folder": batch.folder, "objects": len(batch.objects), "missing": list(batch.missing)}
            for batch in outlook.incomplete
        ],
        "next_build": _next_build(outlook.decision, now),
        "failed": _failed(outlook),
    }


def why_waiting(target: Target, pipeline: str) -> str:
    """What the next build waits for, in a few words; empty if it waits for nothing."""
    now = datetime.now(UTC)
    waits = what_waits(target, pipeline, now)
    if build := waits["next_build"]:
        return str(build["reason"]) + (f", until {build['at']}" if build["at"] > to_iso(now) else "")
    missing = [missing for batch in waits["incomplete"] for missing in batch["missing"]]
    if not missing:
        return ""
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return f"the batch is not complete: {missing[0]}{more}"


def _next_build(decision: governor.Decision, now: datetime) -> dict[str, str] | None:
    if isinstance(decision, governor.NothingDue):
        return None
    at = decision.time if isinstance(decision, governor.WaitUntil) else now
    return {"at": to_iso(at), "reason": decision.reason}


def _failed(outlook: Outlook) -> dict[str, Any] | None:
    """What waits as its run failed, where nothing is going to build it by itself."""
    runs = [arrival.failed_run for arrival in outlook.pending if arrival.failed_run]
    if not runs or not isinstance(outlook.decision, governor.NothingDue):
        return None
    return {"run_id": max(runs), "objects": len(outlook.pending)}


def release(target: Target, key: str, reason: str, *, timeout_s: float = 60) -> dict[str, Any]:
    """Ask the stack to let a quarantined object into the next data set version, and wait for its answer."""
    bucket = target.cloud.data_bucket
    key = key.removeprefix(f"s3://{bucket}/")
    pipeline = str(uploads.parse_key(key)[0])
    version_id = _releasable(target, pipeline, key)["version_id"]
    request_id = uuid.uuid4().hex
    detail = {
        "bucket": {"name": bucket},
        "object": {"key": key, "version-id": version_id},
        "request_id": request_id,
        "actor": target.call("sts", "get_caller_identity")["Arn"],
        "reason": reason,
    }
    bus.announce(target.client("events"), "DataReleaseRequested", detail)
    answered = _answer(target, keys.arrival_key(pipeline, key, version_id), request_id, timeout_s)
    if refused := answered.get("release_refused"):
        raise CommandError(f"{key} {refused}", hint=_LISTED)
    # What it is by now may be another thing: a build may have set it aside again.
    return {"pipeline": pipeline, "key": key, "version_id": version_id, "status": "pending"}


def _answer(target: Target, key: keys.Key, request_id: str, timeout_s: float) -> dict[str, Any]:
    """The arrival when it carries the stack's answer to a request."""
    deadline = time.monotonic() + timeout_s
    while (arrival := target.catalog.get(key) or {}).get("release_request") != request_id:
        if time.monotonic() > deadline:
            raise CommandError(
                f"the release was asked for, but the stack did not answer within {timeout_s:.0f} s",
                hint="`sluice logs --function release_data` shows why; to ask twice does no harm.",
            )
        time.sleep(_POLL_S)
    return arrival


def _releasable(target: Target, pipeline: str, key: str) -> dict[str, Any]:
    """The quarantined arrival of a key; raises CommandError when there is none that is of any use."""
    versions = [item for item in arrival_items(target, pipeline) if item["key"] == key]
    newest = versions[-1] if versions else None
    current = target.cloud.objects.head(target.cloud.data_bucket, key) if newest else None
    objection = uploads.release_objection(newest, current.version_id if current else None)
    if newest is None or objection:
        others = [each for each in _quarantined_keys(target) if each != key]
        raise CommandError(
            f"{key} {objection}{nearest.hint(key, others)}", hint=_LISTED, exit_code=EXIT_USAGE
        )
    return newest


def _quarantined_keys(target: Target) -> list[str]:
    """The keys of all pipelines that are set aside."""
    pipelines = [item["gsi1sk"] for item in target.catalog.listing(keys.PIPELINES)]
    return [item["key"] for name in pipelines for item in quarantined(arrival_items(target, name))]
