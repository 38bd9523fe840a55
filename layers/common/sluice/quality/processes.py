"""Run work in its own process, and end that if it holds too much memory or takes too long.

Some work does not always keep its own limits, or keeps them too late. Lambda has no semaphores, so the two
processes share only a pipe.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal, TypeVar

_LOOK_EVERY_S = 0.02
# Python ignores these in every process: a failed write raises an error.
_UNTOUCHED = {getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ", "SIGXFZ") if hasattr(signal, name)}
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6
_Result = TypeVar("_Result")
Tell = Callable[[Any], None]
Kind = Literal["told", "done", "failed"]


class ProcessEndedError(Exception):
    """The work was ended early. `told` is what it reported last, and worked on for `told_s` in all."""

    def __init__(self, why: Literal["memory", "time", "signal"], told: Any, told_s: float, signum: int = 0):
        self.why = why
        self.told = told
        self.told_s = told_s
        self.signal = signum
        super().__init__(f"the process was ended ({why})")


def run(
    work: Callable[[Tell], _Result],
    *,
    memory_mb: float | None,
    max_s: float | None,
    meanwhile: Callable[[], None] = lambda: None,
) -> _Result:
    """Run work that may hold `memory_mb` more than at its start; returns or raises what the work does.

    The work gets a function to report what it works on, as something hashable. Raises ProcessEndedError. This
    process, which else would wait, does something short `meanwhile`.
    """
    context = _context()
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(work, theirs), daemon=True)  # type: ignore[attr-defined]
    # What a fork begins with; it may hold more by the time that this process runs again.
    began_mb = _held_mb("self")
    process.start()
    theirs.close()
    try:
        watch = _Watch(process, ours, began_mb)
        meanwhile()
        result: _Result = watch.result(memory_mb, max_s)
    except BaseException:
        process.kill()
        process.join()
        raise
    finally:
        ours.close()
    # It has nothing left to do: the next start of a process waits for its end, which frees its memory.
    process.kill()
    return result


def _context() -> BaseContext:
    """Use a fork, which has all loaded modules within a millisecond; forks are unsafe outside Linux."""
    return multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


def _work(work: Callable[[Tell], Any], connection: Connection) -> None:
    _forget_signals()
    kind: Kind = "done"
    try:
        answer = work(lambda told: connection.send(("told", told)))
    except Exception as error:
        # Add the lines as a note: the pipe does not send the traceback.
        error.add_note("".join(traceback.format_tb(error.__traceback__)))
        kind, answer = "failed", error
    connection.send((kind, answer))


def _forget_signals() -> None:
    """Reset signal handlers as in a new interpreter: a fork has those of its parent."""
    signal.set_wakeup_fd(-1)
    for signum in signal.valid_signals() - _UNTOUCHED:
        # None stands for a handler that is not Python's, such as faulthandler's.
        if signal.getsignal(signum) not in (signal.SIG_DFL, None):
            signal.signal(signum, signal.SIG_DFL)
    # Leave Ctrl-C to the waiting process, which ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


class _Watch:
    """Waits for a process's result, and watches its memory and time."""

    def __init__(self, process: BaseProcess, connection: Connection, began_mb: float) -> None:
        self._process = process
        self._connection = connection
        self._told: Any = None
        self._began = self._told_at = time.monotonic()
        self._spent_s: dict[Any, float] = defaultdict(float)
        self._began_mb = began_mb

    def result(self, memory_mb: float | None, max_s: float | None) -> Any:
        beyond: Literal["memory", "time"] | None = None
        while True:
            if self._connection.poll(_LOOK_EVERY_S):
                try:
                    kind, value = self._connection.recv()
                except (EOFError, OSError):
                    # It has ended, maybe while it sent something large.
                    raise (self._ended(beyond) if beyond else self._died()) from None
                if kind == "done":
                    return value
                if kind == "failed":
                    raise self._ended("memory") if isinstance(value, MemoryError) else value
                self._hear(value)
            if beyond is None and (beyond := self._beyond(memory_mb, max_s)):
                # It may be further than what was heard: what it said by now is heard to the end.
                self._process.kill()

    def _beyond(self, memory_mb: float | None, max_s: float | None) -> Literal["memory", "time"] | None:
        if memory_mb is not None and _held_mb(self._process.pid) - self._began_mb > memory_mb:
            return "memory"
        return "time" if max_s is not None and time.monotonic() - self._began > max_s else None

    def _died(self) -> Exception:
        self._process.join()
        code = self._process.exitcode or 0
        if code == -signal.SIGKILL:
            # Only the kernel does that, when memory runs out.
            return self._ended("memory")
        if code < 0:
            return self._ended("signal", -code)
        return RuntimeError(f"the process ended without a result, with exit code {code}")

    def _hear(self, told: Any) -> None:
        now = time.monotonic()
        self._spent_s[self._told] += now - self._told_at
        self._told, self._told_at = told, now

    def _ended(self, why: Literal["memory", "time", "signal"], signum: int = 0) -> ProcessEndedError:
        told_s = self._spent_s[self._told] + time.monotonic() - self._told_at
        return ProcessEndedError(why, self._told, told_s, signum)


def _held_mb(pid: int | Literal["self"] | None) -> float:
    """Return the memory that only a process can free: its resident pages without files' (Linux)."""
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:
        return 0.0
    return (int(resident) - int(shared)) * _PAGE_MB
