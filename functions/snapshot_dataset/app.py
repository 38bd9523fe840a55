"""SnapshotDataset task: make a data set version of what has arrived."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.utilities.parser import event_parser
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import building, wiring
from sluice.domain import catalog as keys
from sluice.domain import datasets
from sluice.domain.datasets import DatasetManifest
from sluice.events import BuildTask
from sluice.observability import logger
from sluice.ports import Item
from sluice.timeline import note

# Runs that used the data they were given; of a failed one nobody knows.
_CONCLUSIVE = {"registered", "rejected", "data_rejected"}


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=BuildTask)
def lambda_handler(task: BuildTask, context: LambdaContext) -> dict[str, Any]:
    logger.append_keys(run_id=task.run_id)
    waiting = _waiting(task.pipeline)
    manifest = _combine(task, waiting)
    _store(task, manifest)
    for arrival in waiting:
        included = {"status": "included", "dataset_version": manifest.version}
        wiring.catalog().update({"pk": arrival["pk"], "sk": arrival["sk"]}, included)
    locations = building.locations(task.pipeline)
    return {
        "dataset_version": manifest.version,
        "manifest_uri": locations.dataset_manifest(manifest.version),
        "files_uri": locations.dataset_files(manifest.version),
        "is_new": bool(manifest.objects) and not _was_built(task, manifest.version),
        "objects": len(manifest.objects),
        "size_bytes": manifest.size_bytes,
    }


def _waiting(pipeline: str) -> list[Item]:
    """Arrivals that no judged data set holds: pending ones, and those of runs that died before validation."""
    catalog = wiring.catalog()
    sets = catalog.query(keys.partition(pipeline), "DATASET#")
    unjudged = {item["sk"].removeprefix("DATASET#") for item in sets if item["status"] == "new"}
    arrivals = catalog.query(keys.partition(pipeline), "ARRIVAL#")
    waiting = [
        arrival
        for arrival in arrivals
        if arrival["status"] == "pending"
        or (arrival["status"] == "included" and arrival["dataset_version"] in unjudged)
    ]
    return sorted(waiting, key=lambda arrival: str(arrival["arrived_at"]))


def _combine(task: BuildTask, waiting: list[Item]) -> DatasetManifest:
    """The data set of today's objects: what was overwritten or deleted since is no part of it."""
    mode = building.find_config(task).data.mode
    current = building.current_versions(task.pipeline)
    fresh = [
        building.object_version(item) for item in waiting if current.get(item["key"]) == item["version_id"]
    ]
    previous = _previous(task.pipeline, current)
    return datasets.combine(mode, previous, fresh)


def _previous(pipeline: str, current: Mapping[str, str]) -> DatasetManifest | None:
    item = wiring.catalog().get(keys.pipeline_key(pipeline)) or {}
    if "dataset_version" not in item:
        return None
    former = building.find_manifest(pipeline, item["dataset_version"])
    changed = set(building.changed_objects(pipeline, former, current))
    return DatasetManifest.of(obj for obj in former.objects if obj.key not in changed)


def _store(task: BuildTask, manifest: DatasetManifest) -> None:
    catalog, objects = wiring.catalog(), wiring.objects()
    locations = building.locations(task.pipeline)
    manifest_uri = locations.dataset_manifest(manifest.version)
    objects.write(manifest_uri, manifest.to_json(), "application/json")
    files = datasets.files_manifest(wiring.data_bucket(), manifest.objects)
    objects.write(locations.dataset_files(manifest.version), json.dumps(files).encode(), "application/json")
    now = wiring.now()
    dataset = {
        **keys.dataset_key(task.pipeline, manifest.version),
        "manifest_uri": manifest_uri,
        "objects": len(manifest.objects),
        "size_bytes": manifest.size_bytes,
        "created_at": now,
        "status": "new",
    }
    if catalog.create(dataset):
        detail = f"{manifest.version[:12]}: {len(manifest.objects)} objects, {manifest.size_bytes} bytes"
        note(task.pipeline, now, task.run_id, "dataset versioned", detail)
    catalog.update(keys.run_key(task.pipeline, task.run_id), {"dataset_version": manifest.version})


def _was_built(task: BuildTask, dataset_version: str) -> bool:
    """Whether another run has come to a conclusion on the same data with the same project."""
    runs = wiring.catalog().query(keys.partition(task.pipeline), "RUN#")
    return any(
        run["status"] in _CONCLUSIVE
        and run["project_version"] == task.project_version
        and run.get("dataset_version") == dataset_version
        for run in runs
    )
