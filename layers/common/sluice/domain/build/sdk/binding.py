"""Give a pipeline's parameters their values: what pipeline.yaml and people say, and what a run knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sluice.domain.build.sdk.definitions import Definition, Parameter
from sluice.domain.config.build import CONVENTIONAL, Build, Fact
from sluice.domain.nearest import hint


def resolved(build: Build, definition: Definition) -> Build:
    """Return what pipeline.yaml says with all that a run needs: each parameter's value, and each bound fact.

    So the config alone says what a run may override, and what it is to be given.
    """
    bound = {fact: build.parameter(fact) for fact in CONVENTIONAL if _is_there(build, definition, fact)}
    values = {
        name: _typed(each, build.parameters.get(name, each.default))
        for name, each in definition.parameters.items()
        if name not in bound.values()
    }
    return build.model_copy(update={"parameters": values, "bind": bound})


def problems(build: Build, definition: Definition) -> Iterator[str]:
    """Yield what is wrong with the parameters that pipeline.yaml names."""
    known = definition.parameters
    bound = {build.parameter(fact): fact for fact in CONVENTIONAL if _is_there(build, definition, fact)}
    for fact, name in build.bind.items():
        if name not in known and fact != "input_manifest":
            yield f"build.bind.{fact} names {name}, which is no parameter of the pipeline{hint(name, known)}"
    for name, value in build.parameters.items():
        if name not in known:
            shown, near = ", ".join(known) or "none", hint(name, known)
            yield f"build.parameters.{name} is no parameter of the pipeline, which has {shown}{near}"
        elif name in bound:
            yield f"build.parameters.{name} is given, and a run gives it as its {bound[name]}: take it out"
        elif not known[name].accepts(value):
            yield f"build.parameters.{name} is {value!r}: expected {known[name].expected}"
    for name, each in known.items():
        if each.default is None and name not in bound and name not in build.parameters:
            yield f"the parameter {name} has no default: give it a value in build.parameters.{name}"


def arguments(build: Build, facts: Mapping[Fact, str]) -> dict[str, str]:
    """Return the values of an execution's parameters, as StartPipelineExecution takes them."""
    known = {name: facts[fact] for fact, name in build.bind.items()}
    return {**{name: str(value) for name, value in build.parameters.items()}, **known}


def _is_there(build: Build, definition: Definition, fact: Fact) -> bool:
    return build.parameter(fact) in definition.parameters


def _typed(parameter: Parameter, value: Any) -> Any:
    """Return a value as its type's own: 1 of a Float is 1.0, so that 0.5 may take its place."""
    return float(value) if parameter.type == "Float" and not isinstance(value, float) else value
