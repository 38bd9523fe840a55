"""Run a job's script as a child of this process, and leave nothing of it behind (Linux).

This process serves one job after another, of whatever pipeline. So it becomes the *subreaper* of all that a
script starts, in any session and however often forked, and ends it. It also hides its memory and variables,
which hold credentials: a process that is not dumpable cannot be read or traced by others of the same user.
"""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import signal
import stat
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple, Protocol

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_LOOK_EVERY_S = 0.1
_END_TIMEOUT_S = 10.0
# What ends by itself so soon after the script, such as multiprocessing's resource tracker, was not left.
_LEAVE_TIME_S = 0.5
_NAMES_SHOWN = 5
_PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024
# The kernel frees memory by ending the process with the highest value: the script, before us.
_FIRST_TO_END = "1000"
_LIMITS = sorted(getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_"))


class _SystemCalls(NamedTuple):
    """Numbers of what Python and the C library have no functions for."""

    ioprio_get: int
    sched_getattr: int


_SYSTEM_CALLS = {"x86_64": _SystemCalls(252, 315), "aarch64": _SystemCalls(31, 275)}
_IOPRIO_WHO_PROCESS = 1
# `struct sched_attr` with what limits the processors' speed, its last two numbers.
_SCHED_ATTR_BYTES, _CLAMPS = 56, slice(48, 56)


class LeftoverError(Exception):
    """Something of a job cannot be removed: nothing else may run here."""


def shield() -> None:
    """Become the parent of all orphans below, and unreadable for other processes."""
    call = ctypes.CDLL(None, use_errno=True).prctl
    for option, value in ((_PR_SET_CHILD_SUBREAPER, 1), (_PR_SET_DUMPABLE, 0)):
        if call(option, value, 0, 0, 0) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"prctl {option}: {os.strerror(number)}")


def ends_with(parent: int) -> Callable[[], None]:
    """Return what a child does first, so that it is killed when the thread that started it ends."""
    call, kill = ctypes.CDLL(None).prctl, int(signal.SIGKILL)

    def ask() -> None:
        call(_PR_SET_PDEATHSIG, kill, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)  # it ended before this was asked

    return ask


def limits(pid: int) -> Sequence[object]:
    """Return what every process of a user may set of its others, and what their children have from them."""
    return (
        [resource.prlimit(pid, each) for each in _LIMITS],
        os.sched_getaffinity(pid),
        os.sched_getscheduler(pid),
        os.getpriority(os.PRIO_PROCESS, pid),
        _io_priority(pid),
        _clamped(pid),
    )


def _io_priority(pid: int) -> int | None:
    """Return the priority of a process for disks; None where the system tells nothing."""
    calls = _SYSTEM_CALLS.get(os.uname().machine)
    return ctypes.CDLL(None).syscall(calls.ioprio_get, _IOPRIO_WHO_PROCESS, pid) if calls else None


def _clamped(pid: int) -> bytes | None:
    """Return how slow and how fast processors may be for a process; None where the system tells nothing."""
    calls, attributes = _SYSTEM_CALLS.get(os.uname().machine), ctypes.create_string_buffer(_SCHED_ATTR_BYTES)
    if not calls or ctypes.CDLL(None).syscall(calls.sched_getattr, pid, attributes, _SCHED_ATTR_BYTES, 0):
        return None
    return attributes.raw[_CLAMPS]


class Waiting(Protocol):
    """A process of which scripts can be forks (`warm.Warm`)."""

    pids: set[int]

    def fork(
        self, command: Sequence[str], variables: Mapping[str, str], working_dir: Path
    ) -> tuple[int, IO[bytes]] | None: ...
    def look(self, pid: int) -> None: ...


