"""Search the registry: all or any of the filters on members, by dotted names, must hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sluice_local.sagemaker.api.core import ApiError, Item, Scope, Table, operation
from sluice_local.sagemaker.api.listing import list_page
from sluice_local.sagemaker.registry.groups import GROUPS, PACKAGES

_SEARCHABLE: dict[str, Table] = {"ModelPackageGroup": GROUPS, "ModelPackage": PACKAGES}

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": lambda actual, value: str(actual) == value,
    "NotEquals": lambda actual, value: str(actual) != value,
    "Contains": lambda actual, value: actual is not None and value.lower() in str(actual).lower(),
    "In": lambda actual, value: str(actual) in value.split(","),
    "Exists": lambda actual, _: actual is not None,
    "NotExists": lambda actual, _: actual is None,
}


@operation("Search")
def search(scope: Scope, params: dict[str, Any]) -> Item:
    resource = params["Resource"]
    if (table := _SEARCHABLE.get(resource)) is None:
        raise ApiError("NotImplementedException", f"The local SageMaker does not search for {resource}.")
    expression = params.get("SearchExpression", {})
    found = [item for item in table.values(scope) if _holds(expression, item)]
    order = {"SortBy": "LastModifiedTime", "SortOrder": "Descending"} | params
    page = list_page(found, order, result_key="Results", name_key=table.name_key)
    return {
        **page,
        "Results": [{resource: item} for item in page["Results"]],
        "TotalHits": {"Value": len(found), "Relation": "EqualTo"},
    }


def _holds(expression: Item, item: Item) -> bool:
    if "NestedFilters" in expression:
        raise ApiError("NotImplementedException", "The local SageMaker does not search by NestedFilters.")
    results = [_passes(condition, item) for condition in expression.get("Filters", [])]
    results += [_holds(inner, item) for inner in expression.get("SubExpressions", [])]
    return any(results) if expression.get("Operator") == "Or" and results else all(results)


def _passes(condition: Item, item: Item) -> bool:
    operator = condition.get("Operator", "Equals")
    if operator not in _OPERATORS:
        raise ApiError("NotImplementedException", f"The local SageMaker does not search by {operator}.")
    return _OPERATORS[operator](_member(item, condition["Name"]), condition.get("Value", ""))


def _member(item: Item, name: str) -> Any:
    first, _, rest = name.partition(".")
    if first == "Tags":
        return {tag["Key"]: tag["Value"] for tag in item.get("Tags", [])}.get(rest)
    value = item.get(first)
    return _member(value, rest) if rest and isinstance(value, dict) else value
