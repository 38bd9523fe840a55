"""Find what training jobs reported, and add metrics that their logs lacked, from their metrics.json."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.catalog.changes import builds
from sluice.catalog.records.builds import Step
from sluice.domain import names
from sluice.domain.build import metrics_file, selection
from sluice.domain.build.metrics_file import Reported
from sluice.domain.build.selection import Trained
from sluice.domain.locations import bucket_and_key
from sluice.ports import Cloud
from sluice.services.building import COMPLETED

if TYPE_CHECKING:
    from sluice.domain.config.models import Train


def find_trained(cloud: Cloud, run_id: str, planned: Iterable[str]) -> list[Trained]:
    """Return what is recorded of candidates' training jobs, in the order of their names."""
    steps = [f"{names.TRAIN}{name}" for name in planned]
    found = zip(steps, cloud.catalog.get_all([keys.step_key(run_id, step) for step in steps]), strict=True)
    return [Trained.of(Step.of(item)) if item else Trained(step) for step, item in found]


def complete(cloud: Cloud, run_id: str, train: Train, candidate: Trained) -> Trained:
    """Return a candidate with the metrics that its job's log lacked, which are also recorded with its step.

    `metrics_problem` says where a metric that is missing still was looked for. A job whose log had all is not
    looked into.
    """
    lacking = [metric for metric in train.metrics if metric.name not in candidate.metrics]
    if candidate.status != COMPLETED or not lacking:
        return candidate
    reported = _read(cloud, str(candidate.model_uri), [metric.name for metric in lacking])
    metrics = {**candidate.metrics, **reported.metrics}
    objective = train.candidates.objective
    problem = None if objective in metrics else selection.unreported(train, objective, reported.problem)
    if reported.metrics:
        cloud.catalog.apply(builds.measure_step(run_id, candidate.step, metrics, reported.problem))
    return replace(candidate, metrics=metrics, metrics_problem=problem)


def _read(cloud: Cloud, model_uri: str, wanted: list[str]) -> Reported:
    """Read the file from the archive beside the job's model."""
    bucket, model_key = bucket_and_key(model_uri)
    key = f"{model_key.rpartition('/')[0]}/{metrics_file.ARCHIVE}"
    if cloud.objects.head(bucket, key) is None:
        return Reported(problem=f"the script wrote no {metrics_file.PATH}")
    return metrics_file.read(cloud.objects.chunks(bucket, key), wanted)
