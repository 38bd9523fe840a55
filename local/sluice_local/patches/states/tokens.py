"""Answer tasks by their tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sluice_local.patches.states.responses import Response, answer, refuse
from sluice_local.states.data import PAYLOAD_LIMIT_BYTES
from sluice_local.states.errors import ExecutionError
from sluice_local.states.tokens import is_token, pending


def send_task_success(request: Mapping[str, Any]) -> Response:
    """Handle SendTaskSuccess."""
    output = request.get("output", "")
    if len(output.encode()) > PAYLOAD_LIMIT_BYTES:
        return refuse("ValidationException", "output is longer than 262144 bytes")
    try:
        result = json.loads(output)
    except json.JSONDecodeError as error:
        return refuse("InvalidOutput", f"Invalid Output: '{error}'")
    task = pending(request.get("taskToken", ""))
    return _acknowledged(request, task is not None and task.succeed(result))


def send_task_failure(request: Mapping[str, Any]) -> Response:
    """Handle SendTaskFailure."""
    task = pending(request.get("taskToken", ""))
    error = ExecutionError(request.get("error") or "", request.get("cause") or "")
    return _acknowledged(request, task is not None and task.fail(error))


def send_task_heartbeat(request: Mapping[str, Any]) -> Response:
    """Handle SendTaskHeartbeat."""
    task = pending(request.get("taskToken", ""))
    return _acknowledged(request, task is not None and task.beat())


def _acknowledged(request: Mapping[str, Any], accepted: bool) -> Response:
    if accepted:
        return answer({})
    if not is_token(str(request.get("taskToken", ""))):
        return refuse("InvalidToken", "Invalid Token: 'Invalid token'")
    message = "Task Timed Out: 'Provided task does not exist anymore'"
    return refuse("TaskTimedOut", message)
