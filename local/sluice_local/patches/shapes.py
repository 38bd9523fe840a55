"""Convert what templates and forms say to the types of botocore's models: there numbers are text."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from botocore.loaders import create_loader
from botocore.model import ServiceModel, Shape


@cache
def input_shape(service: str, operation: str) -> Shape:
    """Return what an operation of a service takes."""
    model = ServiceModel(create_loader().load_service_model(service, "service-2"))
    shape = model.operation_model(operation).input_shape
    assert shape is not None  # noqa: S101
    return shape


def coerce(value: Any, shape: Shape) -> Any:
    """Convert `value` to the types and members of `shape`; times stay as they are."""
    if shape.type_name == "structure":
        members = shape.members.items()  # type: ignore[attr-defined]
        return {key: coerce(value[key], member) for key, member in members if value.get(key) is not None}
    if shape.type_name == "map":
        return {key: coerce(each, shape.value) for key, each in value.items()}  # type: ignore[attr-defined]
    if shape.type_name == "list":
        listed = (
            value
            if isinstance(value, list)
            else [v for _, v in sorted(value.get("member", {}).items(), key=_index)]
        )
        return [coerce(each, shape.member) for each in listed]  # type: ignore[attr-defined]
    return _SCALARS.get(shape.type_name, str)(value)


def _index(item: tuple[str, Any]) -> int:
    return int(item[0])


def _boolean(value: Any) -> bool:
    return str(value).lower() == "true"


_SCALARS: dict[str, Callable[[Any], Any]] = {
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
    "boolean": _boolean,
    "timestamp": lambda value: value,
}
