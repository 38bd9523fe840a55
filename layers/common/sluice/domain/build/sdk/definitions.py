"""Read the definition of a SageMaker pipeline: JSON of schema version 2020-12-01, as the SDK writes it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sluice.domain.config.kinds import quoted
from sluice.lazy import dataclass

VERSION = "2020-12-01"
# SageMaker's limit on a PipelineDefinition.
MAX_CHARACTERS = 1_048_576
_KINDS: Mapping[str, tuple[type, ...]] = {
    "String": (str,),
    "Integer": (int,),
    "Float": (int, float),
    "Boolean": (bool,),
}
# What reads a definition calls itself for each level.
_MAX_DEPTH = 100
_TOO_DEEP = f"it is nested too deep: expected at most {_MAX_DEPTH} levels"
_GREATEST = sys.float_info.max
_BRANCHES = ("IfSteps", "ElseSteps")
# Their arguments are other steps.
_BRANCHING = ("Condition",)
# Where requests name the image of a container.
_IMAGES = ("TrainingImage", "ImageUri", "Image")


class DefinitionError(ValueError):
    """A pipeline's definition cannot be used; `reasons` says why, a line each."""

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("\n".join(reasons))


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an execution; without a default each execution must be given a value."""

    name: str
    type: str
    default: Any = None
    choices: tuple[str, ...] = ()

    def accepts(self, value: Any) -> bool:
        """Tell whether a value has the parameter's type and, if it has choices, is one of them."""
        is_kind = isinstance(value, _KINDS[self.type]) and (self.type == "Boolean") == isinstance(value, bool)
        if is_kind and self.type == "Float" and abs(value) > _GREATEST:
            return False
        return is_kind and (not self.choices or value in self.choices)

    @property
    def expected(self) -> str:
        """What a value must be, for people."""
        kind = {"String": "text", "Integer": "an integer", "Float": "a number", "Boolean": "true or false"}
        return f"one of {', '.join(self.choices)}" if self.choices else kind[self.type]


@dataclass(frozen=True, slots=True)
class PipelineStep:
    """A step; `within` are the conditions that decide whether it runs, the outermost first."""

    name: str
    type: str
    arguments: Mapping[str, Any]
    document: Mapping[str, Any]
    within: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Definition:
    """A pipeline: its parameters by name, and all its steps, those of branches behind their condition."""

    parameters: Mapping[str, Parameter]
    steps: tuple[PipelineStep, ...]

    def of_type(self, *types: str) -> list[PipelineStep]:
        return [step for step in self.steps if step.type in types]


def read(data: bytes) -> Definition:
    """Read a definition; raises DefinitionError if it has no such shape."""
    document = _object(data)
    if (version := document.get("Version")) != VERSION:
        raise DefinitionError([f"its Version is {version!r}: expected {VERSION!r}"])
    problems: list[str] = []
    parameters = [each for each in _parameters(document, problems) if each is not None]
    steps = tuple(_steps(document.get("Steps"), (), problems))
    problems += _twice("parameter", [each.name for each in parameters])
    problems += _twice("step", [step.name for step in steps])
    if not steps and not problems:
        problems.append("it has no Steps: expected a list of at least one")
    if problems:
        raise DefinitionError(problems)
    return Definition({each.name: each for each in parameters}, steps)


