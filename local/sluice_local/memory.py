"""Watch the memory of a function's or a container's processes, and end them if they hold too much.

The kernel ends what holds more than Lambda's `MemorySize`, or than an instance has. Here only memory that the
process itself must free counts: anonymous and shared memory, but not pages of files.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from sluice_local.processes import end_descendants

_SHORTEST_S = 0.05
# Faster no machine that this runs on gives memory to processes.
_FILLED_MB_S = 8192


class Watched(Protocol):
    """A function's environment in an invocation, or a container."""

    is_out_of_memory: bool

    @property
    def memory_limit_mb(self) -> int:
        """What its processes may hold together."""

    @property
    def supervisor_pid(self) -> int | None:
        """The process whose descendants are the environment's; None if there is none."""


class MemoryWatch:
    """One thread that watches all that runs.

    It looks twenty times a second; less often, up to every `longest_s`, if all are so far from their limits
    that they cannot reach them before.
    """

    def __init__(self, name: str, longest_s: float = _SHORTEST_S) -> None:
        self._name = name
        self._longest_s = longest_s
        self._watched: list[Watched] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    @contextmanager
    def over(self, watched: Watched) -> Iterator[None]:
        """End its processes if they exceed its memory while the block runs."""
        with self._changed:
            self._watched.append(watched)
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name=self._name, daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._changed:
                self._watched.remove(watched)

    def _look(self) -> None:
        watched: list[Watched] = []
        while True:
            rooms_mb = map(_look_at, watched)
            rest_s = min(max(min(rooms_mb, default=0.0) / _FILLED_MB_S, _SHORTEST_S), self._longest_s)
            with self._changed:
                self._changed.wait_for(functools.partial(self._has_more_than, watched), rest_s)
                self._changed.wait_for(lambda: self._watched)
                watched = list(self._watched)

    def _has_more_than(self, watched: list[Watched]) -> bool:
        return any(each not in watched for each in self._watched)


def _look_at(watched: Watched) -> float:
    """Return how many MB it may still take; end its processes if there are none left."""
    pid = watched.supervisor_pid
    room_mb = watched.memory_limit_mb - (held_mb(pid) if pid is not None else 0)
    if pid is not None and room_mb < 0:
        watched.is_out_of_memory = True
        end_descendants(pid)
    return room_mb


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
