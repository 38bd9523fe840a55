"""Model and RegisterModel steps: a model, and a version in the registry."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from sluice_local.sagemaker.api.core import ApiError, Item
from sluice_local.sagemaker.pipelines.access import call
from sluice_local.sagemaker.pipelines.work.task import Task


def create(task: Task) -> Any:
    """Create a model; returns its description."""
    request = task.arguments
    name = task.name(request.get("ModelName"))
    created = call(task.scope, task.role, "CreateModel", {**request, "ModelName": name})
    task.tell({"Model": {"Arn": created["ModelArn"]}})
    return call(task.scope, task.role, "DescribeModel", {"ModelName": name})


def register(task: Task) -> Any:
    """Register a model package, in a group that is made if there is none; returns its description."""
    request = task.arguments
    if group := request.get("ModelPackageGroupName"):
        _make_group(task, group, request.pop("Tags", None))
    arn = call(task.scope, task.role, "CreateModelPackage", request)["ModelPackageArn"]
    task.tell({"RegisterModel": {"Arn": arn}})
    return call(task.scope, task.role, "DescribeModelPackage", {"ModelPackageName": arn})


def _make_group(task: Task, group: str, tags: list[Item] | None) -> None:
    """Make the group, with the tags of the step: versions have none."""
    name = group.rpartition("/")[2]
    with suppress(ApiError):
        call(task.scope, task.role, "DescribeModelPackageGroup", {"ModelPackageGroupName": name})
        return
    call(task.scope, task.role, "CreateModelPackageGroup", {"ModelPackageGroupName": name, "Tags": tags})
