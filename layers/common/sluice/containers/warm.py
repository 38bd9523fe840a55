"""Keep an interpreter that has loaded what jobs loaded before: the next script is a fork of it.

To start Python and to load scikit-learn takes longer than most scripts of small data. The waiting process has
the packages of the environment and nothing of a job: it is started between jobs, without credentials, and no
other process of its user can read, trace or change it (`warm_interpreter.py`). A script may end it, which
costs the next job the time that it would have saved. Between jobs it stands still; a job of another pipeline
ends it there.

What to load is seen from outside, in the memory maps of scripts: a script says nothing about what runs after
it, but which modules of the environment it used.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack, suppress
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import IO

from sluice.containers.environments import Python
from sluice.containers.processes import end_children, ends_with, is_alone, limits

_PROGRAM = Path(__file__).with_name("warm_interpreter.py")
# Longer than packages take to load: whoever does not answer by then was stopped, or hangs.
_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 1.0
# A library of no module is named by `.so` alone.
_SUFFIXES = tuple(suffix for suffix in EXTENSION_SUFFIXES if suffix != ".so")


class Warm:
    """The waiting interpreter of one environment and one pipeline, if there is one."""

    def __init__(self, python: Python, variables: Mapping[str, str]) -> None:
        """`variables` are those that all its jobs have, besides the environment's."""
        self._python = python
        self._variables = {**python.variables, **variables}
        self.pids = set[int]()
        """Of the waiting process, if there is one."""
        self._control: socket.socket | None = None
        self._heard = b""
        # A fork that was asked for before its script was known: the socket to it, and its output.
        self._ahead: tuple[socket.socket, IO[bytes]] | None = None
        self._limits: Sequence[object] = ()
        self._modules = set[str]()
        # What the last process was to load, and what none could load.
        self._loaded = frozenset[str]()
        self._refused = frozenset[str]()
        self._paths = set[str]()
        self._below = re.compile(re.escape(f"{python.site_packages}/") + r"(\S+\.so)$", re.MULTILINE)
        self._file_pages = ""
        self._script = ""
        self._is_forked = False
        # By script, if it was a process of its own: whether it loads packages.
        self._needs = dict[str, bool]()

    def start(self) -> None:
        """Start it if it is to load something, and neither has nor failed to; it stands still until `go_on`.

        It ends with the calling thread: call this from one that lives as long as it is to wait.

        Raises LeftoverError if what its packages started cannot be ended.
        """
        self._start()
        if not all(map(_stands_still, self.pids)):
            self.end()
            end_children(set())

    def go_on(self) -> None:
        """Let it run beside a job of its pipeline."""
        for pid in self.pids:
            with suppress(OSError):
                os.kill(pid, signal.SIGCONT)

    def fork_ahead(self) -> None:
        """Let it fork now, if it is ready: that takes some 20 ms, and the job's inputs are yet to come.

        The new process has nothing of a job until `fork` gives it a script.
        """
        if self._hears(b"s", 0) and self._hears(b"r", 0) and self._has_its_limits():
            try:
                self._ahead = self._asked()
            except OSError:
                self.end()

    def _start(self) -> None:
        wanted = frozenset(self._modules)
        if wanted == self._refused or (self.pids and wanted == self._loaded):
            return
        self.end()
        self._loaded = wanted
        try:
            self._begin(wanted)
        except OSError as error:
            # The job has ended well: the next one starts an interpreter of its own.
            print(f"no interpreter waits for the next job: {error}")
            self._refused = wanted
            self.end()

    def _begin(self, wanted: Collection[str]) -> None:
        self._control, theirs = socket.socketpair()
        arguments = [str(_PROGRAM), str(theirs.fileno()), *sorted(wanted)]
        with theirs:
            process = subprocess.Popen(
                self._python.command(["python3", *arguments]),
                env=self._variables,
                cwd="/",
                stdin=subprocess.DEVNULL,
                # As that of scripts: Python asks what it is when it starts.
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                # It is stopped before it could ask for this itself.
                preexec_fn=ends_with(os.getpid()),
            )
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        process.stdout.close()
        process.returncode = 0  # it is waited for here
        self.pids.add(process.pid)
        self._limits = limits(process.pid)

    def end(self) -> None:
        """End it, if it waits."""
        self._drop()
        while self.pids:
            pid = self.pids.pop()
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
        if self._control is not None:
            self._control.close()
            self._control = None
        self._heard = b""

    def rest(self) -> None:
        """End it if it still loads modules, which may write files."""
        self._drop()
        if not self._hears(b"r", 0):
            self.end()

    def fork(
        self, command: Sequence[str], variables: Mapping[str, str], working_dir: Path
    ) -> tuple[int, IO[bytes]] | None:
        """Start a script as its fork; returns the number of our new child and its output, or None."""
        program, self._script, *_ = *command, ""
        self._file_pages, self._is_forked = "", False
        is_python = Path(program).parent == self._python.folder / "bin"
        is_script = self._script.endswith(".py") and not self._script.startswith("-")
        # Until it is unreadable, nothing of a job may run beside it.
        if not self._is_shielded() or not (is_python and is_script and self._has_loaded()):
            self._drop()
            return None
        order = {"command": command, "variables": dict(variables), "working_dir": str(working_dir)}
        try:
            started = self._ask(json.dumps(order).encode())
        except (OSError, ValueError):
            self.end()
            return None
        self._is_forked = True
        return started

    def look(self, pid: int) -> None:
        """Note which modules a script's process has loaded, as far as they are compiled."""
        with suppress(OSError, IndexError):
            pages = Path(f"/proc/{pid}/statm").read_text().split()[2]
            if pages == self._file_pages:
                return
            self._file_pages = pages
            maps = Path(f"/proc/{pid}/maps").read_text()
            if not maps:
                return  # it has ended: nothing tells any more what it had loaded
            paths = set(self._below.findall(maps))
            self._modules |= {name for path in paths - self._paths if (name := self._module(path))}
            self._paths |= paths
            if not self._is_forked:
                self._needs[self._script] = bool(paths)

    def _module(self, path: str) -> str:
        """Return the module of a compiled file, or the package of a library's file; "" if there is none."""
        suffix = next((each for each in _SUFFIXES if path.endswith(each)), "")
        name = path.removesuffix(suffix).replace("/", ".") if suffix else path.partition("/")[0]
        if not suffix and not (self._python.site_packages / name / "__init__.py").is_file():
            return ""
        return name if all(part.isidentifier() for part in name.split(".")) else ""

    def _is_shielded(self) -> bool:
        """Tell whether it is there, unreadable and unchanged; otherwise it is not from now on."""
        if self._hears(b"s", _TIMEOUT_S) and self._has_its_limits():
            return True
        self.end()
        return False

    def _has_loaded(self) -> bool:
        """Wait until it has loaded all; not for a script without packages, which ends sooner by itself."""
        if not self._needs.get(self._script, True):
            return False
        if self._hears(b"r", _TIMEOUT_S):
            return True
        self._refused = self._loaded
        self.end()
        return False

    def _has_its_limits(self) -> bool:
        """A process of the same user may set them, and a fork would have them too."""
        try:
            return all(limits(pid) == self._limits for pid in self.pids)
        except OSError:
            return False

    def _hears(self, wanted: bytes, timeout_s: float) -> bool:
        while self._control is not None and wanted not in self._heard:
            self._control.settimeout(timeout_s)
            try:
                said = self._control.recv(2)
            except OSError:
                return False
            self._heard += said
            # Packages may have written there: what is not to be believed is not waited for either.
            if not said or not b"sr".startswith(self._heard):
                self._refused = self._loaded
                self.end()
        return self._control is not None

    def _asked(self) -> tuple[socket.socket, IO[bytes]]:
        """Ask for a process; returns the socket to it, and its output."""
        assert self._control is not None  # noqa: S101 - it is ready
        ours, theirs = socket.socketpair()
        read, write = os.pipe()
        output = open(read, "rb", buffering=0)  # noqa: SIM115 - the reader closes it
        try:
            socket.send_fds(self._control, [b"f"], [theirs.fileno(), write])
        except OSError:
            ours.close()
            output.close()
            raise
        finally:
            theirs.close()
            os.close(write)
        return ours, output

    def _drop(self) -> None:
        """Let a process that was asked for ahead end without a script."""
        if self._ahead is not None:
            for each in self._ahead:
                each.close()
            self._ahead = None

    def _ask(self, order: bytes) -> tuple[int, IO[bytes]]:
        """Give a process its script; raises OSError or ValueError if there is none that has begun."""
        (ours, output), self._ahead = self._ahead or self._asked(), None
        with ours, ExitStack() as unless_begun:
            unless_begun.callback(output.close)
            ours.settimeout(_TIMEOUT_S)
            pid = int(ours.recv(20))
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)  # it is our child
            unless_begun.pop_all()
            with suppress(OSError):  # from here on it ends as a script does
                ours.sendall(order)
        return pid, output


def _stands_still(pid: int) -> bool:
    """Stop a child of ours; False if it cannot be, has ended, or has children, which run on."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    how = os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT
    while (found := os.waitid(os.P_PID, pid, how)) is None and time.monotonic() < deadline:
        time.sleep(0.0001)
    return found is not None and found.si_code == os.CLD_STOPPED and is_alone(pid)
