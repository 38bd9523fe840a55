"""The model registry: groups of model packages, and the policies on groups."""

from __future__ import annotations

import json
import threading
from typing import Any

from sluice_local.sagemaker.api.core import ApiError, Item, Scope, Table, operation
from sluice_local.sagemaker.api.iam import CALLER
from sluice_local.sagemaker.api.listing import list_page

GROUPS = Table("ModelPackageGroup", "model-package-group", "ModelPackageGroupName")
PACKAGES = Table("ModelPackage", "model-package", "ModelPackageName")

_VERSIONS = PACKAGES.index(lambda _, item: filter(None, [item.get("ModelPackageGroupName")]))

# Held for decisions on several items: the next version of a group, or whether a group is empty.
LOCK = threading.RLock()


def versions(scope: Scope, group: str) -> list[Item]:
    """Return the model packages of a group, oldest first."""
    return _VERSIONS.find(scope, group)


@operation("CreateModelPackageGroup")
def create_model_package_group(scope: Scope, params: dict[str, Any]) -> Item:
    item = {**params, "ModelPackageGroupStatus": "Completed", "CreatedBy": CALLER.get().context()}
    return GROUPS.create(scope, params["ModelPackageGroupName"], item)


@operation("DescribeModelPackageGroup")
def describe_model_package_group(scope: Scope, params: dict[str, Any]) -> Item:
    return GROUPS.get(scope, GROUPS.name(scope, params["ModelPackageGroupName"]))


@operation("ListModelPackageGroups")
def list_model_package_groups(scope: Scope, params: dict[str, Any]) -> Item:
    return list_page(
        GROUPS.values(scope),
        params,
        result_key="ModelPackageGroupSummaryList",
        name_key="ModelPackageGroupName",
    )


@operation("DeleteModelPackageGroup")
def delete_model_package_group(scope: Scope, params: dict[str, Any]) -> None:
    name = GROUPS.name(scope, params["ModelPackageGroupName"])
    with LOCK:
        GROUPS.get(scope, name)
        if versions(scope, name):
            raise ApiError(
                "ConflictException",
                "Model Package Group cannot be deleted because it still contains Model Packages.",
            )
        GROUPS.delete(scope, name)


@operation("PutModelPackageGroupPolicy")
def put_model_package_group_policy(scope: Scope, params: dict[str, Any]) -> Item:
    try:
        json.loads(params["ResourcePolicy"])
    except ValueError as error:
        raise ApiError("ValidationException", "Invalid resource policy: it is not valid JSON.") from error
    # A policy does not change the group itself.
    return GROUPS.edit(
        scope,
        params["ModelPackageGroupName"],
        lambda group: {"_Policy": params["ResourcePolicy"], "LastModifiedTime": group["LastModifiedTime"]},
    )


@operation("GetModelPackageGroupPolicy")
def get_model_package_group_policy(scope: Scope, params: dict[str, Any]) -> Item:
    return {"ResourcePolicy": _policy(GROUPS.get(scope, params["ModelPackageGroupName"]))}


@operation("DeleteModelPackageGroupPolicy")
def delete_model_package_group_policy(scope: Scope, params: dict[str, Any]) -> None:
    def without_policy(group: Item) -> Item:
        _policy(group)
        return {"_Policy": None, "LastModifiedTime": group["LastModifiedTime"]}

    GROUPS.edit(scope, params["ModelPackageGroupName"], without_policy)


def _policy(group: Item) -> str:
    if (policy := group.get("_Policy")) is None:
        raise ApiError(
            "ValidationException",
            f"Cannot find resource policy for: {group['ModelPackageGroupArn']}",
        )
    return str(policy)
