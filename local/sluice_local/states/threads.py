"""Provide real time, and a thread for each activity."""

from __future__ import annotations

import contextvars
import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from sluice_local.states.scope import StoppedError, StopScope


class Threads:
    """Starts daemon threads, so that an unanswered task does not keep the process. They inherit the context
    variables of the thread that started them."""

    def now(self) -> datetime:
        """Return the time, in UTC."""
        return datetime.now(UTC)

    def seconds(self) -> float:
        """Return seconds that only grow."""
        return time.monotonic()

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Block this thread until `event` happens; returns whether it did in time."""
        return event.wait(max(min(timeout_s, threading.TIMEOUT_MAX), 0))

    def draw(self, low: float, high: float) -> float:
        """Return a random number between the two."""
        return random.uniform(low, high)  # noqa: S311 - jitter

    def begin(self, work: Callable[[], None]) -> threading.Thread:
        """Do work in its own thread."""
        thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True)
        thread.start()
        return thread

    def run_all(self, jobs: Sequence[Callable[[StopScope], None]], at_once: int, parent: StopScope) -> None:
        """Run the jobs, some `at_once`; the first error stops the others, and is raised."""
        scope = parent.below()
        waiting = list(reversed(jobs))
        errors: list[Exception] = []

        def work() -> None:
            with suppress(StoppedError, IndexError):
                while not errors:
                    job = waiting.pop()
                    try:
                        job(scope)
                    except Exception as error:
                        errors.append(error)
                        scope.stop()

        for thread in [self.begin(work) for _ in range(min(at_once, len(jobs)))]:
            thread.join()
        parent.check()
        if errors:
            raise errors[0]
