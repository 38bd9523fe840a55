"""Search: resources of a kind, by members with dotted names, and names of members to search by."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from sluice_local.sagemaker.api.core import ApiError, Item, Scope, operation
from sluice_local.sagemaker.api.listing import list_page
from sluice_local.sagemaker.api.validation import service_model
from sluice_local.sagemaker.search.resources import RESOURCES, Resource

_SUGGESTIONS = 100
_DEPTH = 4


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": lambda actual, value: str(actual) == value,
    "NotEquals": lambda actual, value: str(actual) != value,
    "Contains": lambda actual, value: actual is not None and value.lower() in str(actual).lower(),
    "In": lambda actual, value: str(actual) in value.split(","),
    "Exists": lambda actual, _: actual is not None,
    "NotExists": lambda actual, _: actual is None,
    "GreaterThan": lambda actual, value: _number(actual) > _number(value),
    "GreaterThanOrEqualTo": lambda actual, value: _number(actual) >= _number(value),
    "LessThan": lambda actual, value: _number(actual) < _number(value),
    "LessThanOrEqualTo": lambda actual, value: _number(actual) <= _number(value),
}
# A value in a list passes if one of them does, but these say something of all.
_OF_ALL = ("NotEquals", "NotExists")


@operation("Search")
def search(scope: Scope, params: dict[str, Any]) -> Item:
    resource = _resource(params["Resource"])
    expression = params.get("SearchExpression", {})
    found = [item for item in resource.items(scope) if _holds(expression, item)]
    sort_by = params.get("SortBy", "LastModifiedTime")
    # Those that lack the member come last, in either order.
    descending = params.get("SortOrder", "Descending") == "Descending"
    ranked = [{**item, "_Rank": _rank(_members(item, sort_by), descending)} for item in found]
    order = {**params, "SortBy": "_Rank", "SortOrder": "Descending" if descending else "Ascending"}
    page = list_page(ranked, order, result_key="Results", name_key=resource.name_key)
    return {
        **page,
        "Results": [{resource.record: item} for item in page["Results"]],
        "TotalHits": {"Value": len(found), "Relation": "EqualTo"},
    }


def _resource(name: str) -> Resource:
    if (resource := RESOURCES.get(name)) is None:
        raise ApiError("NotImplementedException", f"The local SageMaker does not search for {name}.")
    return resource


def _rank(values: list[Any], descending: bool) -> list[Any]:
    present = bool(values)
    value = values[0] if values else ""
    kind = isinstance(value, str)
    return [present if descending else not present, kind, value if kind else _number(value)]


def _holds(expression: Item, item: Item) -> bool:
    results = [_passes(condition, item) for condition in expression.get("Filters", [])]
    results += [_holds(inner, item) for inner in expression.get("SubExpressions", [])]
    results += [_nested(nested, item) for nested in expression.get("NestedFilters", [])]
    return any(results) if expression.get("Operator") == "Or" and results else all(results)


def _nested(nested: Item, item: Item) -> bool:
    """Tell whether one element of a list passes all filters."""
    name = nested["NestedPropertyName"]
    filters = [
        {**condition, "Name": condition["Name"].removeprefix(f"{name}.")} for condition in nested["Filters"]
    ]
    lists = [value for value in _values(item, name.split("."), keep_lists=True) if isinstance(value, list)]
    return any(
        all(_passes(condition, element) for condition in filters) for found in lists for element in found
    )


def _passes(condition: Item, item: Item) -> bool:
    operator = condition.get("Operator", "Equals")
    holds, value = _OPERATORS[operator], condition.get("Value", "")
    found = _members(item, condition["Name"]) or [None]
    return (all if operator in _OF_ALL else any)(holds(each, value) for each in found)


def _members(item: Item, name: str) -> list[Any]:
    """Return what an item has under a dotted name: several values, if a list is on the way."""
    first, _, rest = name.partition(".")
    if first == "Tags" and rest:
        return [tag["Value"] for tag in item.get("Tags", []) if tag["Key"] == rest]
    if first.lower() == "metrics" and rest:
        metric, _, statistic = rest.rpartition(".")
        return [
            each[key]
            for each in item.get("Metrics", [])
            if each["MetricName"] == metric
            for key in each
            if key.lower() == statistic.lower()
        ]
    return list(_values(item, name.split(".")))


def _values(value: Any, path: list[str], keep_lists: bool = False) -> Iterator[Any]:
    if isinstance(value, list) and not (keep_lists and not path):
        for element in value:
            yield from _values(element, path, keep_lists)
    elif not path:
        if value is not None:
            yield value
    elif isinstance(value, dict):
        # Names of parameters may have dots themselves.
        for length in range(1, len(path) + 1):
            if (first := ".".join(path[:length])) in value:
                yield from _values(value[first], path[length:], keep_lists)


@operation("GetSearchSuggestions")
def get_search_suggestions(scope: Scope, params: dict[str, Any]) -> Item:
    record = _resource(params["Resource"]).record
    hint = params.get("SuggestionQuery", {}).get("PropertyNameQuery", {}).get("PropertyNameHint", "")
    names = sorted(set(_names(service_model().shape_for("SearchRecord").members[record], "", _DEPTH)))  # type: ignore[attr-defined]
    found = [name for name in names if name.lower().startswith(hint.lower())]
    return {"PropertyNameSuggestions": [{"PropertyName": name} for name in found[:_SUGGESTIONS]]}


def _names(shape: Shape, path: str, depth: int) -> Iterator[str]:
    if isinstance(shape, ListShape):
        yield from _names(shape.member, path, depth)
    elif isinstance(shape, StructureShape) and depth:
        for name, member in shape.members.items():
            yield from _names(member, f"{path}.{name}" if path else name, depth - 1)
    elif not isinstance(shape, MapShape | StructureShape):
        yield path
