"""Check requests by botocore's model of an API, and cut answers to it.

If a request violates the model, the caller gets the answer of AWS's front end: `ValidationException` for a
value outside its constraints, `SerializationException` for JSON of another type.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from itertools import groupby
from typing import Any

import botocore.session
from botocore.model import (
    ListShape,
    MapShape,
    OperationModel,
    ServiceModel,
    Shape,
    StringShape,
    StructureShape,
)

from sluice_local.sagemaker.api.core import ApiError

# Java's POSIX classes, as ranges.
_ASCII_CLASSES = {"Alnum": "a-zA-Z0-9", "Print": " -~"}
_BITS = {"integer": 32, "long": 64}
_NUMBERS = ("integer", "long", "float", "double", "timestamp")


@cache
def service_model(service: str = "sagemaker") -> ServiceModel:
    return botocore.session.get_session().get_service_model(service)


@cache
def operation_model(name: str, service: str = "sagemaker") -> OperationModel:
    """Return an operation's model; raises ApiError if the service has no such operation."""
    if name not in service_model(service).operation_names:
        raise ApiError("UnknownOperationException", f"The requested operation {name} is not recognized.")
    return service_model(service).operation_model(name)


def validated(shape: Shape | None, params: Any) -> dict[str, Any]:
    """Return the request's parameters without nulls and unknown members, which AWS ignores.

    Raises ApiError, which names every value that breaks a constraint, and the constraint.
    """
    if shape is None:
        return {}
    violations: list[str] = []
    clean: dict[str, Any] = _check(shape, params, "", violations)
    if violations:
        count = f"{len(violations)} validation error{'s' if len(violations) > 1 else ''} detected"
        raise ApiError("ValidationException", f"{count}: {'; '.join(violations)}")
    return clean


def projected(shape: Shape | None, value: Any) -> Any:
    """Return the part of `value` that the shape names, without nulls, as an operation's answer."""
    if isinstance(shape, StructureShape):
        return {
            name: projected(member, value[name])
            for name, member in shape.members.items()
            if value.get(name) is not None
        }
    if isinstance(shape, ListShape):
        return [projected(shape.member, item) for item in value]
    if isinstance(shape, MapShape):
        return {key: projected(shape.value, item) for key, item in value.items()}
    return {} if shape is None else value


def _check(shape: Shape, value: Any, path: str, violations: list[str]) -> Any:
    if isinstance(shape, StructureShape):
        return _check_structure(shape, value, path, violations)
    if isinstance(shape, ListShape):
        return _check_list(shape, value, path, violations)
    if isinstance(shape, MapShape):
        return _check_map(shape, value, path, violations)
    _expect_scalar(shape, value)
    _report(_broken_constraints(shape, value), value, path, violations)
    return value


def _check_structure(shape: StructureShape, value: Any, path: str, violations: list[str]) -> dict[str, Any]:
    _expect(isinstance(value, dict), "Expected structure or null")
    for name in shape.required_members:
        if value.get(name) is None:
            violations.append(
                f"Value null at '{_join(path, name)}' failed to satisfy constraint: Member must not be null"
            )
    return {
        name: _check(member, value[name], _join(path, name), violations)
        for name, member in shape.members.items()
        if value.get(name) is not None
    }


def _check_list(shape: ListShape, value: Any, path: str, violations: list[str]) -> list[Any]:
    _expect(isinstance(value, list), "Expected list or null")
    items = [item for item in value if item is not None]
    _report(_broken_lengths(shape, items), items, path, violations)
    if isinstance(shape.member, StructureShape | ListShape | MapShape):
        return [
            _check(shape.member, item, f"{path}.{position}.member", violations)
            for position, item in enumerate(items, 1)
        ]
    _check_elements("Member must satisfy constraint", shape.member, items, (items, path, violations))
    return items


def _check_map(shape: MapShape, value: Any, path: str, violations: list[str]) -> dict[str, Any]:
    _expect(isinstance(value, dict), "Expected map or null")
    items = {key: item for key, item in value.items() if item is not None}
    _report(_broken_lengths(shape, items), items, path, violations)
    _check_elements("Map keys must satisfy constraint", shape.key, list(items), (items, path, violations))
    if isinstance(shape.value, StructureShape | ListShape | MapShape):
        return {
            key: _check(shape.value, item, f"{path}.{key}.member", violations) for key, item in items.items()
        }
    _check_elements(
        "Map value must satisfy constraint", shape.value, list(items.values()), (items, path, violations)
    )
    return items


def _check_elements(rule: str, shape: Shape, elements: list[Any], report: tuple[Any, str, list[str]]) -> None:
    """Report bad scalars in a list or map as one error of the whole container, as AWS does."""
    for element in elements:
        _expect_scalar(shape, element)
    if any(list(_broken_constraints(shape, element)) for element in elements):
        _report([f"{rule}: [{', '.join(_constraints(shape))}]"], *report)


