"""Declare what an execution needs from outside: time, threads, and what its states call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from sluice_local.states.scope import StopScope

State = dict[str, Any]
# The context object, `$$`; also the machine's "QueryLanguage", and its "variables" by name.
Context = dict[str, Any]


class Outside(Protocol):
    """What an execution needs; `threads.Threads` implements the first half in real time."""

    def now(self) -> datetime:
        """Return the time, in UTC."""

    def seconds(self) -> float:
        """Return seconds that only grow."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait for `event`; returns whether it happened in time."""

    def draw(self, low: float, high: float) -> float:
        """Return a random number between the two, for jitter."""

    def begin(self, work: Callable[[], None]) -> object:
        """Do work beside the state that began it, which need not wait for its end."""

    def run_all(self, jobs: Sequence[Callable[[StopScope], None]], at_once: int, parent: StopScope) -> None:
        """Run jobs, some `at_once`; the first error stops the others, and is raised."""

    def call(self, resource: str, task_input: Any, token: str) -> Any:
        """Call a resource; an activity's worker answers by the token. Raises ExecutionError."""

    def evaluate(self, expression: str, value: Any, context: Context, result: Any, error_output: Any) -> Any:
        """Evaluate a JSONata expression; raises ExecutionError."""

    def distribute(self, state: State, value: Any, effective: Any, context: Context, scope: StopScope) -> Any:
        """Run a Distributed Map; returns its output. Raises ExecutionError."""
