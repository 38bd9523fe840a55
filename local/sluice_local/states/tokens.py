"""Keep tasks that are answered from elsewhere: task tokens, heartbeats, timeouts."""

from __future__ import annotations

import base64
import binascii
import threading
import uuid
from typing import Any

from sluice_local.states.errors import ExecutionError, TaskTimedOutError
from sluice_local.states.scope import Clock, StopScope

# The prefix of every token, which tells a token of no known task from text that is not a token.
_TOKEN_HEAD = "AAAAKgAAAAIAAAAAAAAAA"  # noqa: S105
_UUID_BYTES = 16
_FOREVER_S = 99_999_999.0

_pending: dict[str, PendingTask] = {}


class PendingTask:
    """One attempt of a task, waiting for its answer; the first answer counts."""

    def __init__(self, machine_arn: str, clock: Clock) -> None:
        self.token = _TOKEN_HEAD + base64.b64encode(uuid.uuid4().bytes + machine_arn.encode()).decode()
        self._clock = clock
        self._answered = threading.Event()
        self._lock = threading.Lock()
        self._result: Any = None
        self._error: ExecutionError | None = None
        self._last_beat_s = clock.seconds()
        _pending[self.token] = self

    def succeed(self, result: Any) -> bool:
        """Answer with the task's result; False if it was answered before."""
        return self._answer(result, None)

    def fail(self, error: ExecutionError) -> bool:
        """Answer with an error; False if it was answered before."""
        return self._answer(None, error)

    def beat(self) -> bool:
        """Restart the heartbeat's clock; False if the task was answered before."""
        self._last_beat_s = self._clock.seconds()
        return not self._answered.is_set()

    @property
    def is_answered(self) -> bool:
        """Whether the answer has come."""
        return self._answered.is_set()

    def outcome(self, scope: StopScope, timeout_s: float | None, heartbeat_s: float | None) -> Any:
        """Wait for the result, then forget the token; raises the task's error or its timeout."""
        started_s = self._last_beat_s = self._clock.seconds()
        heartbeat_s = heartbeat_s or _FOREVER_S
        deadline_s = started_s + (timeout_s or _FOREVER_S)
        try:
            while not scope.wait(self._answered, self._patience(deadline_s, heartbeat_s)):
                if self._clock.seconds() >= deadline_s:
                    self.fail(TaskTimedOutError("States.Timeout"))
                elif self._patience(deadline_s, heartbeat_s) <= 0:
                    self.fail(TaskTimedOutError("States.Timeout", "States.HeartbeatTimeout"))
        finally:
            _pending.pop(self.token, None)
        if self._error is not None:
            raise self._error
        return self._result

    def _patience(self, deadline_s: float, heartbeat_s: float) -> float:
        return max(min(deadline_s, self._last_beat_s + heartbeat_s) - self._clock.seconds(), 0)

    def _answer(self, result: Any, error: ExecutionError | None) -> bool:
        with self._lock:
            if self._answered.is_set():
                return False
            self._result, self._error = result, error
            self._answered.set()
            return True


def pending(token: str) -> PendingTask | None:
    """Return the task that waits for a token's answer."""
    return _pending.get(token)


def is_token(text: str) -> bool:
    """Tell whether a text can be the token of some former task."""
    return text.startswith(_TOKEN_HEAD)


def machine_of(token: str) -> str | None:
    """Return the machine whose task a token answers: permission to answer is checked on it."""
    try:
        decoded = base64.b64decode(token.removeprefix(_TOKEN_HEAD), validate=True)
    except binascii.Error:
        return None
    return decoded[_UUID_BYTES:].decode(errors="replace")
