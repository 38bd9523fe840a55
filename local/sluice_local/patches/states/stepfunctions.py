"""Step Functions, as AWS does it: starts that may be repeated, stops that stop, and redrives.

Stock ministack sleeps before it runs, ignores HeartbeatSeconds and the machine's TimeoutSeconds, waits for a
token whose function failed, and lets what runs go on after StopExecution. Its interpreter is replaced; its
store, its data flow functions and its service integrations are used.
"""

from __future__ import annotations

import contextvars
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ministack.services import stepfunctions

from sluice_local.patches.states import data, tokens
from sluice_local.patches.states.data import PAYLOAD_LIMIT_BYTES, dumps
from sluice_local.patches.states.history import (
    Execution,
    Trail,
    announce,
    close,
    publish_forever,
    redrive_status,
    reopen,
)
from sluice_local.patches.states.machine import Machine, run_child_workflow
from sluice_local.patches.states.responses import Response, answer, refuse
from sluice_local.patches.states.scope import StoppedError, StopScope
from sluice_local.patches.states.tasks import call_lambda
from sluice_local.settings import Settings

Operation = Callable[[dict[str, Any]], Response]

_NAME = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}")
_logger = logging.getLogger(__name__)
_starting = threading.Lock()
_running: dict[str, StopScope] = {}


def install(settings: Settings) -> None:
    """Replace the interpreter and the operations on executions and tokens."""
    data.install()
    stepfunctions._call_lambda = call_lambda
    stepfunctions._run_execution = run_execution
    stepfunctions._run_sub_machine = run_child_workflow
    stepfunctions._emit_execution_status_event = announce
    stepfunctions._start_execution = _idempotent(stepfunctions._start_execution)
    stepfunctions._stop_execution = _stop_execution
    stepfunctions._describe_execution = _with_redrive_members(stepfunctions._describe_execution)
    stepfunctions._send_task_success = tokens.send_task_success
    stepfunctions._send_task_failure = tokens.send_task_failure
    stepfunctions._send_task_heartbeat = tokens.send_task_heartbeat
    stepfunctions.handle_request = _with_redrive_execution(stepfunctions.handle_request)
    threading.Thread(target=publish_forever, name="execution-status", daemon=True).start()


def run_execution(execution_arn: str) -> None:
    """Run an execution from its start, or from where it failed, to its end."""
    execution = stepfunctions._executions[execution_arn]
    scope = _running[execution_arn] = StopScope()
    try:
        if execution["status"] == "RUNNING":  # not stopped before this thread began
            _run(execution, scope)
    except StoppedError:
        return
    except stepfunctions._ExecutionError as error:
        _fail(execution, error.error, error.cause)
    except Exception as error:
        _logger.exception("the execution %s", execution_arn)
        _fail(execution, "States.Runtime", str(error))
    finally:
        if _running.get(execution_arn) is scope:
            del _running[execution_arn]


