"""Say what kind a value of pipeline.yaml is, and what is wrong with one that is given in its place."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sluice.domain.config.base import is_of

_SHOWN = 60
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}
_NOUNS = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a mapping",
}


def quoted(value: Any) -> str:
    """Write a value as JSON, in 60 characters at most."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def fault(path: str, value: Any, current: Any) -> str | None:
    """Say why a value cannot stand at a path of pipeline.yaml that has another; None if it can.

    It must be of the same kind, where a number may be an integer, and so must be the elements of a list of
    which all have one kind.
    """
    there = f"as pipeline.yaml has {quoted(current)}"
    if not _is_like(current, value):
        return f"{path} is {quoted(value)}: expected {_noun(current)}, {there}"
    like = _alike(current) if isinstance(current, list) else None
    wrong = [] if like is None else [each for each in value if not _is_like(like, each)]
    return f"{path} has {quoted(wrong[0])}: expected {_noun(like)} each, {there}" if wrong else None


def _alike(values: Sequence[Any]) -> Any:
    """Return a value of the kind that all of a list are; None if they are of several, or no scalars."""
    kinds = {type(each) for each in values}
    if kinds == {int, float}:
        return 0.0
    return values[0] if len(kinds) == 1 and kinds <= _TYPES.keys() else None


def _is_like(current: Any, value: Any) -> bool:
    if isinstance(current, list | dict):
        return isinstance(value, type(current))
    return is_of(_TYPES[type(current)], value)


def _noun(value: Any) -> str:
    return _NOUNS[type(value)]
