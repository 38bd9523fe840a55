"""Errors that end a state unless its Retry or Catch handles them."""

from __future__ import annotations


class ExecutionError(Exception):
    """An error with the name that Retry and Catch know, and its cause."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause
        self.names = frozenset({error})


class TaskTimedOutError(ExecutionError):
    """States.Timeout; `names` are the timeouts that a Retry or Catch may name."""

    def __init__(self, *names: str) -> None:
        super().__init__("States.Timeout", "")
        self.names = frozenset(names)
