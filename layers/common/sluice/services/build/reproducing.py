"""Plan a run that repeats another by its manifest, and compare the two when it has a model."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sluice.catalog.changes import builds
from sluice.catalog.records.builds import Run, Step
from sluice.domain import wording
from sluice.domain.build import archives, gates, reproduction
from sluice.domain.build.errors import DatasetChangedError
from sluice.domain.build.reproduction import Comparison
from sluice.domain.failures import MissingError
from sluice.domain.locations import bucket_and_key
from sluice.services import building
from sluice.services.data import datasets
from sluice.services.side_by_side import on_each

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluice.domain.data.datasets import ObjectVersion
    from sluice.ports import Cloud


# Objects that a function copies in its time.
RESTORED_MAX = 10_000
# No object's key, as those begin with the pipeline.
_FILES = "files.manifest"
_KEYS_SHOWN = 5


def read_manifest(cloud: Cloud, pipeline: str, run_id: str) -> dict[str, Any]:
    """Return the manifest of a run as it was written; raises MissingError if it is gone or was changed."""
    run = building.find_run(cloud, pipeline, run_id)
    if run is None or run.manifest_uri is None:
        raise MissingError(f"{run_id} registered no model, so it has no manifest to go by")
    document: dict[str, Any] = json.loads(building.read_manifest(cloud, run))
    return document


def plan(cloud: Cloud, pipeline: str, run_id: str, tolerance: float) -> Run:
    """Return a run with the project, data and chosen hyperparameters of another; raises MissingError."""
    document = read_manifest(cloud, pipeline, run_id)
    version = document["inputs"]["project_version"]
    building.find_project(cloud, pipeline, version)
    return Run(
        pipeline,
        "",
        "running",
        version,
        cause=f"reproduction of {run_id}",
        overrides=reproduction.overrides(document),
        given_dataset=document["inputs"]["dataset_version"],
        is_uncached=True,
        reproduces=run_id,
        tolerance=tolerance,
    )


def restore(cloud: Cloud, run: Run, version: str) -> str:
    """Copy the object versions of a data set to a place of the run's own; returns the list that a job reads.

    Jobs read objects by key, which may have another version by now. Raises DatasetChangedError.
    """
    objects = datasets.find_manifest(cloud, run.pipeline, version).objects
    if len(objects) > RESTORED_MAX:
        raise DatasetChangedError(
            f"objects of the data set {version[:12]} have changed, and of {len(objects):,} objects the "
            f"earlier versions cannot be put together again: of at most {RESTORED_MAX}"
        )
    folder = building.locations(cloud, run.pipeline).restored(run.run_id)
    gone = [key for key in on_each(objects, lambda obj: _restore(cloud, obj, folder)) if key]
    if gone:
        shown = ", ".join(gone[:_KEYS_SHOWN])
        raise DatasetChangedError(
            f"the data set {version[:12]} lacks {wording.count(len(gone), 'object')} by now: {shown}"
        )
    uri = f"{folder}{_FILES}"
    files = [{"prefix": folder}, *(obj.key for obj in objects)]
    cloud.objects.write(uri, json.dumps(files).encode(), "application/json")
    return uri


def _restore(cloud: Cloud, obj: ObjectVersion, folder: str) -> str | None:
    """Copy an object version; returns its key if it is gone."""
    head = cloud.objects.head(cloud.data_bucket, obj.key, obj.version_id)
    if head is None:
        return obj.key
    cloud.objects.copy(head, f"{folder}{obj.key}")
    return None


def compare(cloud: Cloud, run: Run, evaluation: Mapping[str, Any]) -> Comparison:
    """Compare a reproduction's model and evaluation with the original's, and record what was found."""
    document = read_manifest(cloud, run.pipeline, str(run.reproduces))
    (original,) = (each["uri"] for each in document["artifacts"] if each["name"] == "model")
    found = reproduction.compare(
        (_files(cloud, original), _files(cloud, _model_uri(cloud, run))),
        (gates.metric_values(document["evaluation"]), gates.metric_values(evaluation)),
        reproduction.TOLERANCE if run.tolerance is None else run.tolerance,
    )
    now = cloud.now()
    step = Step(
        run.run_id,
        reproduction.STEP,
        "Completed",
        "comparison",
        started_at=now,
        ended_at=now,
        detail={**asdict(found), "original": run.reproduces},
    )
    cloud.catalog.apply(builds.record_step(step))
    return found


def _model_uri(cloud: Cloud, run: Run) -> str:
    """Return the model of the one candidate that a reproduction trains, or that its pipeline registered."""
    steps = building.find_steps(cloud, run.run_id)
    registered = [step.detail["model_uri"] for step in steps if "model_uri" in (step.detail or {})]
    trained = [*registered, *(step.model_uri for step in steps if step.model_uri)]
    if not trained:
        raise MissingError(f"{run.run_id} trained no model")
    return str(trained[0])


def _files(cloud: Cloud, uri: str) -> dict[str, str]:
    bucket, key = bucket_and_key(uri)
    return archives.contents(cloud.objects.chunks(bucket, key))


def outcome(cloud: Cloud, run: Run) -> tuple[reproduction.Verdict, list[str]] | None:
    """Return how a reproduction ended, by its comparison; None if there was none."""
    step = building.find_step(cloud, run.run_id, reproduction.STEP)
    return None if step is None else (step.detail["verdict"], list(step.detail["reasons"]))