class Process:
    """A script's process; what it started is below it, or below us once its parent ended."""

    def __init__(
        self, command: Sequence[str], variables: Mapping[str, str], working_dir: Path, waiting: Waiting
    ) -> None:
        """Start it; raises OSError if the command cannot be run."""
        self._waiting = waiting
        forked = waiting.fork(command, variables, working_dir)
        self._pid, self.output = forked or _started(command, variables, working_dir)
        """Its output, including standard error."""
        with suppress(OSError):
            Path(f"/proc/{self._pid}/oom_score_adj").write_text(_FIRST_TO_END)
        self._ended = threading.Event()
        self._peak_kb = 0
        self._started = time.monotonic()
        self.ran_s = 0.0
        """Of a process that ended: how long there was one."""
        self.exit_code = 0
        """Of a process that ended; 128 + n after signal n."""
        threading.Thread(target=self._reap, daemon=True).start()
        threading.Thread(target=self._measure, daemon=True).start()

    @property
    def peak_mb(self) -> int:
        """The most memory that it and all below it held at once, as far as it was seen."""
        return -(-self._peak_kb // 1024)

    def has_ended(self) -> bool:
        return self._ended.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; False if it still runs after `timeout_s`."""
        return self._ended.wait(timeout_s)

    def stop(self, grace_s: float) -> None:
        """Send SIGTERM to its group, and end it after `grace_s`."""
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGTERM)
        if not self.wait(grace_s):
            with suppress(ProcessLookupError):
                os.killpg(self._pid, signal.SIGKILL)
            self._ended.wait()

    def _reap(self) -> None:
        _, status, usage = os.wait4(self._pid, 0)
        self.ran_s = time.monotonic() - self._started
        self._peak_kb = max(self._peak_kb, usage.ru_maxrss)
        code = os.waitstatus_to_exitcode(status)
        self.exit_code = code if code >= 0 else 128 - code
        self._ended.set()

    def _measure(self) -> None:
        while not self._ended.wait(_LOOK_EVERY_S):
            below = (pid for pid in seen_below(os.getpid()) if pid not in self._waiting.pids)
            self._peak_kb = max(self._peak_kb, sum(map(_resident_kb, below)))
            self._waiting.look(self._pid)


def _started(
    command: Sequence[str], variables: Mapping[str, str], working_dir: Path
) -> tuple[int, IO[bytes]]:
    process = subprocess.Popen(
        command,
        env=dict(variables),
        cwd=working_dir,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None  # noqa: S101 - it was started with a pipe
    process.returncode = 0  # it is waited for here
    return process.pid, process.stdout


def left_running(spared: Callable[[], set[int]]) -> list[str]:
    """Return the names of our descendants that outlive the script by more than a moment.

    `spared` is asked each time: what reads metrics may start after a script whose last line is its first.
    A name is the kernel's (`comm`), as arguments may hold secrets.
    """
    deadline = time.monotonic() + _LEAVE_TIME_S
    while True:
        seen, kept = seen_below(os.getpid()), spared()
        below = (_name(pid) for pid in seen if pid not in kept)
        names = [name for name in below if name is not None]
        if not names or time.monotonic() > deadline:
            return names
        time.sleep(0.005)


def told_of(names: Sequence[str]) -> str:
    """Say which processes a script left running: they were ended with it."""
    counted = [f"{name} ({times})" if times > 1 else name for name, times in Counter(names).most_common()]
    if len(counted) > _NAMES_SHOWN:
        counted[_NAMES_SHOWN:] = [f"{len(counted) - _NAMES_SHOWN} other names"]
    processes = "1 process" if len(names) == 1 else f"{len(names)} processes"
    return f"ended {processes} that the script left running: {', '.join(counted)}"


def _name(pid: int) -> str | None:
    """Return a process's name, with what is no letter or sign left out; None if it has ended."""
    try:
        start, _, rest = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")
        state = rest.split()[0]
    except (OSError, IndexError):
        return None
    if state in (b"Z", b"X"):
        return None
    name = start.partition(b"(")[2].decode(errors="replace")
    return "".join(character if character.isprintable() else "?" for character in name)


def end_children(spared: set[int], look: Callable[[int], Iterator[int]] | None = None) -> None:
    """End our children, generation by generation, as orphans become ours.

    Raises LeftoverError once they have not become fewer for so long that what is left starts others.
    Who is spared, and has ended by itself, is taken out of the set. `look` finds them, by default among all
    processes of the machine.
    """
    look = look or _below
    fewest, deadline = None, 0.0
    # Without a child left, the search through all processes can be spared.
    while _has_children(spared):
        # Whoever ends while this is made is in it still: nobody else takes up its end.
        left = [pid for pid in look(os.getpid()) if pid not in spared]
        if spared and not left:
            return
        # Thousands take their time on a busy machine; but what starts others as fast as it ends never ends.
        if fewest is None or len(left) < fewest:
            fewest, deadline = len(left), time.monotonic() + _END_TIMEOUT_S
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise LeftoverError("processes of the job cannot be ended")
        time.sleep(0.001)


def _has_children(spared: set[int]) -> bool:
    """Take up the ends of children; tell whether any child is left."""
    with suppress(ChildProcessError):
        while pid := os.waitpid(-1, os.WNOHANG)[0]:
            spared.discard(pid)
        return True
    return False


def is_alone(pid: int) -> bool:
    """Tell whether a process that stands still has no children: nothing changes the kernel's list of them."""
    return next(seen_below(pid), None) is None


def clear(folder: Path, keep: Sequence[Path] = ()) -> None:
    """Delete all in a folder but what is kept; raises LeftoverError."""
    for entry in list(os.scandir(folder)):
        path = Path(entry.path)
        if path in keep:
            continue
        if entry.is_dir(follow_symlinks=False):
            if any(path in each.parents for each in keep):
                clear(path, keep)
                continue
            # `onerror`, as Python 3.11 knows no `onexc`.
            shutil.rmtree(path, onerror=lambda function, at, _: _retry(function, Path(at)))
        else:
            with suppress(FileNotFoundError):
                path.unlink()
        if os.path.lexists(path):
            raise LeftoverError(f"{path} cannot be deleted")


def _retry(function: object, path: Path) -> None:
    """Delete what a script protected from its own user."""
    with suppress(OSError):
        for each in (path.parent, path):
            if not each.is_symlink():
                each.chmod(stat.S_IRWXU)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def _below(pid: int) -> Iterator[int]:
    """Yield the descendants of a process, parents first."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError, IndexError), open(f"/proc/{name}/stat", "rb") as file:
                # After the command's name, which is in brackets and may hold anything: state, parent.
                parent = int(file.read().rpartition(b")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
    waiting = list(children.get(pid, ()))
    while waiting:
        each = waiting.pop(0)
        yield each
        waiting += children.get(each, ())


def seen_below(pid: int) -> Iterator[int]:
    """Yield the descendants of a process, perhaps without one that is starting or ending.

    To read the kernel's lists of children costs a tenth of a look at each process of a machine; not every
    kernel has them.
    """
    parents = [pid]
    # No recursion: a script may have a thousand generations.
    while parents:
        parent = parents.pop()
        children = _listed(parent)
        if children is None:
            yield from _below(parent)
        else:
            yield from children
            parents += children


def _listed(pid: int) -> list[int] | None:
    """Return the children of a process by the kernel's lists; None if this kernel keeps no such lists."""
    children = list[int]()
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            try:
                with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                    children += map(int, file.read().split())
            except FileNotFoundError:
                if os.path.exists(f"/proc/{pid}/task/{thread}"):
                    return None
    return children


def _resident_kb(pid: int) -> int:
    with suppress(OSError, IndexError, ValueError):
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE_KB
    return 0
