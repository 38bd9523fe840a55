"""Evaluate the rules of a JSONPath Choice state. Pure."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from sluice_local.states.data import is_number, moment
from sluice_local.states.errors import ExecutionError
from sluice_local.states.paths import find

_COMPARISON = re.compile(r"(String|Numeric|Timestamp|Boolean)(\w*?)(Path)?")
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}
_TYPES: dict[str, Callable[[Any], bool]] = {
    "IsNull": lambda value: value is None,
    "IsBoolean": lambda value: isinstance(value, bool),
    "IsNumeric": is_number,
    "IsString": lambda value: isinstance(value, str),
    "IsTimestamp": lambda value: moment(value) is not None,
}
# Convert a value for a comparison; None for another type, so that no comparison holds.
_READINGS: dict[str, Callable[[Any], Any]] = {
    "String": lambda value: value if isinstance(value, str) else None,
    "Numeric": lambda value: value if is_number(value) else None,
    "Boolean": lambda value: value if isinstance(value, bool) else None,
    "Timestamp": moment,
}


def holds(rule: Mapping[str, Any], data: Any, context: Mapping[str, Any]) -> bool:
    """Tell whether a rule holds for the data; to compare a missing value fails the execution."""
    if "And" in rule:
        return all(holds(each, data, context) for each in rule["And"])
    if "Or" in rule:
        return any(holds(each, data, context) for each in rule["Or"])
    if "Not" in rule:
        return not holds(rule["Not"], data, context)
    if "IsPresent" in rule:
        return bool(_is_present(rule["Variable"], data, context) == rule["IsPresent"])
    value = find(rule["Variable"], data, context)
    for name, is_type in _TYPES.items():
        if name in rule:
            return bool(is_type(value) == rule[name])
    return _compares(rule, value, data, context)


def _is_present(variable: str, data: Any, context: Mapping[str, Any]) -> bool:
    try:
        find(variable, data, context)
    except ExecutionError:
        return False
    return True


def _compares(rule: Mapping[str, Any], value: Any, data: Any, context: Mapping[str, Any]) -> bool:
    if "StringMatches" in rule:
        return isinstance(value, str) and _matches(rule["StringMatches"], value)
    for name, content in rule.items():
        found = _COMPARISON.fullmatch(name)
        if found and found[2] in _ORDERS:
            other = find(content, data, context) if found[3] else content
            left, right = (_READINGS[found[1]](each) for each in (value, other))
            return left is not None and right is not None and _ORDERS[found[2]](left, right)
    return False


def _matches(pattern: str, text: str) -> bool:
    """Match text; `*` stands for any characters, `\\*` for itself."""
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    wanted = "".join(".*" if part == "*" else re.escape(part.removeprefix("\\") or part) for part in parts)
    return re.fullmatch(wanted, text, re.DOTALL) is not None
