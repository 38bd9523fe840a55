"""The parts that pipeline.yaml is built of: the model of a mapping, scalars, and column types."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

ColumnType = Literal["string", "integer", "number", "boolean", "timestamp"]
Severity = Literal["fail", "warn"]
Scalar = str | int | float | bool
# Of an argument or a hyperparameter.
ParameterName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")]


class Model(BaseModel):
    # Build validators at first use: most functions that import this read no config.
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        serialize_by_alias=True,
        defer_build=True,
    )


def _only_scalar(value: Any) -> Any:
    if isinstance(value, str | int | float | bool):
        return value
    raise PydanticCustomError(
        "expected", "is {given}", {"given": _kind(value), "expected": "a string, number or boolean"}
    )


def _kind(value: Any) -> str:
    if value is None:
        return "empty"
    return "a mapping" if isinstance(value, dict) else "a list"


ScalarValue = Annotated[Scalar, BeforeValidator(_only_scalar)]


def is_of(type_: str, value: Any) -> bool:
    """Tell whether a value of the YAML file has the column type; a timestamp is ISO 8601 text."""
    if type_ == "timestamp":
        return isinstance(value, str) and _is_iso(value)
    accepted: dict[str, tuple[type, ...]] = {
        "string": (str,),
        "integer": (int,),
        "number": (int, float),
        "boolean": (bool,),
    }
    return isinstance(value, accepted[type_]) and (type_ == "boolean" or not isinstance(value, bool))


def _is_iso(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
