"""Give a step the results of an earlier execution of its pipeline, if its CacheConfig wants them."""

from __future__ import annotations

from sluice_local.sagemaker.api.core import Item, now
from sluice_local.sagemaker.pipelines import access, contents, stored
from sluice_local.sagemaker.pipelines.definition.caching import cache_key
from sluice_local.sagemaker.pipelines.definition.checks import PROPERTIES
from sluice_local.sagemaker.pipelines.stored import CACHE
from sluice_local.sagemaker.pipelines.work import checks
from sluice_local.sagemaker.pipelines.work.task import Task


def entry(task: Task) -> str | None:
    """Return the name under which the step's results are kept, by what it is told; None without a cache.

    Raises ResolutionError, and ApiError if a check's baseline cannot be looked up.
    """
    if not task.step.cache.enabled:
        return None
    storage = access.own_storage(task.scope)  # AWS compares words, for which no role needs rights
    told = {"Arguments": task.step.arguments, **task.step.own}
    if task.step.type in PROPERTIES:  # the definition does not tell a check which baseline its group has now
        told["Baseline"] = checks.baseline(task)
    key = cache_key(task.step.type, told, task.values, lambda uri: contents.digest(storage, uri))
    return f"{stored.pipeline_of(task.execution['PipelineExecutionName'])}/{task.step.name}/{key}"


def find(task: Task, name: str | None) -> Item | None:
    """Return the results that the step may use, as changes of it; None if there are none."""
    kept, oldest_s = CACHE.find(task.scope, name) if name else None, task.step.cache.expire_after_s
    if kept is None or (oldest_s is not None and now() - kept["CreationTime"] > oldest_s):
        return None
    return {name: kept[name] for name in ("Metadata", "CacheHitResult", "_Properties")}


def keep(task: Task, name: str | None, step: Item) -> None:
    """Keep what a step that succeeded gave, for later executions."""
    if name:
        source = {"SourcePipelineExecutionArn": task.execution["PipelineExecutionArn"]}
        kept = {"Metadata": step["Metadata"], "_Properties": step["_Properties"], "CacheHitResult": source}
        CACHE.replace(task.scope, name, kept)
