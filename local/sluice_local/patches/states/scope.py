"""Stop threads that wait: an execution stops all it runs, a Map state its other iterations."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress


class StoppedError(BaseException):
    """Raised in a thread whose scope was stopped; no handler of a state's errors may catch it."""


class StopScope:
    """What is stopped together. Stopping it wakes its waiters and stops the scopes below it."""

    def __init__(self, parent: StopScope | None = None) -> None:
        self._lock = threading.Lock()
        self._stopped = False
        self._waiting: set[threading.Event] = set()
        self._children: list[StopScope] = []
        if parent is not None:
            parent._adopt(self)

    def stop(self) -> None:
        """Make every present and future wait in this scope raise `StoppedError`."""
        with self._lock:
            self._stopped = True
            waiting, children = list(self._waiting), list(self._children)
        for event in waiting:
            event.set()
        for child in children:
            child.stop()

    def check(self) -> None:
        """Raise `StoppedError` if the scope was stopped."""
        if self._stopped:
            raise StoppedError

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Whether `event` happened in time."""
        with self._lock:
            self.check()
            self._waiting.add(event)
        try:
            happened = event.wait(min(timeout_s, threading.TIMEOUT_MAX))
        finally:
            with self._lock:
                self._waiting.discard(event)
        self.check()
        return happened

    def sleep(self, seconds: float) -> None:
        """Pass the time, unless stopped."""
        self.wait(threading.Event(), seconds)

    def _adopt(self, child: StopScope) -> None:
        with self._lock:
            self.check()
            self._children.append(child)


def run_concurrently(jobs: Sequence[Callable[[StopScope], None]], workers: int, parent: StopScope) -> None:
    """Run the jobs, `workers` at a time; the first error stops the others, and is raised."""
    scope = StopScope(parent)
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

    # Daemons, so that a task nobody answers does not keep the process; with this thread's account and region.
    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True)
        for _ in range(min(workers, len(jobs)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    parent.check()
    if errors:
        raise errors[0]
