"""Show recalls: which live models were trained with an object, and what became of a recall."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.recalls import Recall
from sluice.catalog.records.releases import PENDING, Package
from sluice.domain.failures import MissingError
from sluice.domain.release import packages
from sluice.ports import Cloud
from sluice.services import building
from sluice.services.data import datasets, recalling, tracing
from sluice.services.views import lineage, models, stages

# So many objects of a live model's data set are named; the count says how many there are.
_SHOWN = 20


def contents(cloud: Cloud, pipeline: str, key: str) -> list[str]:
    """Return the sha256 of all versions of a key that arrived."""
    return sorted({each.sha256 for each in tracing.object_versions(cloud, pipeline, key) if each.sha256})


def live_models(cloud: Cloud, key: str, contents: Collection[str]) -> list[dict[str, Any]]:
    """List the models of all pipelines that serve and were trained with an object, by its key or its content.

    `problem` says why it is not known of one.
    """
    names = [item["gsi1sk"] for item in cloud.catalog.listing(keys.PIPELINES)]
    rows = [_row(pipeline, stage) for pipeline in names for stage in stages.stages(cloud, pipeline)]
    found = [_trained(cloud, row, key, contents) for row in rows if row["arn"]]
    return [row for row in found if row["objects"] or row["problem"]]


def _row(pipeline: str, stage: dict[str, Any]) -> dict[str, Any]:
    return {
        "pipeline": pipeline,
        "stage": stage["stage"],
        "endpoint_name": stage["endpoint_name"],
        "arn": stage["live_package_arn"],
    }


def _trained(cloud: Cloud, row: dict[str, Any], key: str, contents: Collection[str]) -> dict[str, Any]:
    row |= {"model": models.model_name(cloud, row["pipeline"], row["arn"]), "objects": [], "problem": None}
    try:
        _, run, stored = lineage.find_manifest(cloud, row["arn"])
        version = json.loads(stored)["inputs"]["dataset_version"]
        manifest = datasets.find_manifest(cloud, row["pipeline"], version)
    except (MissingError, *datasets.UNREADABLE) as error:
        return {**row, "problem": f"what it was trained with is not known: {error}"}
    held = recalling.holders(manifest.objects, key, contents)
    return {
        **row,
        "run_id": run.run_id,
        "dataset_version": version,
        "objects": held[:_SHOWN],
        "objects_total": len(held),
    }


def recalled_in(
    cloud: Cloud, pipeline: str, run_id: str | None, found: Sequence[Recall] | None = None
) -> list[str]:
    """Return the keys of recalled objects that a run's data set has; none of one that is not known.

    `found` are the pipeline's recalls, if they were read before.
    """
    found = recalling.find(cloud, pipeline) if found is None else found
    run = building.find_run(cloud, pipeline, run_id) if run_id and found else None
    if run is None or run.dataset_version is None:
        return []
    try:
        return recalling.held_in(cloud, pipeline, run.dataset_version, recalling.since(found, run.started_at))
    except (MissingError, *datasets.UNREADABLE):
        return []


def recalled_since(cloud: Cloud, pipeline: str, run_id: str | None, found: Sequence[Recall]) -> list[str]:
    """Return the keys that were recalled since a run began, which its data set may hold: it is not read."""
    run = building.find_run(cloud, pipeline, run_id) if run_id and found else None
    later = recalling.since(found, run.started_at) if run else []
    return [*dict.fromkeys(each.key for each in sorted(later, key=lambda each: each.at))]


def recalls(cloud: Cloud, found: Iterable[Recall]) -> list[dict[str, Any]]:
    """List recalls that ask something of a person: no model was built without it, or that one waits."""
    rows: dict[str, dict[str, Any]] = {}
    for recall in found:
        if _is_open(cloud, recall):
            row = rows.setdefault(recall.request_id, _described(cloud, recall))
            row["contents"].append(recall.sha256)
    return sorted(rows.values(), key=lambda row: str(row["at"]))


def unsettled(found: Iterable[Recall], newest: Iterable[Mapping[str, Any]]) -> list[Recall]:
    """Return recalls but for those whose model came before an approved one, which is without the object too.

    `newest` are versions as `models.undecided` lists them.
    """
    decided = next((row for row in newest if row["approval_status"] != PENDING), None)
    if decided is None or decided["approval_status"] != "Approved":
        return [*found]
    group, version = decided["group"], decided["version"]
    return [each for each in found if not _is_before(each.package_arn, group, version)]


def _is_before(arn: str | None, group: str, version: int) -> bool:
    return arn is not None and packages.group_of(arn) == group and int(arn.rpartition("/")[2]) < version


def _is_open(cloud: Cloud, recall: Recall) -> bool:
    if recall.status == "open" or recall.package_arn is None:
        return True
    item = cloud.catalog.get(keys.package_key(recall.package_arn))
    return item is not None and Package.of(item).approval_status is None


def _described(cloud: Cloud, recall: Recall) -> dict[str, Any]:
    return {
        "key": recall.key,
        "status": recall.status,
        "at": recall.at,
        "actor": recall.actor,
        "reason": recall.reason,
        "run_id": recall.run_id,
        "model": models.model_name(cloud, recall.pipeline, recall.package_arn),
        "contents": [],
    }
