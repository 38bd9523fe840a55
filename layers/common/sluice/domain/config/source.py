"""Read YAML into plain data that knows its lines: no tags, no anchors, no surprises.

Scalars follow the YAML 1.2 core schema: `no`, `010` and `2024-01-01` are strings, `1e-5` is a number. The
result has only mappings, lists, strings, numbers, booleans and null.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from sluice.domain.config.problems import ConfigError, Problem, dotted

MAX_SOURCE_CHARACTERS = 256 * 1024
_TAG = "tag:yaml.org,2002:"
_COLLECTIONS = (f"{_TAG}map", f"{_TAG}seq")
_CORE_SCHEMA: dict[str, tuple[str, str, Callable[[str], Any]]] = {
    f"{_TAG}null": (r"~|null|Null|NULL|", "~nN\0", lambda _: None),
    f"{_TAG}bool": (r"true|True|TRUE|false|False|FALSE", "tTfF", lambda text: text.lower() == "true"),
    f"{_TAG}int": (r"[-+]?(?:0|[1-9][0-9]{0,17})", "-+0123456789", int),
    f"{_TAG}float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?",
        "-+.0123456789",
        float,
    ),
    f"{_TAG}str": ("", "", str),
}


class _CoreLoader(yaml.SafeLoader):
    """PyYAML's parser with the scalars of YAML 1.2 instead of 1.1."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _tag, (_pattern, _first, _) in _CORE_SCHEMA.items():
    if _first:
        _characters = ["" if character == "\0" else character for character in _first]
        _CoreLoader.add_implicit_resolver(_tag, re.compile(rf"^(?:{_pattern})$"), _characters)


@dataclass(frozen=True, slots=True)
class Source:
    """The data of a YAML text, and the line of each part."""

    data: dict[str, Any]
    _root: yaml.MappingNode

    def resolve(self, loc: Sequence[str | int]) -> tuple[tuple[str | int, ...], int]:
        """Return the part of a location that exists in the text (other parts are skipped) and its line."""
        node: yaml.Node = self._root
        line, path = 1, list[str | int]()
        for part in loc:
            found = _child(node, part)
            if found is not None:
                line, node = found
                path.append(part)
        return tuple(path), line


def read(text: str) -> Source:
    """Read a YAML mapping; raises ConfigError."""
    if len(text) > MAX_SOURCE_CHARACTERS:
        raise ConfigError([Problem("", 1, "is too large", f"at most {MAX_SOURCE_CHARACTERS} characters")])
    root = _compose(text)
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError([Problem("", 1, "is no mapping", "fields such as name, data, train")])
    problems = list(_misuses(root, (), set()))
    if problems:
        raise ConfigError(problems)
    return Source(_value(root), root)


def _compose(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, _CoreLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError([Problem("", line, f"has a YAML error, {error.problem}", "valid YAML")]) from None
    except yaml.YAMLError as error:
        raise ConfigError([Problem("", 1, f"has a YAML error, {_one_line(error)}", "valid YAML")]) from None
    except RecursionError:
        raise ConfigError([Problem("", 1, "is nested too deeply", "a few levels")]) from None


def _misuses(node: yaml.Node, path: tuple[str | int, ...], seen: set[int]) -> Iterator[Problem]:
    """Find aliases (the same node met twice), tags, keys that are not scalars, and duplicate keys."""
    line = node.start_mark.line + 1
    if id(node) in seen:
        yield Problem(dotted(path), line, "is the target of an alias", "the value written out")
        return
    seen.add(id(node))
    if not _is_plain(node):
        yield Problem(dotted(path), line, f"has the tag {node.tag!r}", "a plain value")
    elif isinstance(node, yaml.MappingNode):
        yield from _mapping_misuses(node, path, seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _misuses(item, (*path, index), seen)


def _mapping_misuses(
    node: yaml.MappingNode, path: tuple[str | int, ...], seen: set[int]
) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            yield Problem(dotted(path), line, "has a key that is no plain word", "a field's name")
            continue
        here = (*path, key.value)
        if key.value in first:
            message = f"is given twice, first on line {first[key.value]}"
            yield Problem(dotted(here), line, message, "each field once")
        first.setdefault(key.value, line)
        yield from _misuses(value, here, seen)


def _is_plain(node: yaml.Node) -> bool:
    """Tell whether the tag is one of ours and, if it was given (`!!int x`), suits its text."""
    if not isinstance(node, yaml.ScalarNode):
        return node.tag in _COLLECTIONS
    pattern = _CORE_SCHEMA.get(node.tag, ("(?!)",))[0]
    return not pattern or re.fullmatch(pattern, node.value) is not None


def _value(node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return {key.value: _value(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_value(item) for item in node.value]
    return _CORE_SCHEMA[node.tag][2](node.value)


def _child(node: yaml.Node, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == part:
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
