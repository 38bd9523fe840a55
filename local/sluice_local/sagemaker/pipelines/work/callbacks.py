"""Callback steps: a message to a queue with a token, by which whoever reads it ends the step."""

from __future__ import annotations

import json
import queue
import secrets
import string
import threading
from dataclasses import dataclass, field
from typing import Any

from sluice_local.sagemaker.api import clients
from sluice_local.sagemaker.api.core import ApiError, Item, Scope, operation
from sluice_local.sagemaker.pipelines import access
from sluice_local.sagemaker.pipelines.definition.parameters import as_pairs
from sluice_local.sagemaker.pipelines.work.task import StepFailedError, StepStoppedError, Task

_TOKEN = string.ascii_letters + string.digits
_lock = threading.Lock()
_waiting: dict[tuple[Scope, str], Waiting] = {}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A step that waits for its answer: output parameters, or why it failed."""

    execution_arn: str
    answers: queue.SimpleQueue[dict[str, str] | str] = field(default_factory=queue.SimpleQueue)


def send(task: Task) -> Any:
    """Send the message and wait for the answer; returns the output parameters.

    A step that is to stop tells the queue so, and goes on waiting, as on AWS.
    """
    token = "".join(secrets.choice(_TOKEN) for _ in range(10))
    url, arguments = task.text("SqsQueueUrl"), task.arguments
    waiting = Waiting(task.execution["PipelineExecutionArn"])
    with _lock:
        _waiting[task.scope, token] = waiting
    metadata = {"CallbackToken": token, "SqsQueueUrl": url}
    _send(task, url, token, arguments, "Executing")
    task.tell({"Callback": metadata})
    task.on_stop(lambda: _send(task, url, token, arguments, "Stopping"))
    answer = waiting.answers.get()
    if isinstance(answer, str):
        raise StepFailedError(answer, None, {"Callback": metadata})
    if task.stopping.is_set():
        raise StepStoppedError
    outputs = task.outputs(answer, "The callback")
    task.tell({"Callback": {**metadata, "OutputParameters": as_pairs(outputs)}})
    return {"OutputParameters": outputs}


def _send(task: Task, url: str, token: str, arguments: Item, status: str) -> None:
    body = {
        "token": token,
        "pipelineExecutionArn": task.execution["PipelineExecutionArn"],
        "arguments": arguments,
        "status": status,
    }
    name = url.rpartition("/")[2]
    with access.acting(task.scope, task.role):
        access.require(
            task.role, "sqs:SendMessage", f"arn:aws:sqs:{task.scope.region}:{task.scope.account}:{name}"
        )
    queues = clients.client("sqs", access.endpoint_url(), task.scope)
    queues.send_message(QueueUrl=url, MessageBody=json.dumps(body))


@operation("SendPipelineExecutionStepSuccess")
def send_pipeline_execution_step_success(scope: Scope, params: dict[str, Any]) -> Item:
    outputs = {item["Name"]: item["Value"] for item in params.get("OutputParameters", [])}
    return _answer(scope, params, outputs)


@operation("SendPipelineExecutionStepFailure")
def send_pipeline_execution_step_failure(scope: Scope, params: dict[str, Any]) -> Item:
    return _answer(scope, params, params.get("FailureReason", "The callback failed."))


def _answer(scope: Scope, params: dict[str, Any], answer: dict[str, str] | str) -> Item:
    with _lock:
        waiting = _waiting.pop((scope, params["CallbackToken"]), None)
    if waiting is None:
        raise ApiError("ResourceNotFound", f"No step waits for the callback token {params['CallbackToken']}.")
    waiting.answers.put(answer)
    return {"PipelineExecutionArn": waiting.execution_arn}
