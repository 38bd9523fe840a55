"""Say what is wrong with a state machine's definition, before it is stored. Pure.

The codes, words and places are those of Step Functions, as far as people published what it answered.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

State = Mapping[str, Any]

_TASK, _PARALLEL, _MAP = "Task", "Parallel", "Map"
_ENDS = ("Succeed", "Fail")
_REQUIRED: dict[str, tuple[str, ...]] = {
    "Pass": (),
    _TASK: ("Resource",),
    "Choice": ("Choices",),
    "Wait": (),
    "Succeed": (),
    "Fail": (),
    _PARALLEL: ("Branches",),
    _MAP: (),
}
# The fields that only some types have.
_SUPPORTED = {
    "TimeoutSeconds": (_TASK,),
    "TimeoutSecondsPath": (_TASK,),
    "HeartbeatSeconds": (_TASK,),
    "HeartbeatSecondsPath": (_TASK,),
    "Retry": (_TASK, _PARALLEL, _MAP),
    "Catch": (_TASK, _PARALLEL, _MAP),
    "Next": ("Pass", _TASK, "Wait", _PARALLEL, _MAP),
    "End": ("Pass", _TASK, "Wait", _PARALLEL, _MAP),
}
_INVALID = "SCHEMA_VALIDATION_FAILED"


@dataclass(frozen=True, slots=True)
class Problem:
    """A reason to refuse a definition, and where it is; a workflow as a whole is no place."""

    code: str
    message: str
    location: str | None = None

    def __str__(self) -> str:
        return f"{self.code}: {self.message} at {self.location or 'null'}"


def refusal(text: str) -> str | None:
    """Return the message of the error InvalidDefinition; None for a definition that can be stored."""
    found = ", ".join(map(str, problems(text)))
    return f"Invalid State Machine Definition: '{found}'" if found else None


def problems(text: str) -> list[Problem]:
    """Return what is wrong with a definition in JSON; of an invalid one, transitions are not followed."""
    try:
        definition = json.loads(text)
    except ValueError as error:
        return [Problem("INVALID_JSON_DESCRIPTION", f"Invalid JSON description: {error}")]
    invalid = list(_fields_of_machine(definition, ""))
    return invalid or list(_transitions(definition, ""))


def _fields_of_machine(machine: Any, at: str) -> Iterator[Problem]:
    if not isinstance(machine, Mapping):
        yield Problem(_INVALID, "Value is not valid", at or "/")
        return
    missing = [name for name in ("StartAt", "States") if name not in machine]
    if missing:
        yield Problem(_INVALID, f"These fields are required: [{', '.join(missing)}]", at or "/")
    elif not isinstance(machine["States"], Mapping) or not machine["States"]:
        yield Problem(_INVALID, "Value is not valid", f"{at}/States")
    else:
        for name, state in machine["States"].items():
            yield from _fields_of_state(state, f"{at}/States/{name}")


def _fields_of_state(state: Any, at: str) -> Iterator[Problem]:
    kind = state.get("Type") if isinstance(state, Mapping) else None
    if kind not in _REQUIRED:
        yield Problem(_INVALID, "Value is not valid", f"{at}/Type" if isinstance(state, Mapping) else at)
        return
    missing = [name for name in _REQUIRED[kind] if name not in state]
    if kind == _MAP and not {"ItemProcessor", "Iterator"} & set(state):
        missing.append("ItemProcessor")
    if kind in _SUPPORTED["Next"] and "Next" not in state and state.get("End") is not True:
        missing.append("Next")
    if missing:
        yield Problem(_INVALID, f"These fields are required: [{', '.join(missing)}]", at)
    for name, kinds in _SUPPORTED.items():
        if name in state and kind not in kinds:
            yield Problem(_INVALID, f"Field '{name}' is not supported", at)
    for inner, machine in _machines_in(state):
        yield from _fields_of_machine(machine, f"{at}/{inner}")


def _machines_in(state: State) -> Iterator[tuple[str, Any]]:
    """Yield the machines inside of a Map or Parallel state, each with its place."""
    if state["Type"] == _MAP:
        yield from ((name, state[name]) for name in ("ItemProcessor", "Iterator") if name in state)
    elif state["Type"] == _PARALLEL:
        yield from ((f"Branches[{index}]", each) for index, each in enumerate(state.get("Branches", ())))


def _transitions(machine: Mapping[str, Any], at: str) -> Iterator[Problem]:
    states: Mapping[str, State] = machine["States"]
    leads = {name: dict(_targets(state)) for name, state in states.items()}
    named = [("/StartAt", machine["StartAt"])]
    for name, targets in leads.items():
        named += [(f"/States/{name}/{place}", target) for place, target in targets.items()]
    for place, target in named:
        if target not in states:
            yield Problem("MISSING_TRANSITION_TARGET", f"Missing 'Next' target: {target}", f"{at}{place}")
    if any(state["Type"] in _ENDS or state.get("End") is True for state in states.values()):
        reached = _reached(machine["StartAt"], leads)
        for name in states.keys() - reached:
            message = f'State "{name}" is not reachable.'
            yield Problem("MISSING_TRANSITION_TARGET", message, f"{at}/States/{name}")
    else:
        yield Problem("MISSING_END_STATE", "Workflow has no terminal state")
    for name, state in states.items():
        for inner, nested in _machines_in(state):
            yield from _transitions(nested, f"{at}/States/{name}/{inner}")


def _targets(state: State) -> Iterator[tuple[str, str]]:
    """Yield where a state leads to, with the place that says so."""
    for field in ("Next", "Default"):
        if field in state:
            yield field, state[field]
    for field in ("Choices", "Catch"):
        for index, each in enumerate(state.get(field, ())):
            if "Next" in each:
                yield f"{field}[{index}]/Next", each["Next"]


def _reached(start: str, leads: Mapping[str, Mapping[str, str]]) -> set[str]:
    reached, following = set[str](), [start]
    while following:
        name = following.pop()
        if name not in reached:
            reached.add(name)
            following += leads.get(name, {}).values()
    return reached
