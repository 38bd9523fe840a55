"""Complete what training jobs reported: metrics that their logs lacked, from their metrics.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sluice.catalog.changes import builds
from sluice.domain.build import metrics_file, selection
from sluice.domain.build.metrics_file import Reported
from sluice.ports import Cloud, Item
from sluice.services.building import COMPLETED

if TYPE_CHECKING:
    from sluice.domain.config.models import Train


def complete(cloud: Cloud, run_id: str, train: Train, result: Item) -> Item:
    """Return a job result with the metrics that its log lacked, which are also recorded with its step.

    `metrics_problem` says where a metric that is missing still was looked for. A job whose log had all is not
    looked into.
    """
    metrics: dict[str, Any] = dict(result.get("metrics") or {})
    lacking = [metric for metric in train.metrics if metric.name not in metrics]
    if result.get("status") != COMPLETED or not lacking:
        return result
    reported = _read(cloud, str(result["model_uri"]), [metric.name for metric in lacking])
    metrics |= reported.metrics
    objective = train.candidates.objective
    problem = None if objective in metrics else selection.unreported(train, objective, reported.problem)
    if reported.metrics:
        cloud.catalog.apply(builds.measure_step(run_id, result["step"], metrics, reported.problem))
    return {**result, "metrics": metrics, "metrics_problem": problem}


def _read(cloud: Cloud, model_uri: str, wanted: list[str]) -> Reported:
    """Read the file from the archive beside the job's model."""
    bucket, _, model_key = model_uri.removeprefix("s3://").partition("/")
    key = f"{model_key.rpartition('/')[0]}/{metrics_file.ARCHIVE}"
    if cloud.objects.head(bucket, key) is None:
        return Reported(problem=f"the script wrote no {metrics_file.PATH}")
    return metrics_file.read(cloud.objects.chunks(bucket, key), wanted)
