"""Check a step's arguments by the model of the request that the step makes, references aside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

from sluice_local.sagemaker.pipelines.definition.references import function_of

_EXPECTED = {
    "string": ("text", (str,)),
    "boolean": ("true or false", (bool,)),
    "integer": ("an integer", (int,)),
    "long": ("an integer", (int,)),
    "float": ("a number", (int, float)),
    "double": ("a number", (int, float)),
}


def faults(shape: Shape, value: Any, where: str, absent: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield what is wrong with arguments, each with the place and what was expected there.

    Members named by `absent` may be missing: the execution gives them. Unknown members are ignored, as the
    API ignores them.
    """
    if function_of(value) or value is None:
        return
    if isinstance(shape, StructureShape):
        yield from _structure_faults(shape, value, where, absent)
    elif isinstance(shape, ListShape):
        if not isinstance(value, list):
            yield f"{where} must be a list, not {value!r}"
            return
        for position, item in enumerate(value):
            yield from _item_faults(shape.member, item, f"{where}[{position}]")
    elif isinstance(shape, MapShape):
        if not isinstance(value, dict):
            yield f"{where} must be a map, not {value!r}"
            return
        for key, item in value.items():
            yield from _item_faults(shape.value, item, f"{where}.{key}")
    else:
        yield from _scalar_faults(shape, value, where)


def _item_faults(shape: Shape, value: Any, where: str) -> Iterator[str]:
    """Yield what is wrong with an item; null means absent for a member alone."""
    if value is None:
        yield f"{where} must not be null"
    yield from faults(shape, value, where)


def _structure_faults(shape: StructureShape, value: Any, where: str, absent: frozenset[str]) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where} must be a map, not {value!r}"
        return
    for name in shape.required_members:
        if value.get(name) is None and name not in absent:
            yield f"{where}.{name} is missing"
    for name, member in shape.members.items():
        if name in value:
            yield from faults(member, value[name], f"{where}.{name}")


def _scalar_faults(shape: Shape, value: Any, where: str) -> Iterator[str]:
    expected, types = _EXPECTED.get(shape.type_name, ("", (object,)))
    if not isinstance(value, types) or (
        isinstance(value, bool) and bool not in types and object not in types
    ):
        yield f"{where} must be {expected}, not {value!r}"
    elif isinstance(shape, StringShape) and shape.enum and value not in shape.enum:
        yield f"{where} must be one of {', '.join(shape.enum)}, not {value!r}"
