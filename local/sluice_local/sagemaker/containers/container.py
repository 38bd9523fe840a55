"""Run a command as a container does: with its own /opt/ml, an image's packages and a clean environment.

Here a container is a process in its own session, whose mount namespace shows a directory of ours as /opt/ml.
If the kernel allows no namespaces, the directory stays in its place, and variables and arguments that name
/opt/ml are translated (`Sandbox.inside`).
"""

from __future__ import annotations

import functools
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO, overload

from sluice_local import namespace, network
from sluice_local.memory import MemoryWatch
from sluice_local.processes import end_descendants
from sluice_local.sagemaker.containers.images import (
    PIP_INSTALL,
    Environment,
    ImageCache,
    RequirementsError,
    is_indexed,
    said_by_pip,
)

OPT_ML = Path(namespace.OPT_ML)
NOT_MAPPED = (
    "This machine allows no mount namespaces, so /opt/ml is translated in arguments and variables alone: "
    "a script that has it written in its code will not find it."
)

_OPT_ML_IN_TEXT = re.compile(rf"{OPT_ML}(?![\w-])")
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PYTHON_VARIABLES = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONIOENCODING": "UTF-8",
    "PYTHONUNBUFFERED": "1",
}
_THREADS_VARIABLES = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"),
    "LOKY_MAX_CPU_COUNT",
)
_INIT_TIMEOUT_S = 5.0
_memory = MemoryWatch("container-memory", longest_s=1.0)
# A child gets its death signal when the *thread* that started it ends: this thread lives as long as we do.
_STARTER = ThreadPoolExecutor(1, thread_name_prefix="container-starter")


class Isolation(StrEnum):
    """How a container gets its own /opt/ml: by a mount, by one in a user namespace, or not at all."""

    MOUNT = "mount"
    USER = "user"
    NONE = "none"


@functools.cache
def isolation() -> Isolation:
    """Return the best isolation that this machine allows, by trying."""
    if sys.platform.startswith("linux"):
        for candidate in (Isolation.MOUNT, Isolation.USER):
            if _works(candidate):
                return candidate
    return Isolation.NONE


def _works(candidate: Isolation) -> bool:
    with tempfile.TemporaryDirectory() as directory:
        ml, stage = Path(directory, "ml"), Path(directory, "stage")
        ml.mkdir()
        stage.mkdir()
        trial = _namespaced(candidate, ml, stage, OPT_ML, ["true"])
        return subprocess.run(trial, stderr=subprocess.DEVNULL).returncode == 0


def _namespaced(how: str, ml: Path, stage: Path, working_dir: Path, command: Sequence[str]) -> list[str]:
    script = [sys.executable, "-I", "-S", namespace.__file__]
    return [*script, str(os.getpid()), how, str(ml), str(stage), str(working_dir), *command]


