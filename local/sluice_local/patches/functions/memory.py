"""A function's memory: what all processes of its environment hold, and their end when that is too much.

Lambda's kernel ends an environment that holds more than `MemorySize`. What counts here is what nothing but
the process can free: anonymous memory and shared memory, but no pages of files.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from sluice_local.processes import end_descendants

_LOOK_EVERY_S = 0.05


class Watched(Protocol):
    """An execution environment in an invocation."""

    memory_limit_mb: int
    is_out_of_memory: bool

    @property
    def supervisor_pid(self) -> int | None:
        """The process whose descendants are the environment's; None while there is none."""


class MemoryWatch:
    """One thread looks after all invocations under way."""

    def __init__(self) -> None:
        self._watched: list[Watched] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    @contextmanager
    def over(self, environment: Watched) -> Iterator[None]:
        """End the environment's processes should they hold more than it may, while the block runs."""
        with self._changed:
            self._watched.append(environment)
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="lambda-memory", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._changed:
                self._watched.remove(environment)

    def _look(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._watched)
                watched = list(self._watched)
            for environment in watched:
                pid = environment.supervisor_pid
                if pid is not None and held_mb(pid) > environment.memory_limit_mb:
                    environment.is_out_of_memory = True
                    end_descendants(pid)
            time.sleep(_LOOK_EVERY_S)


def held_mb(pid: int) -> float:
    """What the descendants of a process hold (Linux; elsewhere 0)."""
    return sum(_held_kb(each) for each in _below(pid)) / 1024


def peak_mb(pid: int) -> int:
    """The largest resident size so far of the first descendant: the function's own process (Linux)."""
    for child in _below(pid):
        return _status_kb(child, "VmHWM:") // 1024
    return 0


def _held_kb(pid: int) -> int:
    return _status_kb(pid, "RssAnon:", "RssShmem:")


def _status_kb(pid: int, *names: str) -> int:
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith(names))
    return 0


def _below(pid: int) -> Iterator[int]:
    """The descendants, parents first, as the kernel lists them for each thread: scanning /proc is slow."""
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield int(child)
                yield from _below(int(child))
