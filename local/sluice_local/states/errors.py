"""What ends a state, unless its Retry or Catch handles it."""

from __future__ import annotations


class ExecutionError(Exception):
    """An error by the name that Retry and Catch know, and its cause."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause
        self.names = frozenset({error})


class TaskTimedOutError(ExecutionError):
    """States.Timeout; `names` says to which of the two timeouts a Retry or Catch may answer."""

    def __init__(self, *names: str) -> None:
        super().__init__("States.Timeout", "")
        self.names = frozenset(names)