def available_cpus(instances: int = 1) -> int:
    """Return the processors for one of `instances`, as all share this machine."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, usable // instances)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The directories of one container, and its own Python environment."""

    directory: Path
    python: Environment
    isolation: Isolation = field(default_factory=isolation)
    has_network: bool = True
    memory_mb: int | None = None
    """What its processes may hold together; None if there is no limit."""

    @classmethod
    def create(
        cls,
        directory: Path,
        image: Environment,
        *,
        has_network: bool = True,
        memory_mb: int | None = None,
    ) -> Sandbox:
        """Make missing directories, and an environment on top of the image's for what the user installs."""
        for name in ("ml", "stage", "home", "tmp"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        python = image.overlay(directory / "python")
        return cls(directory, python, has_network=has_network, memory_mb=memory_mb)

    def install(self, code: str, variables: Mapping[str, str]) -> None:
        """Install the code folder's requirements.txt with pip, only for this container.

        `code` is the path inside, so that editable packages are found there; `variables` are the request's.
        Raises RequirementsError.
        """
        command = [str(self.python.python), *PIP_INSTALL]
        container = self.start(command, {**self.variables(available_cpus()), **variables}, code)
        output = container.output.read().decode(errors="replace")
        if container.wait():
            raise RequirementsError(said_by_pip(output))

    @property
    def ml(self) -> Path:
        """The path of the container's /opt/ml outside."""
        return self.directory / "ml"

    @property
    def tmp(self) -> Path:
        return self.directory / "tmp"

    @property
    def is_mapped(self) -> bool:
        """Whether the container's processes see it as /opt/ml."""
        return self.isolation is not Isolation.NONE

    @property
    def _isolation_word(self) -> str:
        return str(self.isolation) if self.has_network or not self.is_mapped else f"{self.isolation}-offline"

    def inside(self, text: str) -> str:
        """Translate an argument or variable that may name /opt/ml for the container."""
        return text if self.is_mapped else _OPT_ML_IN_TEXT.sub(str(self.ml), text)

    def outside(self, path: str) -> Path:
        """Return the path outside of a path below /opt/ml; raises ValueError for any other."""
        return self.ml / Path(os.path.normpath(path)).relative_to(OPT_ML)

    def variables(self, cpus: int) -> dict[str, str]:
        """Return the variables of an image's processes on a machine with so many processors."""
        return {
            **network.variables(),
            **_PYTHON_VARIABLES,
            **dict.fromkeys(_THREADS_VARIABLES, str(cpus)),
            "PATH": f"{self.python.path}:{_SYSTEM_PATH}",
            "HOME": str(self.directory / "home"),
            "TMPDIR": str(self.tmp),
            "VIRTUAL_ENV": str(self.python.directory),
        }

    def start(
        self, command: Sequence[str], variables: Mapping[str, str], working_dir: str | None = None
    ) -> Container:
        """Start the container's process. `working_dir` is a path inside; the default is a private folder."""
        arguments = [self.inside(argument) for argument in command]
        directory = Path(self.inside(working_dir) if working_dir else self.tmp)
        stage = self.directory / "stage"
        process = _STARTER.submit(
            subprocess.Popen[bytes],
            _namespaced(self._isolation_word, self.ml, stage, directory, arguments),
            env={name: self.inside(value) for name, value in variables.items()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ).result()
        return Container(process, self.memory_mb)


def environment(cache: ImageCache, image_uri: str, code: Path) -> tuple[Environment, bool]:
    """Return an image with the code's requirements, and whether the container must still install these.

    Requirements that come only from an index are installed once for all jobs. Raises ImageError.
    """
    requirements = code / "requirements.txt"
    if not requirements.is_file():
        return cache.environment(image_uri), False
    if is_indexed(requirements):
        return cache.environment(image_uri, requirements), False
    return cache.environment(image_uri), True


class Container:
    """A running container. When its first process ends, all that it left behind ends too.

    So does it if its processes hold more memory than they may.
    """

    def __init__(self, process: subprocess.Popen[bytes], memory_limit_mb: int | None = None) -> None:
        self._process = process
        self.memory_limit_mb = memory_limit_mb or 0
        self.is_out_of_memory = False
        self._ended = threading.Event()
        threading.Thread(target=self._reap, name=f"container-{process.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def supervisor_pid(self) -> int | None:
        """The process beside the command, below which all others are."""
        return None if self.has_ended else self.pid

    @property
    def output(self) -> IO[bytes]:
        """Its output, including standard error."""
        assert self._process.stdout is not None  # noqa: S101 - it was started with a pipe
        return self._process.stdout

    @overload
    def wait(self) -> int: ...

    @overload
    def wait(self, timeout_s: float) -> int | None: ...

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Return the exit code, 128 + n after signal n; None if it is still running after `timeout_s`."""
        if not self._ended.wait(timeout_s):
            return None
        code = self._process.returncode
        return code if code >= 0 else 128 - code

    def stop(self, grace_s: float) -> int:
        """Send SIGTERM, and kill it after `grace_s`; returns its exit code."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        if self.wait(grace_s) is None:
            end_descendants(self.pid)  # then it ends too
            if self.wait(_INIT_TIMEOUT_S) is None:
                self._process.kill()
        return self.wait()

    @property
    def has_ended(self) -> bool:
        return self._ended.is_set()

    def _reap(self) -> None:
        # As long as it is not reaped, no other process gets its id.
        with _memory.over(self) if self.memory_limit_mb else nullcontext():
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._ended.set()
