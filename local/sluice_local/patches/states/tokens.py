"""Tasks that are answered from elsewhere: task tokens, heartbeats, timeouts."""

from __future__ import annotations

import base64
import binascii
import json
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any

from ministack.services import stepfunctions

from sluice_local.patches.states.data import PAYLOAD_LIMIT_BYTES
from sluice_local.patches.states.responses import Response, answer, refuse
from sluice_local.patches.states.scope import StopScope

# Every token begins so, hence one that names no task can be told from one that is no token.
_TOKEN_HEAD = "AAAAKgAAAAIAAAAAAAAAA"  # noqa: S105
_UUID_BYTES = 16
_FOREVER_S = 99_999_999.0

_pending: dict[str, PendingTask] = {}


class TaskTimedOutError(stepfunctions._ExecutionError):  # type: ignore[misc]
    """States.Timeout; `names` says to which of the two timeouts a Retry or Catch may answer."""

    def __init__(self, *names: str) -> None:
        super().__init__("States.Timeout", "")
        self.names = frozenset(names)


class PendingTask:
    """One attempt of a task, waiting for its answer; the first answer counts."""

    def __init__(self, machine_arn: str) -> None:
        self.token = _TOKEN_HEAD + base64.b64encode(uuid.uuid4().bytes + machine_arn.encode()).decode()
        self._answered = threading.Event()
        self._lock = threading.Lock()
        self._result: Any = None
        self._error: stepfunctions._ExecutionError | None = None
        self._last_beat = time.monotonic()
        _pending[self.token] = self

    def succeed(self, result: Any) -> bool:
        """Answer with the task's result; False if it was answered before."""
        return self._answer(result, None)

    def fail(self, error: stepfunctions._ExecutionError) -> bool:
        """Answer with an error; False if it was answered before."""
        return self._answer(None, error)

    def beat(self) -> bool:
        """Start the heartbeat's clock anew; False if the task was answered before."""
        self._last_beat = time.monotonic()
        return not self._answered.is_set()

    @property
    def is_answered(self) -> bool:
        """Whether the answer has come."""
        return self._answered.is_set()

    def outcome(self, scope: StopScope, timeout_s: float | None, heartbeat_s: float | None) -> Any:
        """Wait for the result, and then forget the token. Raises the task's error, or its timeout."""
        started = self._last_beat = time.monotonic()
        heartbeat_s = heartbeat_s or _FOREVER_S
        deadline = started + (timeout_s or _FOREVER_S)
        try:
            while not scope.wait(self._answered, self._patience(deadline, heartbeat_s)):
                if time.monotonic() >= deadline:
                    self.fail(TaskTimedOutError("States.Timeout"))
                elif self._patience(deadline, heartbeat_s) <= 0:
                    self.fail(TaskTimedOutError("States.Timeout", "States.HeartbeatTimeout"))
        finally:
            _pending.pop(self.token, None)
        if self._error is not None:
            raise self._error
        return self._result

    def _patience(self, deadline: float, heartbeat_s: float) -> float:
        return max(min(deadline, self._last_beat + heartbeat_s) - time.monotonic(), 0)

    def _answer(self, result: Any, error: stepfunctions._ExecutionError | None) -> bool:
        with self._lock:
            if self._answered.is_set():
                return False
            self._result, self._error = result, error
            self._answered.set()
            return True


def machine_of(token: str) -> str | None:
    """The machine whose task a token answers: what the permission to answer is checked on."""
    try:
        decoded = base64.b64decode(token.removeprefix(_TOKEN_HEAD), validate=True)
    except binascii.Error:
        return None
    return decoded[_UUID_BYTES:].decode(errors="replace")


def send_task_success(request: Mapping[str, Any]) -> Response:
    """SendTaskSuccess."""
    output = request.get("output", "")
    if len(output.encode()) > PAYLOAD_LIMIT_BYTES:
        return refuse("ValidationException", "output is longer than 262144 bytes")
    try:
        result = json.loads(output)
    except json.JSONDecodeError as error:
        return refuse("InvalidOutput", f"Invalid Output: '{error}'")
    task = _pending.get(request.get("taskToken", ""))
    return _acknowledged(request, task is not None and task.succeed(result))


def send_task_failure(request: Mapping[str, Any]) -> Response:
    """SendTaskFailure."""
    task = _pending.get(request.get("taskToken", ""))
    error = stepfunctions._ExecutionError(request.get("error") or "", request.get("cause") or "")
    return _acknowledged(request, task is not None and task.fail(error))


def send_task_heartbeat(request: Mapping[str, Any]) -> Response:
    """SendTaskHeartbeat."""
    task = _pending.get(request.get("taskToken", ""))
    return _acknowledged(request, task is not None and task.beat())


def _acknowledged(request: Mapping[str, Any], accepted: bool) -> Response:
    if accepted:
        return answer({})
    if not str(request.get("taskToken", "")).startswith(_TOKEN_HEAD):
        return refuse("InvalidToken", "Invalid Token: 'Invalid token'")
    message = "Task Timed Out: 'Provided task does not exist anymore'"
    return refuse("TaskTimedOut", message)
