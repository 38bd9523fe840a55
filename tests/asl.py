"""Read state machine definitions and say what is wrong with them; linters and deployment miss most of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

Definition = dict[str, Any]

_PLACEHOLDER = re.compile(r"\$\{([^}]+)\}")


# libyaml reads a template ten times as fast, where PyYAML was built with it.
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _TemplateLoader(_SafeLoader):  # type: ignore[misc]
    """Safe YAML in which CloudFormation's short tags are their plain values.

    What the stack makes itself is read as if it was made: `!If [MakesX, made, existing]` is `made`.
    """


def _untagged(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        values = loader.construct_sequence(node, deep=True)
        if suffix == "If" and str(values[0]).startswith("Makes"):
            return values[1]
        if suffix == "Sub":
            return _PLACEHOLDER.sub(lambda name: f"${{{values[1].get(name[1], name[1])}}}", values[0])
        return values
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


_TemplateLoader.add_multi_constructor("!", _untagged)


def load(path: Path) -> Definition:
    """The definition in a file."""
    definition: Definition = yaml.load(path.read_text(), Loader=_SafeLoader)  # noqa: S506 - a safe loader
    return definition


def load_template(path: Path) -> dict[str, Any]:
    """A CloudFormation template."""
    template: dict[str, Any] = yaml.load(path.read_text(), Loader=_TemplateLoader)  # noqa: S506 - a safe loader
    return template


def substitutions(template: Mapping[str, Any]) -> dict[str, set[str]]:
    """The DefinitionSubstitutions' names of every state machine, by its DefinitionUri."""
    return {
        resource["Properties"]["DefinitionUri"]: set(
            resource["Properties"].get("DefinitionSubstitutions", {})
        )
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::Serverless::StateMachine"
    }


def placeholders(value: Any) -> set[str]:
    """The names of all `${...}` in a definition."""
    if isinstance(value, str):
        return set(_PLACEHOLDER.findall(value))
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return {name for child in children for name in placeholders(child)}


def problems(definition: Definition, is_caught: bool = False, where: str = "") -> Iterator[str]:
    """What is wrong with a machine, and with the machines inside it.

    `is_caught` says that an enclosing Map or Parallel state catches what is not caught within.
    """
    states: dict[str, Definition] = definition["States"]
    start = definition.get("StartAt")
    if start not in states:
        yield f"{where}StartAt: {start} is not a state"
    for name, state in states.items():
        path = f"{where}{name}"
        yield from (f"{path}: {target} is not a state" for target in _targets(state) if target not in states)
        yield from (f"{path}: {problem}" for problem in _state_problems(state, is_caught))
        for machine in _machines(state):
            yield from problems(machine, is_caught or "Catch" in state, f"{path}/")
    yield from (
        f"{where}{name}: cannot be reached" for name in sorted(set(states) - _reachable(start, states))
    )


def _targets(state: Definition) -> list[str]:
    choices = state.get("Choices", []) + state.get("Catch", [])
    return [state[key] for key in ("Next", "Default") if key in state] + [each["Next"] for each in choices]


def _machines(state: Definition) -> list[Definition]:
    nested = [state[key] for key in ("ItemProcessor", "Iterator") if key in state]
    return nested + list(state.get("Branches", []))


def _reachable(start: Any, states: Mapping[str, Definition]) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in states and name not in reached:
            reached.add(name)
            waiting += _targets(states[name])
    return reached


def _state_problems(state: Definition, is_caught: bool) -> Iterator[str]:
    kind = state.get("Type")
    ends = [key for key in ("Next", "End") if key in state]
    if kind not in ("Choice", "Succeed", "Fail") and len(ends) != 1:
        yield f"has {' and '.join(ends) or 'neither Next nor End'}"
    if kind == "Choice" and "Default" not in state:
        yield "has no Default"
    if kind == "Task":
        yield from _task_problems(state, is_caught)
    for field in ("Retry", "Catch"):
        yield from _wildcard_problems(field, state.get(field, []))


def _task_problems(state: Definition, is_caught: bool) -> Iterator[str]:
    if not {"TimeoutSeconds", "TimeoutSecondsPath"} & set(state):
        yield "has no TimeoutSeconds"
    if not state.get("Retry"):
        yield "has no Retry"
    if not (state.get("Catch") or is_caught):
        yield "has no Catch, and nothing around it has one"


def _wildcard_problems(field: str, handlers: list[Definition]) -> Iterator[str]:
    """AWS refuses a definition in which States.ALL is not alone in the last handler."""
    for position, handler in enumerate(handlers, start=1):
        errors = handler["ErrorEquals"]
        if "States.ALL" in errors and (len(errors) > 1 or position < len(handlers)):
            yield f"{field} has States.ALL, which must be alone and last"
