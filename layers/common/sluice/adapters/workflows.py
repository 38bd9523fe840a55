"""Adapter for executions and task tokens in Step Functions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import ClientError

from sluice.adapters.clients import client, error_code
from sluice.ports import StartRefusedError

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

# Errors of the input (too large, not JSON) or the name, not of the machine or the account.
_REFUSED = {"InvalidExecutionInput", "InvalidName", "ValidationException"}
_NOBODY_WAITS = {"TaskDoesNotExist", "TaskTimedOut"}
_ERROR_MAX = 256
_CAUSE_MAX = 32768


class StepFunctionsWorkflows:
    """Starts executions of the state machines it is given by name, and answers their tasks."""

    def __init__(self, machine_arns: Mapping[str, str], stepfunctions: SFNClient | None = None) -> None:
        self._machine_arns = machine_arns
        self._stepfunctions: SFNClient = stepfunctions or client("stepfunctions")

    def start(self, machine: Literal["build", "release"], name: str, payload: Mapping[str, Any]) -> str:
        machine_arn = self._machine_arns[machine]
        try:
            self._stepfunctions.start_execution(
                stateMachineArn=machine_arn, name=name, input=json.dumps(payload)
            )
        except ClientError as error:
            if error_code(error) in _REFUSED:
                raise StartRefusedError(str(error)) from None
            if error_code(error) != "ExecutionAlreadyExists":
                raise
        return f"{machine_arn.replace(':stateMachine:', ':execution:')}:{name}"

    def describe(self, execution_arn: str) -> dict[str, Any] | None:
        try:
            return dict(self._stepfunctions.describe_execution(executionArn=execution_arn))
        except ClientError as error:
            if error_code(error) == "ExecutionDoesNotExist":
                return None
            raise

    def stop(self, execution_arn: str, error: str, cause: str) -> None:
        self._stepfunctions.stop_execution(
            executionArn=execution_arn, error=error[:_ERROR_MAX], cause=cause[:_CAUSE_MAX]
        )

    def succeed(self, task_token: str, output: Mapping[str, Any]) -> bool:
        try:
            self._stepfunctions.send_task_success(taskToken=task_token, output=json.dumps(output))
        except ClientError as error:
            return _unheard(error)
        return True

    def fail(self, task_token: str, error: str, cause: str) -> bool:
        try:
            self._stepfunctions.send_task_failure(
                taskToken=task_token, error=error[:_ERROR_MAX], cause=cause[:_CAUSE_MAX]
            )
        except ClientError as refusal:
            return _unheard(refusal)
        return True


def _unheard(error: ClientError) -> bool:
    if error_code(error) in _NOBODY_WAITS:
        return False
    raise error
