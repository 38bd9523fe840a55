"""Give the interpreter ministack's functions, services, activities and JSONata."""

from __future__ import annotations

import json
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from ministack.services import lambda_svc, stepfunctions

from sluice_local.patches.iam.services import task_denial
from sluice_local.states.data import dumps
from sluice_local.states.errors import ExecutionError
from sluice_local.states.execution import run_child
from sluice_local.states.history import Execution
from sluice_local.states.outside import Context, State
from sluice_local.states.scope import StopScope
from sluice_local.states.threads import Threads


class Ministack(Threads):
    """The outside of one execution, whose tasks act as the machine's role."""

    def __init__(self, execution: Execution, role_arn: str) -> None:
        self._execution = execution
        self._role_arn = role_arn

    def call(self, resource: str, task_input: Any, token: str) -> Any:
        """Call a service or a function; an activity's worker gets the token."""
        if ":activity:" in resource:
            stepfunctions._activity_tasks[resource].append({"taskToken": token, "input": dumps(task_input)})
            return None
        if refused := task_denial(self._role_arn, resource, task_input):
            raise ExecutionError(*refused)
        return stepfunctions._invoke_resource(resource, task_input)

    def evaluate(self, expression: str, value: Any, context: Context, result: Any, error_output: Any) -> Any:
        """Evaluate a JSONata expression."""
        return stepfunctions._evaluate_jsonata(expression, value, context, result, error_output)

    def distribute(self, state: State, value: Any, effective: Any, context: Context, scope: StopScope) -> Any:
        """Run a Distributed Map; `run_child_workflow` runs its children."""
        _distributing.set((scope, self._role_arn))
        processor = state.get("ItemProcessor") or state["Iterator"]
        output, _ = stepfunctions._run_distributed_map(
            state, value, effective, processor, self._execution, context
        )
        return output


# The scope that stops the children of this thread's Distributed Map, and their role.
_distributing: ContextVar[tuple[StopScope, str]] = ContextVar("distributing")


def run_child_workflow(
    states: dict[str, Any], start_at: str, value: Any, execution: Execution, context: Context
) -> Any:
    """Run one child of a Distributed Map, for ministack's implementation."""
    definition = {"StartAt": start_at, "States": states}
    scope, role_arn = _distributing.get()
    return run_child(definition, value, execution, context, scope.below(), Ministack(execution, role_arn))


def call_lambda(function_ref: str, event: Any) -> Any:
    """Call a function; raises its exception by the class's name, or Lambda's refusal."""
    function, config, name = lambda_svc._get_func_record_for_ref(function_ref)
    if not function or not config:
        raise ExecutionError("Lambda.ResourceNotFoundException", f"Function not found: {name}")
    record = lambda_svc._execution_record_for_config(function, config)
    result = lambda_svc._execute_function_with_config_scope(record, event)
    body = result.get("body")
    if result.get("throttle"):
        raise ExecutionError("Lambda.TooManyRequestsException", body["message"])
    if result.get("error"):
        error_type = body.get("errorType") if isinstance(body, dict) else None
        cause = dumps(body) if isinstance(body, dict) else str(body)
        raise ExecutionError(error_type or "Lambda.Unknown", cause)
    if isinstance(body, (str, bytes)):
        with suppress(json.JSONDecodeError):
            return json.loads(body)
    return body
