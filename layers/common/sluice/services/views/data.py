"""Show data: data set versions, arrivals, and incomplete batches."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.builds import Pipeline
from sluice.domain import digests
from sluice.domain.build import governor
from sluice.domain.data.datasets import DatasetManifest, ObjectVersion, condition
from sluice.domain.failures import MissingError
from sluice.domain.times import to_iso
from sluice.ports import Cloud, Item, Objects
from sluice.services.build import deciding
from sluice.services.build.deciding import Outlook
from sluice.services.data import datasets, tracing
from sluice.services.side_by_side import on_each


def dataset_versions(
    cloud: Cloud, pipeline: str, limit: int | None = None, after: str | None = None
) -> list[dict[str, Any]]:
    """List a pipeline's data set versions, newest first; `after` is the version to go on behind.

    Of a pipeline of an older stack, which has no index by time, all are read.
    """
    pk, last = keys.partition(pipeline), _made(cloud, pipeline, after)
    if tracing.is_indexed(cloud, pipeline):
        begins = keys.version_index_key(pipeline, *last)["sk"] if last else None
        index = cloud.catalog.query(pk, keys.VERSIONS, after=begins, newest_first=True, limit=limit)
        made = cloud.catalog.get_all([keys.dataset_key(pipeline, each["version"]) for each in index])
        return [_described(item) for item in made if item]
    found = [_described(item) for item in cloud.catalog.query(pk, keys.DATASETS)]
    found.sort(key=_age, reverse=True)
    return [item for item in found if last is None or _age(item) < last][:limit]


def _made(cloud: Cloud, pipeline: str, version: str | None) -> tuple[str, str] | None:
    """Return when a version was made, and the version; None without one."""
    item = cloud.catalog.get(keys.dataset_key(pipeline, version)) if version else None
    return _age(_described(item)) if item else None


def _age(item: dict[str, Any]) -> tuple[str, str]:
    return str(item["created_at"]), str(item["dataset_version"])


def _described(item: dict[str, Any]) -> dict[str, Any]:
    return {"dataset_version": keys.dataset_version_of(item), **keys.shown(item)}


def versions_beginning(cloud: Cloud, pipeline: str, digits: str) -> list[dict[str, Any]]:
    """List the data set versions that begin with some hex digits."""
    return [
        _described(item) for item in cloud.catalog.query(keys.partition(pipeline), f"{keys.DATASETS}{digits}")
    ]


def dataset(cloud: Cloud, pipeline: str, item: Item) -> dict[str, Any]:
    """Return a version, one of `dataset_versions`, with its objects and the rows of those that were read.

    Raises MissingError if its list of objects was changed to what is none.
    """
    version = item["dataset_version"]
    try:
        manifest = datasets.find_manifest(cloud, pipeline, version)
        head = datasets.find_head(cloud, pipeline, version)
    except datasets.DAMAGED:
        told = "was changed, and cannot be read"
        raise MissingError(f"the list of objects of the data set {version[:12]} {told}") from None
    rows = datasets.read_rows(cloud, pipeline, [each.digest for each in head.segments]) if head else {}
    listed = [{**asdict(obj), "rows": rows.get(obj.key)} for obj in manifest.objects]
    return {"pipeline": pipeline, **item, "objects": listed}


def verify(cloud: Cloud, pipeline: str, item: Item) -> dict[str, Any]:
    """Read a version's manifest and all its objects again, and say what has become of each.

    Of a manifest that is no list of objects any more, there is nothing else to read.
    """
    try:
        manifest = datasets.find_manifest(cloud, pipeline, item["dataset_version"])
    except datasets.DAMAGED:
        manifest = DatasetManifest(())
    found = on_each(manifest.objects, lambda obj: _verified(cloud, obj))
    is_manifest_intact = manifest.is_version(item["dataset_version"])
    return {
        "pipeline": pipeline,
        "dataset_version": item["dataset_version"],
        "is_intact": is_manifest_intact and all(obj["condition"] == "intact" for obj in found),
        "is_manifest_intact": is_manifest_intact,
        "objects": found,
    }


def _verified(cloud: Cloud, obj: ObjectVersion) -> dict[str, Any]:
    bucket, store = cloud.data_bucket, cloud.objects
    stored = _sha256(store, bucket, obj.key, obj.version_id, obj.size_bytes)
    head = store.head(bucket, obj.key)
    if head is None or head.version_id == obj.version_id:
        current = stored if head else None
    else:
        current = _sha256(store, bucket, obj.key, head.version_id, head.size_bytes)
    found = condition(obj, stored, current)
    return {"key": obj.key, "version_id": obj.version_id, "condition": found}


def _sha256(store: Objects, bucket: str, key: str, version_id: str, size_bytes: int) -> str | None:
    """Return the digest of an object version's bytes; None if it does not exist."""
    try:
        return digests.of_content(size_bytes, store.chunks(bucket, key, version_id))
    except FileNotFoundError:
        return None


def what_waits(cloud: Cloud, pipeline: str, now: datetime | None = None) -> dict[str, Any]:
    """Return incomplete batches with what they lack, and the next build with what it waits for."""
    item = cloud.catalog.get(keys.pipeline_key(pipeline))
    if item is None:
        return {"incomplete": [], "next_build": None, "failed": None, "deleted": []}
    now = now or datetime.now(UTC)
    outlook = deciding.decide(cloud, Pipeline.of(item), now)
    return {
        "incomplete": [
            {"folder": batch.folder, "objects": len(batch.objects), "missing": list(batch.missing)}
            for batch in outlook.incomplete
        ],
        "next_build": _next_build(outlook.decision, now),
        "failed": _failed(outlook),
        "deleted": [*outlook.deleted],
    }


def why_waiting(cloud: Cloud, pipeline: str) -> str:
    """Say in a few words what the next build waits for; empty if for nothing."""
    now = datetime.now(UTC)
    waits = what_waits(cloud, pipeline, now)
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
    """Return what waits because its run failed, if no build will start automatically."""
    runs = [arrival.failed_run for arrival in outlook.pending if arrival.failed_run]
    if not runs or not isinstance(outlook.decision, governor.NothingDue):
        return None
    return {"run_id": max(runs), "objects": len(outlook.pending)}