def references(value: Any) -> Iterator[str]:
    """Yield all that a value refers to by `Get`, such as `Steps.Train.ModelArtifacts.S3ModelArtifacts`."""
    if isinstance(value, Mapping):
        if value.keys() == {"Get"}:
            yield str(value["Get"])
            return
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def part(value: Any, *names: str) -> Mapping[str, Any]:
    """Return the map at the end of members; an empty one if something else is on the way."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def without_cache(text: str) -> str:
    """Return a definition whose steps are all computed anew; the same text if none says otherwise."""
    document = json.loads(text)
    found = [*_cached(document.get("Steps"))]
    for step in found:
        del step["CacheConfig"]
    return json.dumps(document) if found else text


def _cached(steps: Any) -> Iterator[dict[str, Any]]:
    """Yield the steps that say something of their cache, those of branches too."""
    for step in steps if isinstance(steps, list) else ():
        if "CacheConfig" in step:
            yield step
        for branch in _BRANCHES if step.get("Type") in _BRANCHING else ():
            yield from _cached(part(step, "Arguments").get(branch))


def images(definition: Definition) -> dict[str, str]:
    """Return the images that steps name, by step, as far as no parameter gives them."""
    return {
        step.name: image
        for step in definition.steps
        if step.type not in _BRANCHING
        for image in _images(step.arguments)
    }


def _images(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for inner in value:
            yield from _images(inner)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if name in _IMAGES and isinstance(inner, str):
                yield inner
            else:
                yield from _images(inner)


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        text = data.decode("utf-8")
        document = json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise DefinitionError([_TOO_DEEP]) from None
    except ValueError as error:
        raise DefinitionError([f"it is no JSON: {error}"]) from None
    if len(text) > MAX_CHARACTERS:
        raise DefinitionError([f"it has {len(text):,} characters, SageMaker takes {MAX_CHARACTERS:,}"])
    if not isinstance(document, Mapping):
        raise DefinitionError(["it is no JSON object: expected Version, Parameters and Steps"])
    if _is_deeper(document, _MAX_DEPTH):
        raise DefinitionError([_TOO_DEEP])
    return document


def _is_deeper(value: Any, depth: int) -> bool:
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return bool(inner) and (depth == 0 or any(_is_deeper(each, depth - 1) for each in inner))


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _parameters(document: Mapping[str, Any], problems: list[str]) -> Iterator[Parameter | None]:
    declared = document.get("Parameters") or []
    if not isinstance(declared, list):
        problems.append(f"Parameters is {quoted(declared)}: expected a list")
        return
    for index, given in enumerate(declared):
        name, kind = (given.get("Name"), given.get("Type")) if isinstance(given, Mapping) else (None, None)
        if not isinstance(name, str) or not isinstance(kind, str) or kind not in _KINDS:
            problems.append(
                f"Parameters[{index}] is {quoted(given)}: expected Name and a Type of {', '.join(_KINDS)}"
            )
            continue
        choices = given.get("EnumValues") or []
        if not isinstance(choices, list) or not all(isinstance(each, str) for each in choices):
            problems.append(f"the parameter {name} has the EnumValues {quoted(choices)}: expected texts")
            continue
        found = Parameter(name, kind, given.get("DefaultValue"), tuple(choices))
        if found.default is not None and not found.accepts(found.default):
            problems.append(
                f"the parameter {name} has the default {quoted(found.default)}: expected {found.expected}"
            )
        yield found


def _steps(given: Any, within: tuple[str, ...], problems: list[str]) -> Iterator[PipelineStep]:
    if not isinstance(given, list | None):
        problems.append(f"the steps {'of ' + within[-1] if within else ''} are no list".replace("  ", " "))
        return
    for index, each in enumerate(given or ()):
        fields = each if isinstance(each, Mapping) else {}
        name, kind, arguments = fields.get("Name"), fields.get("Type"), fields.get("Arguments", {})
        if not isinstance(name, str) or not isinstance(kind, str) or not isinstance(arguments, Mapping):
            where = f"Steps[{index}]{' of ' + within[-1] if within else ''}"
            problems.append(f"{where} is {quoted(each)}: expected Name, Type and Arguments")
            continue
        waits = fields.get("DependsOn") or []
        if not isinstance(waits, list) or not all(isinstance(each, str) for each in waits):
            problems.append(f"the step {name} has the DependsOn {quoted(waits)}: expected names of steps")
            continue
        yield PipelineStep(name, kind, arguments, fields, within)
        if kind == "Condition":
            for branch in _BRANCHES:
                yield from _steps(arguments.get(branch), (*within, name), problems)


def _twice(what: str, names: Sequence[str]) -> list[str]:
    repeated = dict.fromkeys(name for name in names if names.count(name) > 1)
    return [f"the {what} {name} is there {names.count(name)} times: expected once" for name in repeated]
