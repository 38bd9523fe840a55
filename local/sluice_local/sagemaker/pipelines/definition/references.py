"""References in a definition: `{"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}` and their paths."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sluice_local.sagemaker.pipelines.definition.errors import ResolutionError

GET, JOIN, JSON_GET = "Get", "Std:Join", "Std:JsonGet"
_FUNCTIONS = frozenset({GET, JOIN, JSON_GET})
_ROOTS = ("Parameters", "Execution", "Steps")
_PART = re.compile(r"""\.([^.\[\]]+)|\[(\d+)\]|\['([^']*)'\]|\["([^"]*)"\]""")

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """What a `Get` names: a parameter, a variable of the execution, or a property of a step."""

    root: str
    name: str
    path: Path
    text: str


def function_of(value: Any) -> str | None:
    """Return which function a value calls (`Get`, `Std:Join`, `Std:JsonGet`); None for a plain value."""
    if isinstance(value, dict) and len(value) == 1:
        name = next(iter(value))
        return name if name in _FUNCTIONS else None
    return None


def parse(text: Any) -> Reference:
    """Read what a `Get` names; raises ValueError, which says what was expected."""
    root, _, rest = text.partition(".") if isinstance(text, str) else ("", "", "")
    name = re.match(r"[A-Za-z0-9\-_]+", rest)
    if root not in _ROOTS or name is None:
        raise ValueError(
            f"Get needs 'Parameters.NAME', 'Execution.NAME' or 'Steps.NAME.PROPERTY', not {text!r}"
        )
    path = parse_path(rest[name.end() :])
    if (root == "Steps") != bool(path):
        raise ValueError(f"Get {text!r} {'has a path' if path else 'names no property of the step'}")
    return Reference(root, name[0], path, text)


def parse_path(text: str) -> Path:
    """Read a dotted or bracketed path such as `.Outputs['train'][0].S3Uri`; raises ValueError."""
    if text and text[0] not in ".[":
        text = f".{text}"
    parts: list[str | int] = []
    position = 0
    while position < len(text):
        if (found := _PART.match(text, position)) is None:
            raise ValueError(f"{text[position:]!r} is no path: write .member, [0] or ['name']")
        index = found[2]
        parts.append(
            int(index) if index is not None else next(part for part in found.groups() if part is not None)
        )
        position = found.end()
    return tuple(parts)


def look_up(value: Any, path: Path, text: str) -> Any:
    """Follow a path; a name selects a map's member, or the list's item that has this name.

    Raises ResolutionError.
    """
    for part in path:
        try:
            value = _member(value, part)
        except (KeyError, IndexError, TypeError) as error:
            raise ResolutionError(f"{text} does not exist: there is no {part!r}.") from error
    return value


def _member(value: Any, part: str | int) -> Any:
    if isinstance(value, list) and isinstance(part, str):
        return _named(value, part)
    if isinstance(value, str):
        raise TypeError(part)
    return value[part]


def _named(items: list[Any], name: str) -> Any:
    """Return the item that has the name, be its member OutputName, ChannelName or MetricName."""
    for item in items:
        if isinstance(item, dict) and name in [item[key] for key in item if key.endswith("Name")]:
            return item
    raise KeyError(name)


def found_in(value: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield each function call within a value, the inner ones too: where it is, its name, its operand."""
    yield from _found(value, "")


def _found(value: Any, where: str) -> Iterator[tuple[str, str, Any]]:
    if name := function_of(value):
        yield where, name, value[name]
        if name != GET:
            yield from _found(value[name], where)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _found(item, f"{where}.{key}")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _found(item, f"{where}[{position}]")
