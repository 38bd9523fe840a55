"""Run one attempt of a Task state: call, wait for a token, or leave it to an activity's worker."""

from __future__ import annotations

import contextvars
import json
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import get_region
from ministack.services import lambda_svc, stepfunctions

from sluice_local.patches.states.data import check_size, dumps
from sluice_local.patches.states.history import Trail
from sluice_local.patches.states.scope import StopScope
from sluice_local.patches.states.tokens import PendingTask, TaskTimedOutError

State = dict[str, Any]
Context = dict[str, Any]
_CALLBACK = ".waitForTaskToken"


def run_task(state: State, value: Any, context: Context, scope: StopScope, trail: Trail) -> Any:
    """The task's result. Raises its error, or its timeout."""
    task = PendingTask(context["StateMachine"]["Id"])
    resource = state["Resource"]
    if resource.endswith(_CALLBACK):
        context["Task"] = {"Token": task.token}
    task_input = _task_input(state, value, context)
    check_size(task_input, resource)
    timeout_s = _seconds(state, "TimeoutSeconds", value, context)
    heartbeat_s = _seconds(state, "HeartbeatSeconds", value, context)
    record = _TaskRecord.of(resource, trail)
    record.scheduled(task_input, timeout_s, heartbeat_s)
    _begin(task, resource, task_input, record)
    try:
        result = task.outcome(scope, timeout_s, heartbeat_s)
        output = check_size(result, resource)
    except TaskTimedOutError as error:
        record.add("TimedOut", error=error.error)
        raise
    except stepfunctions._ExecutionError as error:
        record.add("Failed", error=error.error, cause=error.cause)
        raise
    record.add("Succeeded", output=output, outputDetails={"truncated": False})
    return result


def _task_input(state: State, value: Any, context: Context) -> Any:
    if stepfunctions._state_query_language(state, context) == "JSONata":
        return stepfunctions._apply_jsonata_arguments(state, value, context)
    effective = stepfunctions._apply_input_path(state, value, context)
    return stepfunctions._apply_parameters(state, effective, context)


def _seconds(state: State, field: str, value: Any, context: Context) -> float | None:
    """TimeoutSeconds or HeartbeatSeconds, given as a number, a path or an expression."""
    if path := state.get(f"{field}Path"):
        effective = stepfunctions._apply_input_path(state, value, context)
        seconds = stepfunctions._resolve_path_or_ctx(path, effective, context)
    elif isinstance(state.get(field), str):
        seconds = stepfunctions._jsonata_state_field(state, field, "number", value, context)
    else:
        seconds = state.get(field)
    if seconds is not None and not (stepfunctions._is_num(seconds) and seconds > 0):
        raise stepfunctions._ExecutionError(
            "States.Runtime", f"{field} must be a positive number, but was {dumps(seconds)}"
        )
    return seconds  # type: ignore[no-any-return]


def _begin(task: PendingTask, resource: str, task_input: Any, record: _TaskRecord) -> None:
    """Start the work in a thread of its own, so that a timeout or a stop need not wait for it."""
    if ":activity:" in resource:
        stepfunctions._activity_tasks[resource].append({"taskToken": task.token, "input": dumps(task_input)})
        return
    is_callback = resource.endswith(_CALLBACK)

    def call() -> None:
        try:
            result = stepfunctions._invoke_resource(resource.removesuffix(_CALLBACK), task_input)
        except stepfunctions._ExecutionError as error:
            task.fail(error)
        except Exception as error:
            task.fail(stepfunctions._ExecutionError("States.Runtime", str(error)))
        else:
            if not is_callback:
                task.succeed(result)
            elif not task.is_answered:
                record.add("Submitted", output=dumps(result), outputDetails={"truncated": False})

    threading.Thread(target=contextvars.copy_context().run, args=(call,), daemon=True).start()


def call_lambda(function_ref: str, event: Any) -> Any:
    """The function's answer. Raises its exception under the class's name, or Lambda's own refusal."""
    function, config, name = lambda_svc._get_func_record_for_ref(function_ref)
    if not function or not config:
        raise stepfunctions._ExecutionError("Lambda.ResourceNotFoundException", f"Function not found: {name}")
    record = lambda_svc._execution_record_for_config(function, config)
    result = lambda_svc._execute_function_with_config_scope(record, event)
    body = result.get("body")
    if result.get("throttle"):
        raise stepfunctions._ExecutionError("Lambda.TooManyRequestsException", body["message"])
    if result.get("error"):
        error_type = body.get("errorType") if isinstance(body, dict) else None
        cause = dumps(body) if isinstance(body, dict) else str(body)
        raise stepfunctions._ExecutionError(error_type or "Lambda.Unknown", cause)
    if isinstance(body, (str, bytes)):
        with suppress(json.JSONDecodeError):
            return json.loads(body)
    return body


@dataclass(frozen=True, slots=True)
class _TaskRecord:
    """The history events of one attempt; functions and activities named by ARN have kinds of their own."""

    kind: str
    arn: str
    trail: Trail

    @classmethod
    def of(cls, resource: str, trail: Trail) -> _TaskRecord:
        kinds = {":function:": "LambdaFunction", ":activity:": "Activity"}
        kind = next((kind for part, kind in kinds.items() if part in resource), "Task")
        return cls(kind, resource, trail)

    @property
    def integration(self) -> dict[str, str]:
        """The service and action of an integration."""
        if self.kind != "Task":
            return {}
        service, _, action = self.arn.removeprefix("arn:aws:states:::").rpartition(":")
        return {"resourceType": service, "resource": action}

    def scheduled(self, task_input: Any, timeout_s: float | None, heartbeat_s: float | None) -> None:
        payload = dumps(task_input)
        about = (
            {"region": get_region(), "parameters": payload}
            if self.kind == "Task"
            else {"resource": self.arn, "input": payload, "inputDetails": {"truncated": False}}
        )
        self.add("Scheduled", timeoutInSeconds=timeout_s, heartbeatInSeconds=heartbeat_s, **about)
        if self.kind == "Task":
            self.add("Started")
        elif self.kind == "LambdaFunction":
            self.trail.add("LambdaFunctionStarted")

    def add(self, step: str, **details: Any) -> None:
        name = f"{self.kind[0].lower()}{self.kind[1:]}{step}EventDetails"
        self.trail.add(f"{self.kind}{step}", **{name: {**self.integration, **details}})
