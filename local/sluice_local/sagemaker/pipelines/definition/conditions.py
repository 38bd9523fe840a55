"""Conditions of a Condition step: comparisons, In, Not and Or; a list of them holds if each does."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sluice_local.sagemaker.pipelines.definition.errors import DefinitionError, ResolutionError
from sluice_local.sagemaker.pipelines.definition.resolving import Values, resolved

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "NotEquals": operator.ne,
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}
_MEMBERS = {
    **dict.fromkeys(_COMPARISONS, ("LeftValue", "RightValue")),
    "In": ("QueryValue", "Values"),
    "Not": ("Condition",),
    "Or": ("Conditions",),
}


def check(where: str, condition: Any) -> None:
    """Raise DefinitionError if the condition is not one; `where` names it in the message."""
    kind = condition.get("Type") if isinstance(condition, dict) else None
    if not isinstance(kind, str) or kind not in _MEMBERS:
        raise DefinitionError(f"{where}.Type must be one of {', '.join(_MEMBERS)}, not {kind!r}.")
    for member in _MEMBERS[kind]:
        if member not in condition:
            raise DefinitionError(f"{where} of type {kind} needs {member}.")
    for member in {"Or": ("Conditions",), "In": ("Values",)}.get(kind, ()):
        if not isinstance(condition[member], list) or not condition[member]:
            raise DefinitionError(f"{where}.{member} must be a list that is not empty.")
    for place, inner in _inner(condition):
        check(f"{where}.{place}", inner)


def _inner(condition: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if condition["Type"] == "Not":
        yield "Condition", condition["Condition"]
    if condition["Type"] == "Or":
        for position, inner in enumerate(condition["Conditions"]):
            yield f"Conditions[{position}]", inner


def holds(condition: Mapping[str, Any], values: Values) -> bool:
    """Tell whether a condition holds; raises ResolutionError if its values cannot be had or compared."""
    kind = condition["Type"]
    if kind == "Not":
        return not holds(condition["Condition"], values)
    if kind == "Or":
        return any(holds(inner, values) for inner in condition["Conditions"])
    if kind == "In":
        asked = resolved(condition["QueryValue"], values)
        return any(_compare("Equals", asked, item) for item in resolved(condition["Values"], values))
    return _compare(kind, resolved(condition["LeftValue"], values), resolved(condition["RightValue"], values))


def all_hold(conditions: list[Mapping[str, Any]], values: Values) -> bool:
    """Tell whether each condition of a step holds."""
    return all(holds(condition, values) for condition in conditions)


def _compare(kind: str, left: Any, right: Any) -> bool:
    if kind in ("Equals", "NotEquals"):
        # Python holds 1 and True to be equal.
        same = isinstance(left, bool) == isinstance(right, bool) and left == right
        return same == (kind == "Equals")
    if not (_is_number(left) and _is_number(right)) and not (
        isinstance(left, str) and isinstance(right, str)
    ):
        raise ResolutionError(f"{kind} cannot compare {left!r} with {right!r}.")
    return _COMPARISONS[kind](left, right)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
