"""Tuning steps: what they search and by which metric, as far as the definition says it without references."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sluice_local.sagemaker.jobs.tuning import objectives, space
from sluice_local.sagemaker.jobs.tuning.space import SpaceError
from sluice_local.sagemaker.pipelines.definition import references
from sluice_local.sagemaker.pipelines.definition.errors import DefinitionError


def check(name: str, arguments: Mapping[str, Any]) -> None:
    """Raise DefinitionError for a search that cannot be made; the arguments keep the request's model."""
    for fault in _faults(arguments):
        raise DefinitionError(f"Step {name}: {fault}.")


def _faults(arguments: Mapping[str, Any]) -> Iterator[str]:
    if "Autotune" in arguments:
        yield "the local SageMaker has no Autotune; give ranges and a strategy"
    config = _known(arguments.get("HyperParameterTuningJobConfig"))
    definitions = _definitions(arguments)
    if not definitions:
        yield "Arguments must have either TrainingJobDefinition or TrainingJobDefinitions"
    for place, definition in definitions.items():
        objective = definition.get("TuningObjective") or config.get("HyperParameterTuningJobObjective")
        yield from _objective_faults(place, objective, _known(definition.get("AlgorithmSpecification")))
    ranges = {
        f"{place}.HyperParameterRanges": each.get("HyperParameterRanges")
        for place, each in definitions.items()
    }
    ranges["Arguments.HyperParameterTuningJobConfig.ParameterRanges"] = config.get("ParameterRanges")
    for place, given in ranges.items():
        if given is not None:
            yield from _range_faults(place, given, config.get("Strategy"))


def _definitions(arguments: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the definitions of training jobs, each by its place; none if both members say them."""
    one, several = arguments.get("TrainingJobDefinition"), arguments.get("TrainingJobDefinitions")
    if one is not None and several is not None:
        return {}
    found = {"Arguments.TrainingJobDefinition": _known(one)} if one is not None else {}
    return found | {
        f"Arguments.TrainingJobDefinitions[{position}]": _known(each)
        for position, each in enumerate(several if isinstance(several, list) else ())
    }


def _known(value: Any) -> Mapping[str, Any]:
    """Return what a definition says of a structure: nothing, if it leaves it out or refers to it."""
    return value if isinstance(value, dict) and not references.function_of(value) else {}


def _objective_faults(place: str, objective: Any, algorithm: Mapping[str, Any]) -> Iterator[str]:
    if any(references.found_in([objective, algorithm.get("MetricDefinitions")])):
        return
    if fault := objectives.fault(objective, algorithm):
        yield f"{place}: {fault}"


def _range_faults(place: str, ranges: Any, strategy: Any) -> Iterator[str]:
    if any(references.found_in(ranges)):
        return
    try:
        found = space.read(ranges)
        if strategy == "Grid":
            space.grid(found)
    except SpaceError as error:
        yield f"{place}: {error}"
