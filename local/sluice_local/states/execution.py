"""Run an execution of a state machine, from its start or from where it failed, to its end."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from sluice_local.states.data import dumps, stamp
from sluice_local.states.errors import ExecutionError
from sluice_local.states.history import End, Execution, Trail, trail_of
from sluice_local.states.machine import Machine
from sluice_local.states.outside import Context, Outside
from sluice_local.states.scope import StoppedError, StopScope

_logger = logging.getLogger(__name__)


def run(
    execution: Execution,
    machine: dict[str, Any],
    outside: Outside,
    scope: StopScope,
    close: Callable[[End], object],
) -> None:
    """Run an execution of a `machine` ("definition", "name", "roleArn"); `close` gets its end.

    A stop of the scope from outside has already closed the execution.
    """
    try:
        if execution["status"] == "RUNNING":  # not stopped before this began
            close(End("SUCCEEDED", output=dumps(_output(execution, machine, outside, scope, close))))
    except StoppedError:
        return
    except ExecutionError as error:
        close(End("FAILED", error.error, error.cause))
    except Exception as error:
        _logger.exception("the execution %s", execution["executionArn"])
        close(End("FAILED", "States.Runtime", str(error)))


def _output(
    execution: Execution,
    machine: dict[str, Any],
    outside: Outside,
    scope: StopScope,
    close: Callable[[End], object],
) -> Any:
    # An execution keeps its definition even if the machine changes.
    definition = json.loads(execution.setdefault("definition", machine["definition"]))
    progress = execution.setdefault("progress", {"input": json.loads(execution["input"])})
    limit_s = definition.get("TimeoutSeconds")
    if limit_s is not None:  # a redrive has the full limit again
        scope.limit(limit_s, lambda: close(End("TIMED_OUT", "States.Timeout")))
    context = _context(execution, machine, definition)
    return Machine(definition, progress, context, scope, trail(execution, outside), outside).run()


def run_child(
    definition: dict[str, Any],
    value: Any,
    execution: Execution,
    context: Context,
    scope: StopScope,
    outside: Outside,
) -> Any:
    """Run a child of a Distributed Map, which is its own `execution`; returns its output."""
    return Machine(definition, {"input": value}, context, scope, trail(execution, outside), outside).run()


def trail(execution: Execution, outside: Outside) -> Trail:
    """Return the trail of an execution that begins or continues."""
    return trail_of(execution, lambda: stamp(outside.now()))


def _context(execution: Execution, machine: dict[str, Any], definition: dict[str, Any]) -> Context:
    return {
        "QueryLanguage": definition.get("QueryLanguage", "JSONPath"),
        "Execution": {
            "Id": execution["executionArn"],
            "Input": json.loads(execution["input"]),
            "Name": execution["name"],
            "RoleArn": machine["roleArn"],
            "StartTime": execution["startDate"],
            "RedriveCount": execution.get("redriveCount", 0),
        },
        "StateMachine": {"Id": execution["stateMachineArn"], "Name": machine["name"]},
        "variables": {},
    }
