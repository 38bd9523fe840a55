"""Lock a state folder: the process that holds the kernel's lock owns it, whatever a file says.

A ready file survives a power cut, and then its process id belongs to another process. The lock ends with the
cloud, that is with its guardian and the serving process, which inherits it.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_NAME = "cloud.lock"
# A process that looks for the holder has the lock for a moment.
_TRIES = 10
_PAUSE_S = 0.02


class StateInUseError(RuntimeError):
    """Another cloud holds the folder."""


@contextmanager
def held(state_dir: Path) -> Iterator[None]:
    """Hold a folder while the block runs, here or in a process forked in it.

    Raises StateInUseError, which names who has it.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(state_dir / _NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(descriptor, state_dir)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps([os.getpid(), birth(os.getpid())]).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def holder(state_dir: Path) -> int | None:
    """Return the process that took and still holds a folder; None if there is none."""
    try:
        descriptor = os.open(state_dir / _NAME, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _recorded(descriptor)
    finally:
        os.close(descriptor)
    return None


def birth(pid: int) -> str | None:
    """Return when a process started, which with its id identifies it; None if it is not running."""
    with suppress(OSError):
        # Fields after the command's name (in brackets, with any characters): state, 18 others, start.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]
    if Path("/proc/self/stat").exists():
        return None
    listing = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True)
    return listing.stdout.strip() or None


def _lock(descriptor: int, state_dir: Path) -> None:
    for left in reversed(range(_TRIES)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not left:
                pid = _recorded(descriptor)
                who = f"process {pid}" if pid else "a process that is ending"
                raise StateInUseError(f"{state_dir} belongs to another local cloud: {who} has it.") from None
            time.sleep(_PAUSE_S)


def _recorded(descriptor: int) -> int | None:
    with suppress(ValueError, TypeError):
        pid, started = json.loads(os.pread(descriptor, 200, 0))
        if isinstance(pid, int) and started and birth(pid) == started:
            return pid
    return None
