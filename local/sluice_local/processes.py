"""End all processes with the local cloud, however it ends.

The cloud runs as the child of a guardian. On Linux the guardian is the *subreaper*: when the cloud dies, even
by SIGKILL, all that it started, at any depth, becomes the guardian's child and is ended. If the guardian dies
first, the kernel sends the cloud SIGTERM. On other systems this is best effort.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_SHUTDOWN_TIMEOUT_S = 18.0
_guardian: int | None = None


def guardian_pid() -> int:
    """Return the process to signal to end the cloud: the guardian, or this process if there is none."""
    return _guardian or os.getpid()


def run_guarded(serve: Callable[[], None]) -> NoReturn:
    """Run `serve` in a child process; exit with its code once all its processes have ended."""
    global _guardian
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _guardian = parent
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # the parent died before the line above
            os._exit(1)
        _serve_and_exit(serve)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _ask_to_stop(child))
    status = _wait_for(child)
    end_descendants(os.getpid())
    sys.exit(os.waitstatus_to_exitcode(status))


def _serve_and_exit(serve: Callable[[], None]) -> NoReturn:
    """Serve and exit at once: the emulator's worker threads must not delay the exit."""
    code = 0
    try:
        serve()
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def end_descendants(pid: int) -> None:
    """Kill every process below `pid`, until none is left."""
    while found := list(_descendants(pid)):
        for descendant in found:
            with suppress(ProcessLookupError):
                os.kill(descendant, signal.SIGKILL)
        for descendant in found:
            with suppress(ChildProcessError):
                os.waitpid(descendant, 0)


def _ask_to_stop(child: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGTERM)
    deadline = threading.Timer(_SHUTDOWN_TIMEOUT_S, lambda: _kill(child))
    deadline.daemon = True
    deadline.start()


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _wait_for(child: int) -> int:
    """Reap all that ends until `child` does; returns its wait status."""
    while True:
        pid, status = os.wait()
        if pid == child:
            return status


def _descendants(pid: int) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    for process, parent in _process_table():
        children.setdefault(parent, []).append(process)
    waiting = list(children.get(pid, ()))
    while waiting:
        process = waiting.pop()
        yield process
        waiting += children.get(process, ())


def _process_table() -> Iterator[tuple[int, int]]:
    """Yield (pid, parent pid) of every running process."""
    if not sys.platform.startswith("linux"):
        listing = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid=,comm="], capture_output=True, text=True, check=True
        )
        for line in listing.stdout.splitlines():
            process, parent, command = line.split(maxsplit=2)
            if command != "ps":
                yield int(process), int(parent)
        return
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                # After the command's name, which is in brackets and may hold anything: state, parent.
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    yield int(entry.name), int(parent)


def _prctl(option: int, value: int) -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
