"""The parameters of a pipeline: declared with a type, a default and allowed values, given as text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sluice_local.sagemaker.pipelines.definition import forms
from sluice_local.sagemaker.pipelines.definition.errors import DefinitionError, ParameterError

_TEXTS: dict[str, Callable[[str], Any]] = {
    "String": str,
    "Integer": int,
    "Float": float,
    "Boolean": lambda text: {"true": True, "false": False}[text.lower()],
}
_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "String": (str,),
    "Integer": (int,),
    "Float": (int, float),
    "Boolean": (bool,),
}
_NAME = re.compile(r"[A-Za-z0-9\-_]{1,256}")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter as the definition declares it. `default` is None if a value must be given."""

    name: str
    type: str
    default: Any = None
    allowed: tuple[Any, ...] = ()

    def of_text(self, text: str) -> Any:
        """Return the typed value of a text; raises ParameterError."""
        try:
            value = _TEXTS[self.type](text)
        except (ValueError, KeyError) as error:
            raise ParameterError(
                f"Parameter {self.name} must be of type {self.type}, not '{text}'."
            ) from error
        if self.allowed and value not in self.allowed:
            raise ParameterError(
                f"Parameter {self.name} must be one of [{', '.join(map(str, self.allowed))}], not '{text}'."
            )
        return value


def read(declared: Any) -> dict[str, Parameter]:
    """Read the declarations; raises DefinitionError."""
    parameters: dict[str, Parameter] = {}
    for item in declared:
        parameter = _read_one(item)
        if parameter.name in parameters:
            raise DefinitionError(f"Parameter {parameter.name} is declared twice.")
        parameters[parameter.name] = parameter
    return parameters


def _read_one(item: Any) -> Parameter:
    name = item.get("Name") if isinstance(item, dict) else None
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DefinitionError(f"A parameter needs a Name of letters, digits, - and _, not {name!r}.")
    forms.check(f"Parameter {name}:", item, {"Type": str, "EnumValues": list})
    kind, default, allowed = item.get("Type"), item.get("DefaultValue"), item.get("EnumValues") or ()
    if kind not in _PYTHON_TYPES:
        raise DefinitionError(
            f"Parameter {name}: Type must be one of {', '.join(_PYTHON_TYPES)}, not {kind!r}."
        )
    if default is not None and not _is_of(kind, default):
        raise DefinitionError(f"Parameter {name}: DefaultValue must be of type {kind}, not {default!r}.")
    if default is not None and allowed and default not in allowed:
        raise DefinitionError(f"Parameter {name}: DefaultValue {default!r} is not among its EnumValues.")
    return Parameter(name, kind, default, tuple(allowed))


def _is_of(kind: str, value: Any) -> bool:
    return isinstance(value, _PYTHON_TYPES[kind]) and (kind == "Boolean" or not isinstance(value, bool))


def bound(parameters: Mapping[str, Parameter], given: Mapping[str, str]) -> dict[str, Any]:
    """Return the typed value of each parameter, of the given texts or its default; raises ParameterError."""
    if unknown := given.keys() - parameters.keys():
        raise ParameterError(f"Unknown parameters [{', '.join(sorted(unknown))}].")
    missing = [p.name for p in parameters.values() if p.default is None and p.name not in given]
    if missing:
        raise ParameterError(f"Missing values for parameters [{', '.join(missing)}].")
    return {
        name: parameter.of_text(given[name]) if name in given else parameter.default
        for name, parameter in parameters.items()
    }


def text_of(value: Any) -> str:
    """Write a value as `Std:Join` and the parameters of an execution do."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_pairs(values: Mapping[str, Any]) -> Iterable[dict[str, str]]:
    """Return values as the API lists them."""
    return [{"Name": name, "Value": text_of(value)} for name, value in values.items()]
