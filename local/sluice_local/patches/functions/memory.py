"""Watch the memory of a function's processes, and end them if they hold too much.

Lambda's kernel ends an environment that holds more than `MemorySize`. Here only memory that the process
itself must free counts: anonymous and shared memory, but not pages of files.
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
        """The process whose descendants are the environment's; None if there is none."""


class MemoryWatch:
    """One thread that watches all invocations under way."""

    def __init__(self) -> None:
        self._watched: list[Watched] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    @contextmanager
    def over(self, environment: Watched) -> Iterator[None]:
        """End the environment's processes if they exceed its memory while the block runs."""
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
    """Return the memory of a process's descendants (0 if not on Linux)."""
    return sum(_held_kb(each) for each in _below(pid)) / 1024


def peak_mb(pid: int) -> int:
    """Return the peak resident size of the first descendant, the function's own process (Linux)."""
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
    """Yield the descendants, parents first, from the kernel's list of each thread: /proc is slow to scan."""
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield int(child)
                yield from _below(int(child))
