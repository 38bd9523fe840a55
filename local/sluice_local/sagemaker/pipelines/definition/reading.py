"""Read and check a definition as it is given to CreatePipeline and UpdatePipeline."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.model import StructureShape

from sluice_local.sagemaker.pipelines.definition import (
    arguments,
    forms,
    graph,
    parameters,
    references,
    steps,
    tuning,
)
from sluice_local.sagemaker.pipelines.definition.errors import DefinitionError
from sluice_local.sagemaker.pipelines.definition.graph import Graph
from sluice_local.sagemaker.pipelines.definition.parameters import Parameter
from sluice_local.sagemaker.pipelines.definition.references import Reference
from sluice_local.sagemaker.pipelines.definition.steps import Step

VERSION = "2020-12-01"
# What reads and resolves a definition calls itself for each level.
_MAX_DEPTH = 100
_TOO_DEEP = f"The definition is nested too deep: it may have {_MAX_DEPTH} levels."
EXECUTION_VARIABLES = frozenset(
    {
        *("StartDateTime", "CurrentDateTime", "PipelineName", "PipelineArn", "PipelineExecutionId"),
        *("PipelineExecutionArn", "TrainingJobName", "ProcessingJobName"),
    }
)
_FORM = {
    "Parameters": [dict],
    "PipelineExperimentConfig": {"ExperimentName": forms.VALUE, "TrialName": forms.VALUE},
}
# The properties of steps that make no request with a description.
_PROPERTIES = {
    "Condition": ("Outcome",),
    "Lambda": ("OutputParameters",),
    "Callback": ("OutputParameters",),
}


@dataclass(frozen=True, slots=True)
class Request:
    """The request that steps of a type make: its shape, the properties that it gives, what is added."""

    shape: StructureShape
    properties: frozenset[str]
    added: str = ""


Requests = Mapping[str, Request]


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition that can be executed."""

    parameters: Mapping[str, Parameter]
    steps: Mapping[str, Step]
    graph: Graph
    experiment: Mapping[str, Any] | None


def read(text: str, requests: Requests) -> Definition:
    """Read a definition; raises DefinitionError for the first thing that is wrong with it."""
    content = _content(text)
    forms.check("The definition's", content, _FORM)
    declared = parameters.read(content.get("Parameters") or [])
    found: dict[str, Step] = {}
    for step in steps.read(content.get("Steps")):
        if step.name in found:
            raise DefinitionError(f"Step {step.name}: two steps have this name; step names must be unique.")
        found[step.name] = step
    if not found:
        raise DefinitionError("A pipeline needs at least one step.")
    for step in found.values():
        _check_references(step, declared, found, requests)
        _check_arguments(step, requests)
        if step.type == "Tuning":
            tuning.check(step.name, step.arguments)
    return Definition(declared, found, graph.graph_of(found), _experiment(content, declared))


def _experiment(content: Mapping[str, Any], declared: Mapping[str, Parameter]) -> Mapping[str, Any] | None:
    config: Mapping[str, Any] | None = content.get("PipelineExperimentConfig")
    if not config:
        return None
    for member in ("ExperimentName", "TrialName"):
        if config.get(member) is None:
            raise DefinitionError(f"PipelineExperimentConfig needs {member}.")
        for where, name, operand in references.found_in(config[member]):
            for fault in _operand_faults(name, operand, declared, {}, {}):
                raise DefinitionError(f"PipelineExperimentConfig.{member}{where}: {fault}.")
    return config


def _content(text: str) -> Mapping[str, Any]:
    try:
        content = json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise DefinitionError(_TOO_DEEP) from None
    except ValueError as error:
        raise DefinitionError(f"The definition is no valid JSON: {error}.") from error
    if forms.is_deeper(content, _MAX_DEPTH):
        raise DefinitionError(_TOO_DEEP)
    if not isinstance(content, dict) or content.get("Version") != VERSION:
        version = content.get("Version") if isinstance(content, dict) else None
        raise DefinitionError(f"Version must be {VERSION}, not {version!r}.")
    return content


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _check_arguments(step: Step, requests: Requests) -> None:
    if request := requests.get(step.type):
        added = frozenset({request.added})
        for fault in arguments.faults(request.shape, step.arguments, "Arguments", added):
            raise DefinitionError(f"Step {step.name}: {fault}.")


def _check_references(
    step: Step, declared: Mapping[str, Parameter], found: Mapping[str, Step], requests: Requests
) -> None:
    for name in step.depends_on:
        if name not in found:
            raise DefinitionError(f"Step {step.name}: DependsOn names {name}, and there is no such step.")
        if found[name].type == "Fail":
            raise DefinitionError(f"{step.name} can not depends on {name}: a Fail step ends the execution.")
    for where, name, operand in references.found_in(step.told()):
        place = f"Step {step.name}: {where.removeprefix('.')}"
        for fault in _operand_faults(name, operand, declared, found, requests):
            raise DefinitionError(f"{place}: {fault}.")


def _operand_faults(
    name: str, operand: Any, declared: Mapping[str, Parameter], found: Mapping[str, Step], requests: Requests
) -> Iterator[str]:
    if name == references.JOIN:
        yield from _join_faults(operand)
    elif name == references.JSON_GET:
        yield from _json_get_faults(operand)
    else:
        try:
            reference = references.parse(operand)
        except ValueError as error:
            yield str(error)
        else:
            yield from _reference_faults(reference, declared, found, requests)


def _join_faults(operand: Any) -> Iterator[str]:
    values = operand.get("Values") if isinstance(operand, dict) else None
    if not isinstance(values, list) or not isinstance(operand.get("On"), str):
        yield "Std:Join needs On and a list of Values"
        return
    for position, value in enumerate(values):
        if not isinstance(value, str | bool | int | float) and not references.function_of(value):
            yield f"Std:Join needs text or numbers, and Values[{position}] is {value!r}"


def _json_get_faults(operand: Any) -> Iterator[str]:
    if (
        not isinstance(operand, dict)
        or not {"PropertyFile", "S3Uri"} & operand.keys()
        or "Path" not in operand
    ):
        yield "Std:JsonGet needs PropertyFile or S3Uri, and Path"
        return
    for member, value in operand.items():
        if not isinstance(value, str) and not references.function_of(value):
            yield f"Std:JsonGet needs text or a reference as its {member}, not {value!r}"


def _reference_faults(
    reference: Reference, declared: Mapping[str, Parameter], found: Mapping[str, Step], requests: Requests
) -> Iterator[str]:
    known = {"Parameters": declared, "Execution": EXECUTION_VARIABLES, "Steps": found}[reference.root]
    if reference.name not in known:
        shown = ", ".join(sorted(known)) or "none"
        yield f"Get {reference.text!r} names what there is not; {reference.root} has {shown}"
    elif reference.root == "Steps":
        yield from _property_faults(reference, found[reference.name], requests)


def _property_faults(reference: Reference, step: Step, requests: Requests) -> Iterator[str]:
    first, *rest = reference.path
    request = requests.get(step.type)
    if first == "PropertyFiles":
        what, names, wanted = "property file of the step", list(step.property_files), rest[0] if rest else ""
    else:
        what, wanted = f"property of a {step.type} step", first
        names = list(request.properties if request else _PROPERTIES.get(step.type, ()))
    if wanted not in names:
        yield f"Get {reference.text!r} names no {what}; it has {', '.join(sorted(names)) or 'none'}"
