"""What is told of a tuning job: its training jobs, how many are in which state, and the best."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sluice_local.sagemaker.api.core import Item, Scope, Table
from sluice_local.sagemaker.jobs.training import TRAINING
from sluice_local.sagemaker.jobs.tuning import requests, warm

_COPIED = (
    *("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingStartTime", "TrainingEndTime"),
    *("TrainingJobStatus", "FailureReason", "LastModifiedTime"),
)
_UNDER_WAY = ("InProgress", "Stopping")


def summaries(scope: Scope, tuning: Item) -> list[Item]:
    """Return its training jobs, in order of their creation."""
    jobs = (TRAINING.table.find(scope, name) for name in tuning["_TrainingJobNames"])
    return [_summary(tuning, job) for job in jobs if job]


def _summary(tuning: Item, job: Item) -> Item:
    summary = {name: job[name] for name in _COPIED if name in job}
    objective = job["_Objective"]
    value = objective_value(job)
    if value is not None:
        summary["FinalHyperParameterTuningJobObjectiveMetric"] = {**objective, "Value": value}
    if job["TrainingJobStatus"] in _UNDER_WAY:
        status = "Pending"
    else:
        status = "Failed" if value is None else "Succeeded"
    return {
        **summary,
        "TrainingJobDefinitionName": job.get("_DefinitionName"),
        "TuningJobName": tuning["HyperParameterTuningJobName"],
        "TunedHyperParameters": job["_Tuned"],
        "ObjectiveStatus": status,
    }


def objective_value(job: Item) -> float | None:
    """Return the last value of a training job's objective, once the job has ended."""
    found = {metric["MetricName"]: metric["Value"] for metric in job.get("FinalMetricDataList", [])}
    value: float | None = found.get(job["_Objective"]["MetricName"])
    return value


def parents(scope: Scope, request: Item, table: Table) -> list[Item]:
    """Return the tuning jobs, of their table, that a request starts from, as far as they are there."""
    found = (table.find(scope, name) for name in warm.parent_names(request))
    return [parent for parent in found if parent]


def evaluated(scope: Scope, searches: Sequence[Item]) -> list[Item]:
    """Return the training jobs of tuning jobs that have a value of the objective."""
    names = (name for search in searches for name in search["_TrainingJobNames"])
    jobs = (TRAINING.table.find(scope, name) for name in names)
    return [job for job in jobs if job and objective_value(job) is not None]


def loss_of(job: Item) -> float:
    """Return the objective's value of an evaluated training job so that less is better."""
    return requests.loss({"TuningObjective": job["_Objective"]}, objective_value(job) or 0.0)


def ranked(found: Sequence[Item]) -> list[Item]:
    """Return the training jobs that have an objective's value, the best first."""
    judged = [item for item in found if "FinalHyperParameterTuningJobObjectiveMetric" in item]
    return sorted(judged, key=lambda item: _loss(item["FinalHyperParameterTuningJobObjectiveMetric"]))


def _loss(metric: Item) -> float:
    return requests.loss({"TuningObjective": metric}, metric["Value"])


def described(scope: Scope, tuning: Item, table: Table) -> Item:
    """Return the description, with all that its training jobs make of it."""
    found = summaries(scope, tuning)
    best = next(iter(ranked(found)), None)
    of_parents = [each for parent in parents(scope, tuning, table) for each in summaries(scope, parent)]
    overall = next(iter(ranked([*of_parents, *found])), None)
    ended = [job for job in found if {"TrainingStartTime", "TrainingEndTime"} <= job.keys()]
    run_s = sum(job["TrainingEndTime"] - job["TrainingStartTime"] for job in ended)
    return {
        **tuning,
        **counters(found),
        "BestTrainingJob": best,
        "OverallBestTrainingJob": overall if "WarmStartConfig" in tuning else None,
        "ConsumedResources": {"RuntimeInSeconds": round(run_s)},
    }


def counters(found: Sequence[Item]) -> Item:
    """Count training jobs by their status and by that of their objective."""
    statuses = Counter(item["TrainingJobStatus"] for item in found)
    objectives = Counter(item["ObjectiveStatus"] for item in found)
    return {
        "TrainingJobStatusCounters": {
            "Completed": statuses["Completed"],
            "InProgress": sum(statuses[status] for status in _UNDER_WAY),
            "RetryableError": 0,
            "NonRetryableError": statuses["Failed"],
            "Stopped": statuses["Stopped"],
        },
        "ObjectiveStatusCounters": {name: objectives[name] for name in ("Succeeded", "Pending", "Failed")},
    }
