"""Implement the operations on jobs of every kind; each kind brings its Create."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sluice_local.sagemaker.api.core import ApiError, Item, Scope, operation
from sluice_local.sagemaker.api.listing import list_page
from sluice_local.sagemaker.containers.container import isolation
from sluice_local.sagemaker.jobs import capacity, lifecycle
from sluice_local.sagemaker.jobs.lifecycle import JobKind
from sluice_local.sagemaker.jobs.processing import PROCESSING
from sluice_local.sagemaker.jobs.training import TRAINING
from sluice_local.sagemaker.jobs.transform import TRANSFORM
from sluice_local.sagemaker.jobs.tuning import views
from sluice_local.sagemaker.jobs.tuning.running import TUNING
from sluice_local.settings import Settings

_KINDS = (TRAINING, PROCESSING, TRANSFORM, TUNING)


def install(settings: Settings) -> None:
    """Get ready to run jobs, and register their operations."""
    lifecycle.start(settings)
    isolation()  # find out now, so that no job has to wait
    for kind in _KINDS:
        operation(f"Describe{kind.noun}Job")(_describe(kind))
        operation(f"List{kind.noun}Jobs")(_list(kind))
        operation(f"Stop{kind.noun}Job")(_stop(kind))
    operation("DescribeHyperParameterTuningJob")(_describe_tuning)
    for kind in (TRAINING, PROCESSING, TUNING):  # AWS cannot delete transform jobs
        operation(f"Delete{kind.noun}Job")(_delete(kind))


def fail_unfinished(reason: str) -> list[str]:
    """Fail the jobs of all kinds that no process runs any more; returns their names."""
    return [name for kind in _KINDS for name in lifecycle.fail_unfinished(kind, reason)]


Operation = Callable[[Scope, dict[str, Any]], Item | None]


def _describe(kind: JobKind) -> Operation:
    return lambda scope, params: capacity.described(kind.table.get(scope, params[kind.name_key]))


def _describe_tuning(scope: Scope, params: dict[str, Any]) -> Item:
    return views.described(scope, TUNING.table.get(scope, params[TUNING.name_key]), TUNING.table)


def _list(kind: JobKind) -> Operation:
    def listed(scope: Scope, params: dict[str, Any]) -> Item:
        key = f"{kind.noun}JobSummaries"
        page = list_page(
            kind.table.values(scope),
            params,
            result_key=key,
            name_key=kind.name_key,
            status_key=kind.status_key,
            descending=True,
        )
        if kind is TUNING:
            page[key] = [_tuning_summary(scope, item) for item in page[key]]
        return page

    return listed


def _tuning_summary(scope: Scope, item: Item) -> Item:
    config = item["HyperParameterTuningJobConfig"]
    counted = views.counters(views.summaries(scope, item))
    return {
        **item,
        **counted,
        "Strategy": config["Strategy"],
        "ResourceLimits": config["ResourceLimits"],
    }


@operation("ListTrainingJobsForHyperParameterTuningJob")
def list_training_jobs_for_hyper_parameter_tuning_job(scope: Scope, params: dict[str, Any]) -> Item:
    found = views.summaries(scope, TUNING.table.get(scope, params[TUNING.name_key]))
    if params.get("SortBy") == "FinalObjectiveMetricValue":
        # Jobs without a value are not listed, says the model.
        metric = "FinalHyperParameterTuningJobObjectiveMetric"
        found = [
            {**item, "FinalObjectiveMetricValue": item[metric]["Value"]} for item in found if metric in item
        ]
    return list_page(
        found,
        params,
        result_key="TrainingJobSummaries",
        name_key="TrainingJobName",
        status_key="TrainingJobStatus",
        descending=True,
    )


def _stop(kind: JobKind) -> Operation:
    def stop(scope: Scope, params: dict[str, Any]) -> None:
        item = kind.table.get(scope, params[kind.name_key])
        if (job := kind.running.get((scope, item[kind.name_key]))) is None:
            raise lifecycle.rejected(kind, item[kind.status_key])
        job.stop()

    return stop


def _delete(kind: JobKind) -> Operation:
    def delete(scope: Scope, params: dict[str, Any]) -> None:
        if (item := kind.table.find(scope, params[kind.name_key])) is None:
            raise ApiError("ResourceNotFound", "Requested resource not found.")
        name = item[kind.name_key]
        if (scope, name) in kind.running:
            raise ApiError("ResourceInUse", f"The {kind.noun.lower()} job {name} has not ended yet.")
        kind.table.delete(scope, name)

    return delete