def _run(execution: Execution, scope: StopScope) -> None:
    machine = stepfunctions._state_machines[execution["stateMachineArn"]]
    # An execution keeps its definition, whatever becomes of the machine.
    definition = json.loads(execution.setdefault("definition", machine["definition"]))
    progress = execution.setdefault("progress", {"input": json.loads(execution["input"])})
    context = {
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
    with _deadline(execution, scope, definition.get("TimeoutSeconds")):
        output = Machine(definition, progress, context, execution, scope, Trail(execution)).run()
    text = dumps(output)
    details = {"output": text, "outputDetails": {"truncated": False}}
    close(execution, "SUCCEEDED", "ExecutionSucceeded", details, output=text)


@contextmanager
def _deadline(execution: Execution, scope: StopScope, limit_s: float | None) -> Iterator[None]:
    """End the execution as TIMED_OUT after `limit_s`; a redrive has all of it again."""
    if limit_s is None:
        yield
        return

    def time_out() -> None:
        outcome = {"error": "States.Timeout"}
        if close(execution, "TIMED_OUT", "ExecutionTimedOut", outcome, **outcome):
            scope.stop()

    timer = threading.Timer(min(limit_s, threading.TIMEOUT_MAX), contextvars.copy_context().run, (time_out,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _fail(execution: Execution, error: str, cause: str) -> None:
    outcome = {"error": error, "cause": cause}
    close(execution, "FAILED", "ExecutionFailed", outcome, **outcome)


def _idempotent(start_execution: Operation) -> Operation:
    """The same name and input while the first runs is the same start; any other repetition is refused."""

    def start(request: dict[str, Any]) -> Response:
        refusal = _invalid_start(request)
        if refusal:
            return refusal
        with _starting:
            running = _execution_named(request)
            if running and running["status"] == "RUNNING" and running["input"] == request.get("input", "{}"):
                return answer({"executionArn": running["executionArn"], "startDate": running["startDate"]})
            return start_execution(request)

    return start


def _invalid_start(request: Mapping[str, Any]) -> Response | None:
    name, text = request.get("name"), request.get("input", "{}")
    if name is not None and not _NAME.fullmatch(name):
        return refuse("InvalidName", f"Invalid Name: '{name}'")
    if len(text.encode()) > PAYLOAD_LIMIT_BYTES:
        message = "Value at 'input' failed to satisfy constraint: Member must have length at most 262144"
        return refuse("ValidationException", message)
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        message = f"Invalid State Machine Execution Input: '{error}'"
        return refuse("InvalidExecutionInput", message)
    return None


def _execution_named(request: Mapping[str, Any]) -> Execution | None:
    arn = stepfunctions._resolve_state_machine_arn(request.get("stateMachineArn", ""))
    if arn is None or "name" not in request:
        return None
    prefix = arn.replace(":stateMachine:", ":execution:", 1)
    execution: Execution | None = stepfunctions._executions.get(f"{prefix}:{request['name']}")
    return execution


def _stop_execution(request: Mapping[str, Any]) -> Response:
    arn = request.get("executionArn", "")
    execution = stepfunctions._executions.get(arn)
    if execution is None:
        return _does_not_exist(arn)
    outcome = {"error": request.get("error"), "cause": request.get("cause")}
    if close(execution, "ABORTED", "ExecutionAborted", outcome, **outcome):
        scope = _running.get(arn)
        if scope is not None:
            scope.stop()
    elif execution["status"] != "ABORTED":
        return refuse("ValidationException", "Execution is not running")
    return answer({"stopDate": execution["stopDate"]})


def _redrive_execution(request: Mapping[str, Any]) -> Response:
    arn = request.get("executionArn", "")
    execution = stepfunctions._executions.get(arn)
    if execution is None:
        return _does_not_exist(arn)
    with _starting:
        status = redrive_status(execution)
        if status["redriveStatus"] != "REDRIVABLE":
            return refuse("ExecutionNotRedrivable", status["redriveStatusReason"])
        reopen(execution)
    # By its name in the module, since other patches wrap it.
    run = stepfunctions._run_execution
    threading.Thread(target=contextvars.copy_context().run, args=(run, arn), daemon=True).start()
    return answer({"redriveDate": execution["redriveDate"]})


def _with_redrive_execution(handle_request: Callable[..., Any]) -> Callable[..., Any]:
    async def handle(method: str, path: str, headers: Any, body: bytes, query: Any) -> Any:
        if headers.get("x-amz-target", "").endswith(".RedriveExecution"):
            return stepfunctions._finalize_response(_redrive_execution(json.loads(body or b"{}")))
        return await handle_request(method, path, headers, body, query)

    return handle


def _with_redrive_members(describe_execution: Operation) -> Operation:
    def describe(request: dict[str, Any]) -> Response:
        execution = stepfunctions._executions.get(request.get("executionArn"))
        response = describe_execution(request)
        if execution is None:
            return response
        described = json.loads(response[2]) | redrive_status(execution)
        return answer(described)

    return describe


def _does_not_exist(arn: str) -> Response:
    message = f"Execution Does Not Exist: '{arn}'"
    return refuse("ExecutionDoesNotExist", message)
