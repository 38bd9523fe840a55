"""Show where a model came from, and what came from a data set version or an object."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.builds import Run
from sluice.catalog.records.releases import Approval, Package
from sluice.domain.build import candidates
from sluice.domain.data.segments import DatasetHead
from sluice.domain.failures import MissingError
from sluice.ports import Cloud
from sluice.services import building
from sluice.services.data import datasets, tracing
from sluice.services.side_by_side import on_each
from sluice.services.views import models, stages

# So many objects of a data set are shown, and so many champions that each replaced the one before.
OBJECTS_SHOWN = 20
_ANCESTORS_MAX = 10


def find_run(cloud: Cloud, arn: str) -> tuple[Package, Run]:
    """Return a version's item and its run, which wrote a run manifest; raises MissingError."""
    item = cloud.catalog.get(keys.package_key(arn))
    package = Package.of(item) if item else None
    if package is None or package.pipeline is None or package.run_id is None:
        raise MissingError(f"{arn} was not registered by a run of this stack, so it has no run manifest")
    run = building.find_run(cloud, package.pipeline, package.run_id)
    if run is None or run.manifest_uri is None:
        raise MissingError(f"{package.run_id} ran under a version of Sluice that wrote no run manifest")
    return package, run


def find_manifest(cloud: Cloud, arn: str) -> tuple[Package, Run, bytes]:
    """Return a version's item, its run, and the run manifest as it was written; raises MissingError."""
    package, run = find_run(cloud, arn)
    return package, run, building.read_manifest(cloud, run)


def model(cloud: Cloud, arn: str) -> dict[str, Any]:
    """Return what a version was made of, by its run manifest, and where it serves; raises MissingError."""
    package, run, stored = find_manifest(cloud, arn)
    document, pipeline = json.loads(stored), str(package.pipeline)
    inputs = document["inputs"]
    return {
        **_model(cloud, pipeline, run, stages.stages(cloud, pipeline)),
        "pipeline": pipeline,
        "manifest": {
            "uri": run.manifest_uri,
            "sha256": run.manifest_sha256,
            "format": document["format"],
        },
        "run": {
            "run_id": run.run_id,
            "status": run.status,
            "cause": document.get("cause"),
            "actor": document.get("actor"),
            "started_at": run.started_at,
            "ended_at": run.ended_at,
        },
        "dataset": _dataset(cloud, pipeline, inputs),
        "project": {
            "version": inputs["project_version"],
            "bundle_uri": inputs["bundle_uri"],
            "source": inputs.get("source") or {},
            "framework": document.get("framework"),
            "artifacts": _artifacts(document, "push", "register_project"),
        },
        "parameters": document["parameters"],
        "overrides": document.get("overrides") or {},
        "candidate": document["candidate"],
        "steps": [_step(each, document) for each in candidates.in_order(document["steps"])],
        "environments": document.get("environments") or [],
        "image": {"uri": document["serving"]["container"]["Image"], "digest": run.image_digest},
        "metrics": document["evaluation"].get("metrics", {}),
        "champions": _champions(cloud, pipeline, document.get("champion")),
    }


