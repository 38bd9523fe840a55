"""Tag any resource in a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sluice_local.sagemaker.api.core import TABLES, ApiError, Item, Scope, Table, operation
from sluice_local.sagemaker.registry.groups import PACKAGES

_MAX_TAGS = 50

Tags = dict[str, str]


@operation("AddTags")
def add_tags(scope: Scope, params: dict[str, Any]) -> Item:
    added = {tag["Key"]: tag["Value"] for tag in params["Tags"]}
    if any(key.lower().startswith("aws:") for key in added):
        raise ApiError("ValidationException", "Tag keys that start with aws: are reserved.")
    return {"Tags": _edit(scope, params["ResourceArn"], lambda tags: tags | added)}


@operation("ListTags")
def list_tags(scope: Scope, params: dict[str, Any]) -> Item:
    table, name = _resource(scope, params["ResourceArn"])
    return {"Tags": table.get(scope, name).get("Tags", [])}


@operation("DeleteTags")
def delete_tags(scope: Scope, params: dict[str, Any]) -> None:
    removed = set(params["TagKeys"])
    _edit(
        scope,
        params["ResourceArn"],
        lambda tags: {key: value for key, value in tags.items() if key not in removed},
    )


def _edit(scope: Scope, arn: str, change: Callable[[Tags], Tags]) -> list[Item]:
    def changes(item: Item) -> Item:
        tags = change({tag["Key"]: tag["Value"] for tag in item.get("Tags", [])})
        if len(tags) > _MAX_TAGS:
            raise ApiError("ResourceLimitExceeded", f"A resource has at most {_MAX_TAGS} tags.")
        return {
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
            # Tagging a resource does not change it.
            "LastModifiedTime": item["LastModifiedTime"],
        }

    table, name = _resource(scope, arn)
    tagged: list[Item] = table.edit(scope, name, changes)["Tags"]
    return tagged


def _resource(scope: Scope, arn: str) -> tuple[Table, str]:
    kind = arn.rpartition(":")[2].partition("/")[0]
    if (table := TABLES.get(kind)) is None:
        raise ApiError("ValidationException", f"Resources of the kind {kind} cannot be tagged: {arn}")
    name = table.name(scope, arn)
    if table is PACKAGES and "ModelPackageVersion" in table.get(scope, name):
        raise ApiError(
            "ValidationException",
            "Tags are not supported in Model Package versions. Please add them to the Model Package Group.",
        )
    return table, name
