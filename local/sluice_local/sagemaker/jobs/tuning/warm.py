"""Warm starts: a search goes on from what earlier tuning jobs, its parents, have tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sluice_local.sagemaker.api.core import ApiError, Item
from sluice_local.sagemaker.jobs.tuning import requests, space
from sluice_local.sagemaker.jobs.tuning.space import Point

_IDENTICAL = "IdenticalDataAndAlgorithm"
_UNDER_WAY = ("InProgress", "Stopping")
# So many points in a row that parents have tried mean that there are no others.
_PATIENCE = 100


def parent_names(request: Item) -> list[str]:
    """Return the names of the parents; none without a WarmStartConfig."""
    parents = (request.get("WarmStartConfig") or {}).get("ParentHyperParameterTuningJobs", [])
    return [parent["HyperParameterTuningJobName"] for parent in parents]


def check(request: Item, parents: Sequence[Item]) -> None:
    """Raise ApiError for a warm start that cannot be made from these parents."""
    if not parents:
        return
    if request["WarmStartConfig"]["WarmStartType"] != _IDENTICAL:
        raise _invalid(
            "The local SageMaker has no WarmStartType TransferLearning: it draws points at random or takes "
            "them from a grid, and neither learns from other data. Use "
            f"{_IDENTICAL}, or leave WarmStartConfig out."
        )
    for parent in parents:
        name = parent["HyperParameterTuningJobName"]
        if parent["HyperParameterTuningJobStatus"] in _UNDER_WAY:
            raise _invalid(f"The parent {name} of WarmStartConfig has not ended.")
        if _objectives(parent) != _objectives(request):
            raise _invalid(f"The objective metric must be the one of the parent {name} of WarmStartConfig.")
        if not _counts(request) <= _counts(parent):
            raise _invalid(
                f"The number of static and tunable hyperparameters must be the one of the parent {name} of "
                "WarmStartConfig."
            )


def _objectives(request: Item) -> set[tuple[str, str]]:
    found = (each["TuningObjective"] for each in requests.definitions(request))
    return {(objective["Type"], objective["MetricName"]) for objective in found}


def _counts(request: Item) -> set[int]:
    return {
        len(each.get("StaticHyperParameters", {})) + len(space.read(each["HyperParameterRanges"]))
        for each in requests.definitions(request)
    }


def untried(points: Iterator[tuple[Item, Point]], tried: Sequence[Item]) -> Iterator[tuple[Item, Point]]:
    """Yield the points that no training job of the parents was evaluated at, until there are no more."""
    in_a_row = 0
    for definition, point in points:
        if any(_is_same(definition, point, job) for job in tried):
            in_a_row += 1
            if in_a_row == _PATIENCE:
                return
            continue
        in_a_row = 0
        yield definition, point


def _is_same(definition: Item, point: Point, job: Item) -> bool:
    """Tell whether a training job had a point's values; what is static here may have been tuned there."""
    here: Mapping[str, Any] = {**definition.get("StaticHyperParameters", {}), **point}
    there = job["HyperParameters"]
    return all(here.get(name) == there.get(name) for name in {**point, **job["_Tuned"]})


def _invalid(message: str) -> ApiError:
    return ApiError("ValidationException", message)
