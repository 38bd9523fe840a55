"""Fields of Wait and Map states, given as a value, a path or an expression."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

from ministack.services import stepfunctions

from sluice_local.patches.states.data import dumps
from sluice_local.patches.states.tasks import Context, State

_INLINE_MAP_CONCURRENCY = 40


def seconds_to_wait(state: State, value: Any, context: Context) -> float:
    """How long a Wait state waits."""
    jsonata = stepfunctions._state_query_language(state, context) == "JSONata"
    effective = value if jsonata else stepfunctions._apply_input_path(state, value, context)
    if "Seconds" in state:
        return float(
            stepfunctions._jsonata_wait_seconds(state, value, context) if jsonata else state["Seconds"]
        )
    if "SecondsPath" in state:
        return float(stepfunctions._resolve_path_or_ctx(state["SecondsPath"], effective, context))
    if "TimestampPath" in state:
        stamp = stepfunctions._resolve_path_or_ctx(state["TimestampPath"], effective, context)
    else:
        stamp = (
            stepfunctions._jsonata_wait_timestamp(state, value, context) if jsonata else state["Timestamp"]
        )
    moment = stepfunctions._parse_ts(stamp)
    if moment is None:
        raise stepfunctions._ExecutionError("States.Runtime", f"'{stamp}' is not a timestamp")
    return float(max((moment - datetime.now(UTC)).total_seconds(), 0.0))


def items(state: State, value: Any, effective: Any, context: Context) -> list[Any]:
    """What a Map state iterates over."""
    if "Items" in state:
        found = stepfunctions._jsonata_state_field(state, "Items", "array", value, context)
    else:
        found = stepfunctions._resolve_path_or_ctx(state.get("ItemsPath", "$"), effective, context)
    if not isinstance(found, list):
        path = state.get("ItemsPath", "$")
        raise stepfunctions._ExecutionError("States.Runtime", f"Reference path '{path}' must point to array.")
    return found


def item_context(context: Context, index: int, item: Any) -> Context:
    """The context object of one iteration."""
    return {**copy.deepcopy(context), "Map": {"Item": {"Index": index, "Value": item}}}


def item_input(state: State, value: Any, effective: Any, context: Context) -> Any:
    """ItemSelector (once called Parameters) over the Map state's input, or the item as it is."""
    selector = state.get("ItemSelector") or state.get("Parameters")
    if not selector:
        return context["Map"]["Item"]["Value"]
    if stepfunctions._state_query_language(state, context) == "JSONata":
        return stepfunctions._apply_jsonata_template(selector, value, context)
    return stepfunctions._resolve_params_obj(selector, effective, context)


def concurrency(state: State, value: Any, effective: Any, context: Context) -> int:
    """MaxConcurrency; zero, or none, means as many as an inline Map may run."""
    if "MaxConcurrencyPath" in state:
        limit = stepfunctions._resolve_path_or_ctx(state["MaxConcurrencyPath"], effective, context)
    elif isinstance(state.get("MaxConcurrency"), str):
        limit = stepfunctions._jsonata_state_field(state, "MaxConcurrency", "number", value, context)
    else:
        limit = state.get("MaxConcurrency", 0)
    if not (isinstance(limit, int) and limit >= 0):
        raise stepfunctions._ExecutionError("States.Runtime", f"MaxConcurrency may not be {dumps(limit)}")
    return min(limit or _INLINE_MAP_CONCURRENCY, _INLINE_MAP_CONCURRENCY)
