"""Evaluate fields of Wait, Task and Map states: a value, a path or an expression. Pure."""

from __future__ import annotations

import copy
from datetime import datetime
from typing import Any

from sluice_local.states.data import dumps, is_number, moment
from sluice_local.states.errors import ExecutionError
from sluice_local.states.jsonata import Jsonata
from sluice_local.states.language import Language
from sluice_local.states.outside import Context, State

_INLINE_MAP_CONCURRENCY = 40


def seconds_to_wait(language: Language, value: Any, now: datetime) -> float:
    """Return how long a Wait state waits."""
    seconds = language.field("Seconds", "number", value)
    if seconds is not None:
        if isinstance(language, Jsonata) and not (float(seconds).is_integer() and seconds >= 0):
            cause = f"Seconds must be a whole number that is not negative, but was: {dumps(seconds)}"
            raise ExecutionError("States.QueryEvaluationError", cause)
        return float(seconds)
    text = language.field("Timestamp", "string", value)
    until = moment(text)
    if until is None:
        name = "QueryEvaluationError" if isinstance(language, Jsonata) else "Runtime"
        raise ExecutionError(f"States.{name}", f"'{text}' is not a timestamp")
    return max((until - now).total_seconds(), 0.0)


def seconds_of_task(language: Language, field: str, value: Any) -> float | None:
    """Return TimeoutSeconds or HeartbeatSeconds of a Task."""
    seconds = language.field(field, "number", value)
    if seconds is not None and not (is_number(seconds) and seconds > 0):
        raise ExecutionError("States.Runtime", f"{field} must be a positive number, but was {dumps(seconds)}")
    return seconds  # type: ignore[no-any-return]


def items(state: State, language: Language, value: Any) -> list[Any]:
    """Return the items that a Map state iterates over."""
    found = language.items(value)
    if not isinstance(found, list):
        path = state.get("ItemsPath", "$")
        raise ExecutionError("States.Runtime", f"Reference path '{path}' must point to array.")
    return found


def item_context(context: Context, index: int, item: Any) -> Context:
    """Return the context object of one iteration."""
    return {**copy.deepcopy(context), "Map": {"Item": {"Index": index, "Value": item}}}


def item_input(state: State, language: Language, value: Any, context: Context) -> Any:
    """Apply ItemSelector (formerly Parameters) to the Map state's input, or return the item unchanged."""
    selector = state.get("ItemSelector") or state.get("Parameters")
    return language.selected(selector, value, context) if selector else context["Map"]["Item"]["Value"]


def concurrency(language: Language, value: Any) -> int:
    """Return MaxConcurrency; zero or none means the limit of an inline Map."""
    limit = language.field("MaxConcurrency", "number", value)
    if not (limit is None or (isinstance(limit, int) and limit >= 0)):
        raise ExecutionError("States.Runtime", f"MaxConcurrency may not be {dumps(limit)}")
    return min(limit or _INLINE_MAP_CONCURRENCY, _INLINE_MAP_CONCURRENCY)
