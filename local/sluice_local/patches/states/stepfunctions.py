"""Run Step Functions as AWS does: repeatable starts, stops that stop, and redrives.

Ministack sleeps before it runs, ignores HeartbeatSeconds and the machine's TimeoutSeconds, waits for a token
whose function failed, and lets work continue after StopExecution. `sluice_local.states` replaces its
interpreter; its store, its service integrations and its JSONata stay.
"""

from __future__ import annotations

import contextvars
import json
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

from ministack.services import stepfunctions

from sluice_local.patches.states import definitions, executions, tokens
from sluice_local.patches.states.announcements import announce, publish_forever
from sluice_local.patches.states.ministack import call_lambda, run_child_workflow
from sluice_local.patches.states.responses import Response, answer, refuse
from sluice_local.settings import Settings
from sluice_local.states import choices, intrinsics, paths, templates
from sluice_local.states.data import PAYLOAD_LIMIT_BYTES
from sluice_local.states.errors import ExecutionError
from sluice_local.states.history import Execution, redrive_status

Operation = Callable[[dict[str, Any]], Response]

_NAME = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}")
_starting = threading.Lock()


def install(settings: Settings) -> None:
    """Replace the interpreter and the operations on executions and tokens."""
    _replace_evaluation()
    definitions.install()
    stepfunctions._call_lambda = call_lambda
    stepfunctions._run_execution = executions.run
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


def _replace_evaluation() -> None:
    """Let the rest of ministack's interpreter (TestState, Distributed Maps) evaluate values as ours does."""
    stepfunctions._ExecutionError = ExecutionError
    stepfunctions._resolve_path = lambda path, data: paths.resolve(path or "$", data)
    stepfunctions._resolve_params_obj = lambda template, data, context=None: templates.fill(
        template, data, context or {}
    )
    stepfunctions._evaluate_intrinsic = intrinsics.evaluate
    stepfunctions._evaluate_rule = lambda rule, data, context=None: choices.holds(rule, data, context or {})


def _idempotent(start_execution: Operation) -> Operation:
    """Treat the same name and input during a run as the same start; refuse any other repetition."""

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
    stopped = executions.stop(execution, request.get("error"), request.get("cause"))
    if not stopped and execution["status"] != "ABORTED":
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
        executions.reopen(execution)
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(executions.run, arn), daemon=True).start()
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
