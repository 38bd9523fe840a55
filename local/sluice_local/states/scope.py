"""Stop what waits (an execution all its work, a Map its other iterations), and set deadlines."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class StoppedError(BaseException):
    """Raised in stopped work; no handler of a state's errors may catch it."""


class Clock(Protocol):
    """The part of `outside.Outside` that knows the time."""

    def seconds(self) -> float:
        """Return seconds that only grow."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait for `event`; returns whether it happened in time."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A time, in the clock's seconds, and what to do then if someone still waits."""

    at_s: float
    pass_by: Callable[[], None]


class StopScope:
    """Work that is stopped together. Stopping it wakes its waiters and stops the scopes below."""

    def __init__(self, clock: Clock, parent: StopScope | None = None) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._stopped = False
        self._deadline: Deadline | None = None
        self._waiting: set[threading.Event] = set()
        self._children: list[StopScope] = []
        if parent is not None:
            parent._adopt(self)

    def below(self) -> StopScope:
        """Make a scope that is stopped with this one, or alone."""
        return StopScope(self._clock, self)

    def limit(self, seconds: float, pass_by: Callable[[], object]) -> None:
        """After this time, call `pass_by` and stop, as soon as something waits."""

        def passed() -> None:
            pass_by()
            self.stop()

        self._deadline = Deadline(self._clock.seconds() + seconds, passed)

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
        if self._deadline and not self._stopped and self._clock.seconds() >= self._deadline.at_s:
            self._deadline.pass_by()
        if self._stopped:
            raise StoppedError

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait for `event`; returns whether it happened in time."""
        self.check()
        with self._lock:
            if self._stopped:
                raise StoppedError
            self._waiting.add(event)
        try:
            happened = self._wait(event, timeout_s)
        finally:
            with self._lock:
                self._waiting.discard(event)
        self.check()
        return happened

    def _wait(self, event: threading.Event, timeout_s: float) -> bool:
        left_s = self._deadline.at_s - self._clock.seconds() if self._deadline else timeout_s
        happened = self._clock.wait(event, min(timeout_s, left_s))
        if not happened and self._deadline and left_s <= timeout_s:
            self._deadline.pass_by()
        return happened

    def sleep(self, seconds: float) -> None:
        """Sleep, unless stopped."""
        self.wait(threading.Event(), seconds)

    def _adopt(self, child: StopScope) -> None:
        self.check()
        with self._lock:
            if self._stopped:
                raise StoppedError
            child._deadline = self._deadline
            self._children.append(child)