def _dataset(cloud: Cloud, pipeline: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    version = inputs["dataset_version"]
    objects, added = _some_objects(cloud, pipeline, version)
    return {
        "version": version,
        "parent": added,
        "objects": inputs["dataset_objects"],
        "rows": inputs["dataset_rows"],
        "size_bytes": inputs["dataset_size_bytes"],
        "shown": objects,
    }


def _some_objects(
    cloud: Cloud, pipeline: str, version: str
) -> tuple[list[dict[str, Any]] | None, str | None]:
    """Return the first objects of a version, new ones first, and its parent; none if its list is lost."""
    try:
        head = datasets.find_head(cloud, pipeline, version)
        if head is None:
            found = datasets.find_manifest(cloud, pipeline, version).objects
            return [asdict(obj) for obj in found[:OBJECTS_SHOWN]], None
        return [*_first_objects(cloud, pipeline, head)], head.parent
    except datasets.UNREADABLE:
        return None, None


def _first_objects(cloud: Cloud, pipeline: str, head: DatasetHead) -> list[dict[str, Any]]:
    """Read as many segments as the shown objects need, those that the version added first."""
    found: dict[str, dict[str, Any]] = {}
    for digest in dict.fromkeys([*head.added, *(each.digest for each in head.segments)]):
        if len(found) >= OBJECTS_SHOWN:
            break
        for file in datasets.read_segments(cloud, pipeline, [digest]).values():
            found |= {obj.key: {**asdict(obj), "is_new": digest in head.added} for obj in file.objects()}
    return [*found.values()][:OBJECTS_SHOWN]


def _step(step: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    shown = ("step", "kind", "status", "job_name", "image", "backend", "started_at", "ended_at", "metrics")
    return {
        **{name: step[name] for name in (*shown, "cached") if step.get(name) is not None},
        "artifacts": _artifacts(document, step["step"]),
    }


def _artifacts(document: Mapping[str, Any], *steps: str) -> list[dict[str, Any]]:
    """Return what steps produced; an evaluation is both an artifact of its own and a file of its job."""
    shown = ("name", "uri", "sha256", "size_bytes")
    found: dict[str, dict[str, Any]] = {}
    for each in document["artifacts"]:
        if each["step"] in steps:
            found.setdefault(each["uri"], {name: each.get(name) for name in shown})
    return [*found.values()]


def _champions(cloud: Cloud, pipeline: str, champion: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return the version that this one was compared with, the one that that was compared with, and so on."""
    found, seen = list[dict[str, Any]](), set[str]()
    while champion and (arn := champion.get("package_arn")) and arn not in seen:
        seen.add(arn)
        row = {"model": models.model_name(cloud, pipeline, arn), "arn": arn, "stage": champion.get("stage")}
        champion = None
        try:
            _, run, stored = find_manifest(cloud, arn)
            document = json.loads(stored)
            row |= {"run_id": run.run_id, "dataset_version": document["inputs"]["dataset_version"]}
            champion = document.get("champion")
        except MissingError as error:
            row["problem"] = str(error)
        found.append(row)
        if len(found) == _ANCESTORS_MAX:
            break
    return found


def _model(cloud: Cloud, pipeline: str, run: Run, serving: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the version that a run registered, the decision about it, and where it is live."""
    arn = str(run.model_package_arn)
    item = cloud.catalog.get(keys.package_key(arn))
    package = Package.of(item) if item else Package(arn)
    epoch = keys.approval_key(arn, package.epoch) if package.epoch else None
    decided = cloud.catalog.get(epoch) if epoch else None
    approval = Approval.of(decided) if decided else None
    row = {"arn": arn, "run_id": run.run_id}
    return {
        "model": models.model_name(cloud, pipeline, arn),
        "arn": arn,
        "approval_status": package.status,
        "approver": approval.approver if approval else None,
        "reason": approval.reason if approval else None,
        "live_on": [
            {name: stage[name] for name in ("stage", "endpoint_name", "promoted_at")}
            for stage in serving
            if models.is_live(row, stage)
        ],
    }


def dataset(cloud: Cloud, pipeline: str, version: str) -> dict[str, Any]:
    """Return what came from a data set version: runs, models and endpoints."""
    objects, parent = _some_objects(cloud, pipeline, version)
    return {
        "pipeline": pipeline,
        "dataset_version": version,
        "parent": parent,
        "shown": objects,
        "runs": _runs(cloud, pipeline, [version])[version],
        "is_indexed": tracing.is_indexed(cloud, pipeline),
    }


def _runs(cloud: Cloud, pipeline: str, versions: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the runs that read each version, each with the model that it registered."""
    serving = stages.stages(cloud, pipeline)
    found = tracing.readers(cloud, pipeline, versions)
    runs = [run for each in found.values() for run in each]
    rows = iter(on_each(runs, lambda run: _run(cloud, pipeline, run, serving)))
    return {version: [next(rows) for _ in each] for version, each in found.items()}


def _run(cloud: Cloud, pipeline: str, run: Run, serving: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "status": run.status,
        "started_at": run.started_at,
        "model": _model(cloud, pipeline, run, serving) if run.model_package_arn else None,
    }


def of_object(
    cloud: Cloud, pipeline: str, key: str, after: str | None = None, limit: int = tracing.PAGE
) -> dict[str, Any]:
    """Return what came from the objects of a key, oldest first: versions, runs, models and endpoints."""
    came = tracing.object_versions(cloud, pipeline, key)
    page = tracing.holding(cloud, pipeline, key, after=after, limit=limit)
    runs = _runs(cloud, pipeline, [each.dataset_version for each in page.found])
    return {
        "pipeline": pipeline,
        "key": key,
        "object_versions": [
            {
                "version_id": arrival.version_id,
                "sha256": arrival.sha256 or None,
                "size_bytes": arrival.size_bytes,
                "status": arrival.status,
                "reason": arrival.reason or None,
                "arrived_at": arrival.arrived_at,
            }
            for arrival in came
        ],
        "dataset_versions": [
            {
                "dataset_version": each.dataset_version,
                "created_at": each.created_at,
                "version_id": each.held.version_id,
                "sha256": each.held.sha256,
                "runs": runs[each.dataset_version],
            }
            for each in page.found
        ],
        "missing": [*page.missing],
        "next_after": page.after,
        "is_indexed": tracing.is_indexed(cloud, pipeline),
    }
