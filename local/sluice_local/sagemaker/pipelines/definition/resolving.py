"""Resolve `Get`, `Std:Join` and `Std:JsonGet` by what an execution knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sluice_local.sagemaker.pipelines.definition import references
from sluice_local.sagemaker.pipelines.definition.errors import ResolutionError
from sluice_local.sagemaker.pipelines.definition.parameters import text_of
from sluice_local.sagemaker.pipelines.definition.references import GET, JOIN, function_of

ReadJson = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Values:
    """What an execution knows: its parameters, its variables, and the properties of steps that have ended.

    The properties of a step with property files have their URIs under `PropertyFiles`. `read_json` returns
    the document at an S3 URI; it raises ResolutionError.
    """

    parameters: Mapping[str, Any]
    execution: Mapping[str, Any]
    steps: Mapping[str, Any] = field(default_factory=dict)
    read_json: ReadJson = lambda uri: _cannot_read(uri)


def _cannot_read(uri: str) -> Any:
    raise ResolutionError(f"{uri} cannot be read.")


def resolved(value: Any, values: Values) -> Any:
    """Return the value without references; raises ResolutionError."""
    name = function_of(value)
    if name == GET:
        return _get(value[GET], values)
    if name == JOIN:
        operand = value[JOIN]
        return operand["On"].join(_text(resolved(item, values)) for item in operand["Values"])
    if name is not None:
        return _json_get(value[name], values)
    if isinstance(value, dict):
        return {key: resolved(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [resolved(item, values) for item in value]
    return value


def _get(text: str, values: Values) -> Any:
    reference = references.parse(text)
    known = {"Parameters": values.parameters, "Execution": values.execution, "Steps": values.steps}[
        reference.root
    ]
    if reference.name not in known:
        raise ResolutionError(f"{text} is not known yet: {reference.name} has not ended.")
    return references.look_up(known[reference.name], reference.path, text)


def _json_get(operand: Mapping[str, Any], values: Values) -> Any:
    uri = resolved(operand["PropertyFile"] if "PropertyFile" in operand else operand["S3Uri"], values)
    path = resolved(operand["Path"], values)
    for what, value in (("URI", uri), ("Path", path)):
        if not isinstance(value, str):
            raise ResolutionError(f"Std:JsonGet needs text as its {what}, not {value!r}.")
    try:
        parsed = references.parse_path(path)
    except ValueError as error:
        raise ResolutionError(f"Std:JsonGet: {error}.") from error
    return references.look_up(values.read_json(uri), parsed, f"{path} of {uri}")


def _text(value: Any) -> str:
    if isinstance(value, str | bool | int | float):
        return text_of(value)
    raise ResolutionError(f"Std:Join needs text or a number, not {value!r}.")
