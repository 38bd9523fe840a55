"""Fill payload templates: Parameters, ItemSelector and ResultSelector of a JSONPath state. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sluice_local.states import intrinsics, paths

_DYNAMIC = ".$"


def fill(template: Any, data: Any, context: Mapping[str, Any]) -> Any:
    """Replace the template's `name.$` members, from the data and the context object."""
    if isinstance(template, dict):
        return dict(_member(name, value, data, context) for name, value in template.items())
    if isinstance(template, list):
        return [fill(each, data, context) for each in template]
    return template


def _member(name: str, value: Any, data: Any, context: Mapping[str, Any]) -> tuple[str, Any]:
    if name.endswith(_DYNAMIC) and isinstance(value, str):
        return name.removesuffix(_DYNAMIC), evaluate(value, data, context)
    return name, fill(value, data, context)


def evaluate(expression: str, data: Any, context: Mapping[str, Any]) -> Any:
    """Evaluate a path or an intrinsic function."""
    if expression.startswith("States."):
        return intrinsics.evaluate(expression, data, context)
    return paths.find(expression, data, context)
