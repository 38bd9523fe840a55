"""Lambda steps: a function is called with the arguments, and returns the output parameters."""

from __future__ import annotations

from typing import Any

from sluice_local.patches.states.ministack import call_lambda
from sluice_local.sagemaker.pipelines.access import acting, require
from sluice_local.sagemaker.pipelines.definition.parameters import as_pairs
from sluice_local.sagemaker.pipelines.work.task import StepFailedError, Task
from sluice_local.states.errors import ExecutionError

_THROTTLED = "Lambda.TooManyRequestsException"


def invoke(task: Task) -> Any:
    """Call the function; returns its output parameters. A stop waits for the function's end."""
    arn, event = task.text("FunctionArn"), task.arguments
    task.tell({"Lambda": {"Arn": arn}})
    with acting(task.scope, task.role):
        require(task.role, "lambda:InvokeFunction", arn)
        try:
            answer = call_lambda(arn, event)
        except ExecutionError as error:
            fault = "Step.THROTTLING" if error.error == _THROTTLED else None
            raise StepFailedError(f"ClientError: Lambda function {arn} failed: {error}", fault) from error
    outputs = task.outputs(answer if isinstance(answer, dict) else {}, f"Lambda function {arn}")
    task.tell({"Lambda": {"Arn": arn, "OutputParameters": as_pairs(outputs)}})
    return {"OutputParameters": outputs}