def _report(constraints: list[str] | Iterator[str], value: Any, path: str, violations: list[str]) -> None:
    for constraint in constraints:
        violations.append(f"Value '{_shown(value)}' at '{path}' failed to satisfy constraint: {constraint}")


def _constraints(shape: Shape) -> list[str]:
    return [description for description, _ in _rules(shape)]


def _broken_constraints(shape: Shape, value: Any) -> Iterator[str]:
    return (description for description, holds in _rules(shape) if not holds(value))


def _broken_lengths(shape: Shape, value: Any) -> Iterator[str]:
    return (description for description, holds in _lengths(shape, "length", len) if not holds(value))


Rule = tuple[str, Callable[[Any], bool]]


@cache
def _rules(shape: Shape) -> tuple[Rule, ...]:
    """Return the model's constraints on a scalar: in AWS's words, and as predicates."""
    if shape.type_name in _NUMBERS:
        return _lengths(shape, "value", lambda value: value)
    if not isinstance(shape, StringShape):
        return ()
    rules = _lengths(shape, "length", len)
    if shape.enum:
        allowed = frozenset(shape.enum)
        description = f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
        rules += ((description, allowed.__contains__),)
    if pattern := shape.metadata.get("pattern"):
        matches = java_pattern(pattern).fullmatch
        description = f"Member must satisfy regular expression pattern: {pattern}"
        rules += ((description, lambda value: matches(value) is not None),)
    return rules


def _lengths(shape: Shape, what: str, measure: Callable[[Any], float]) -> tuple[Rule, ...]:
    minimum, maximum = shape.metadata.get("min"), shape.metadata.get("max")
    rules: tuple[Rule, ...] = ()
    if maximum is not None:
        description = f"Member must have {what} less than or equal to {maximum}"
        rules += ((description, lambda value: measure(value) <= maximum),)
    if minimum is not None:
        description = f"Member must have {what} greater than or equal to {minimum}"
        rules += ((description, lambda value: measure(value) >= minimum),)
    return rules


def _expect(holds: bool, message: str) -> None:
    if not holds:
        raise ApiError("SerializationException", message)


def _expect_scalar(shape: Shape, value: Any) -> None:
    _expect(not isinstance(value, dict), "Start of structure or map found where not expected.")
    _expect(not isinstance(value, list), "Start of list found where not expected.")
    kind = {bool: "BOOLEAN", str: "STRING"}.get(type(value), "NUMBER")
    if shape.type_name in _NUMBERS:
        fits = kind == "NUMBER" and _fits(shape.type_name, value)
    else:
        fits = kind == ("BOOLEAN" if shape.type_name == "boolean" else "STRING")
    _expect(fits, f"{kind}_VALUE can not be converted to {shape.type_name.capitalize()}")


def _fits(type_name: str, number: float) -> bool:
    if type_name not in _BITS:
        return True
    limit = 2 ** (_BITS[type_name] - 1)
    return -limit <= number < limit and number == int(number)


def _join(path: str, member: str) -> str:
    """Join a path; AWS names members in lower camel case, whatever their name in the request."""
    name = member[0].lower() + member[1:]
    return f"{path}.{name}" if path else name


def _shown(value: Any) -> str:
    """Write a value as Java does."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}={_shown(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(_shown(item) for item in value)}]"
    return str(value)


@cache
def java_pattern(pattern: str) -> re.Pattern[str]:
    """Convert a pattern of the model, which is written for Java, to Python's syntax."""
    # Python refuses Java's UTF-16 form of supplementary planes, and a repeated end anchor.
    pattern = pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", "\U00010000-\U0010ffff")
    pattern = re.sub(r"\$\{\d+,\d+\}", "$", pattern)
    # Elsewhere the model has these classes only inside brackets, so their ranges can replace them.
    pattern = pattern.replace(r"\p{Print}+", f"[{_ASCII_CLASSES['Print']}]+")
    pattern = re.sub(r"\\p\{(\w+)\}", lambda found: _character_class(found[1]), pattern)
    return re.compile(pattern, re.ASCII)


def _character_class(name: str) -> str:
    return _ASCII_CLASSES.get(name) or _categories()[name]


@cache
def _categories() -> dict[str, str]:
    """Return each major Unicode category (L, M, N, ...) as ranges of a bracket expression."""
    ranges: dict[str, list[str]] = {}
    points = range(sys.maxunicode + 1)
    for category, run in groupby(points, lambda point: unicodedata.category(chr(point))[0]):
        members = list(run)
        ranges.setdefault(category, []).append(f"\\U{members[0]:08x}-\\U{members[-1]:08x}")
    return {category: "".join(found) for category, found in ranges.items()}
