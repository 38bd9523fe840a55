"""Run a command as a container would: its own /opt/ml, an image's packages, a clean environment.

A container here is a process, in a session of its own, whose mount namespace shows a directory of ours as
/opt/ml. Where the kernel allows no namespaces the directory stays where it is, and only variables and
arguments that name /opt/ml are translated (`Sandbox.inside`).
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
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO, overload

from sluice_local import namespace
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
_CONFIGURATIONS = {
    "PIP_CONFIG_FILE": (
        "~/.config/pip/pip.conf",
        "~/.pip/pip.conf",
        "~/Library/Application Support/pip/pip.conf",
    ),
    "UV_CONFIG_FILE": ("~/.config/uv/uv.toml",),
}
_INIT_TIMEOUT_S = 5.0
_ABSOLUTE_PYTHON = re.compile(r"/.*/python3?(\.\d+)?")
_NETWORK_VARIABLE = re.compile(
    r"(PIP|UV)_\w+|(HTTP|HTTPS|NO)_PROXY|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE", re.IGNORECASE
)
# A child gets its death signal when the *thread* that started it ends: this thread lasts as long as we do.
_STARTER = ThreadPoolExecutor(1, thread_name_prefix="container-starter")


class Isolation(StrEnum):
    """How a container gets its own /opt/ml: by a mount, by one in a user namespace, or not at all."""

    MOUNT = "mount"
    USER = "user"
    NONE = "none"


@functools.cache
def isolation() -> Isolation:
    """The best that this machine allows, found out by trying."""
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


def _namespaced(
    how: Isolation, ml: Path, stage: Path, working_dir: Path, command: Sequence[str]
) -> list[str]:
    script = [sys.executable, "-I", "-S", namespace.__file__]
    return [*script, str(os.getpid()), how, str(ml), str(stage), str(working_dir), *command]


def available_cpus(instances: int = 1) -> int:
    """The processors one of `instances` may keep busy, as all of them share this machine."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, usable // instances)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The directories of one container, and the Python environment it has to itself."""

    directory: Path
    python: Environment
    isolation: Isolation = field(default_factory=isolation)

    @classmethod
    def create(cls, directory: Path, image: Environment) -> Sandbox:
        """Make what is not there yet, and an environment on top of the image's for what the user installs."""
        for name in ("ml", "stage", "home", "tmp"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        return cls(directory, image.overlay(directory / "python"))

    def install(self, code: str, variables: Mapping[str, str]) -> None:
        """Have pip install what the code folder's requirements.txt says, for this container alone.

        `code` is seen from inside, so that what is editable is found there; `variables` are the request's.
        Raises RequirementsError.
        """
        command = [str(self.python.python), *PIP_INSTALL]
        container = self.start(command, {**self.variables(available_cpus()), **variables}, code)
        output = container.output.read().decode(errors="replace")
        if container.wait():
            raise RequirementsError(said_by_pip(output))

    @property
    def ml(self) -> Path:
        """The container's /opt/ml, seen from outside."""
        return self.directory / "ml"

    @property
    def tmp(self) -> Path:
        return self.directory / "tmp"

    @property
    def is_mapped(self) -> bool:
        """Whether /opt/ml is what the container's processes see under that name."""
        return self.isolation is not Isolation.NONE

    def inside(self, text: str) -> str:
        """An argument or variable as the container has to read it, should it name /opt/ml."""
        return text if self.is_mapped else _OPT_ML_IN_TEXT.sub(str(self.ml), text)

    def outside(self, path: str) -> Path:
        """Where a path under /opt/ml is, seen from outside. Raises ValueError if it is not under it."""
        return self.ml / Path(os.path.normpath(path)).relative_to(OPT_ML)

    def variables(self, cpus: int) -> dict[str, str]:
        """The environment that an image's processes start with, on a machine with that many processors."""
        return {
            **_network_variables(),
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
        """Start the container's process. `working_dir` is seen from inside; the default is a private one."""
        arguments = [self.inside(argument) for argument in command]
        directory = Path(self.inside(working_dir) if working_dir else self.tmp)
        stage = self.directory / "stage"
        process = _STARTER.submit(
            subprocess.Popen[bytes],
            _namespaced(self.isolation, self.ml, stage, directory, arguments),
            env={name: self.inside(value) for name, value in variables.items()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ).result()
        return Container(process)


def environment(cache: ImageCache, image_uri: str, code: Path) -> tuple[Environment, bool]:
    """An image with what the code requires, and whether that is still to be installed in the container.

    What only an index is asked for is installed once for all jobs. Raises ImageError.
    """
    requirements = code / "requirements.txt"
    if not requirements.is_file():
        return cache.environment(image_uri), False
    if is_indexed(requirements):
        return cache.environment(image_uri, requirements), False
    return cache.environment(image_uri), True


def image_command(command: Sequence[str]) -> list[str]:
    """A command as it is run here: wherever an image has its Python, here it is the first on PATH."""
    program, *arguments = command
    if _ABSOLUTE_PYTHON.fullmatch(program):
        program = "python3"
    return [program, *arguments]


def _network_variables() -> dict[str, str]:
    """How this machine reaches package indexes; nothing else of its environment is a container's business."""
    variables = {name: value for name, value in os.environ.items() if _NETWORK_VARIABLE.fullmatch(name)}
    # The container's home is not the user's, where pip and uv would look.
    for name, places in _CONFIGURATIONS.items():
        found = [path for place in places if (path := Path(place).expanduser()).is_file()]
        if found:
            variables.setdefault(name, str(found[0]))
    for name in ("NO_PROXY", "no_proxy"):  # the local cloud is never behind a proxy
        variables[name] = ",".join(filter(None, (variables.get(name), "127.0.0.1", "localhost")))
    return variables


class Container:
    """A running container. When its first process ends, so does whatever that left behind."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._ended = threading.Event()
        threading.Thread(target=self._reap, name=f"container-{process.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> IO[bytes]:
        """What it prints, standard error included."""
        assert self._process.stdout is not None  # noqa: S101 - it was started with a pipe
        return self._process.stdout

    @overload
    def wait(self) -> int: ...

    @overload
    def wait(self, timeout_s: float) -> int | None: ...

    def wait(self, timeout_s: float | None = None) -> int | None:
        """The exit code, 128 + n after signal n; None if it still runs after `timeout_s`."""
        if not self._ended.wait(timeout_s):
            return None
        code = self._process.returncode
        return code if code >= 0 else 128 - code

    def stop(self, grace_s: float) -> int:
        """Ask it to end, by SIGTERM, and make it end after `grace_s`; its exit code."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        if self.wait(grace_s) is None:
            end_descendants(self.pid)  # with them it ends by itself
            if self.wait(_INIT_TIMEOUT_S) is None:
                self._process.kill()
        return self.wait()

    @property
    def has_ended(self) -> bool:
        return self._ended.is_set()

    def _reap(self) -> None:
        # While it is not reaped, nobody else has its number.
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._ended.set()
