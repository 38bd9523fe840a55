"""Resolve JSONPaths in a state's data and in the context object. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sluice_local.states.data import dumps
from sluice_local.states.errors import ExecutionError

_STEP = re.compile(
    r"""(?P<every>\.\*|\.?\[\*\])
      | \.?\[(?P<index>[0-9]+)\]
      | \.?\[(?P<quote>['"])(?P<quoted>(?:\\.|(?!(?P=quote)).)*)(?P=quote)\]
      | \.(?P<name>[^.\[]+)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def find(path: str, data: Any, context: Mapping[str, Any]) -> Any:
    """Return what a path leads to, in the data or, if it begins with `$$`, in the context object.

    An invalid path, or one that leads nowhere, fails the execution.
    """
    return resolve(path[1:], context) if path.startswith("$$") else resolve(path, data)


def resolve(path: str, data: Any) -> Any:
    """Return what a path leads to in the data; a list if it has a wildcard."""
    found = [data]
    steps = list(_steps(path))
    for step in steps:
        found = [value for each in found for value in _taken(each, step)]
    if any(step["every"] for step in steps):
        return found
    if not found:
        cause = f"The JSONPath '{path}' could not be found in the input '{dumps(data)[:1000]}'"
        raise ExecutionError("States.Runtime", cause)
    return found[0]


def _steps(path: str) -> Iterator[re.Match[str]]:
    position, step = 1, re.match(r"\$", path)
    while step and position < len(path):
        step = _STEP.match(path, position)
        if step:
            yield step
            position = step.end()
    if step is None:
        raise ExecutionError("States.Runtime", f"Invalid path '{path}'")


def _taken(value: Any, step: re.Match[str]) -> list[Any]:
    if step["every"]:
        return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    if step["index"]:
        index = int(step["index"])
        return [value[index]] if isinstance(value, list) and index < len(value) else []
    key = step["name"] if step["quote"] is None else _ESCAPED.sub(r"\1", step["quoted"])
    return [value[key]] if isinstance(value, dict) and key in value else []


def put(path: str, original: Any, value: Any) -> Any:
    """Return the original with the value at a reference path; make missing objects on the way."""
    names = [step["name"] or step["quoted"] for step in _steps(path)]
    if None in names:
        raise ExecutionError("States.Runtime", f"'{path}' is no path that a result can be put at")
    if not names:
        return value
    output = dict(original) if isinstance(original, dict) else {}
    inner = output
    for name in names[:-1]:
        child = inner.get(name)
        inner[name] = dict(child) if isinstance(child, dict) else {}
        inner = inner[name]
    inner[names[-1]] = value
    return output
