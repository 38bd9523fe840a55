"""Unpack an environment of Python packages, so that `python` of a script has them and no others."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tarfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sluice.containers import unpacking
from sluice.containers.data import DataError

# tarfile copies the rest of its buffer at each read.
_BUFFER_BYTES = 1 << 16
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
_ABSOLUTE_PYTHON = re.compile(r"/.*/python3?(\.\d+)?")
# CLOCK_REALTIME_COARSE of Linux, which Python does not name.
_CLOCK_OF_FILES = 5
# A step of it takes at most 10 ms.
_STEPS_MAX = 100
_VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, slots=True)
class Python:
    """An interpreter with its packages, in a folder like a virtual environment."""

    folder: Path

    @property
    def site_packages(self) -> Path:
        return self.folder / "lib" / _VERSION / "site-packages"

    @property
    def variables(self) -> dict[str, str]:
        return {
            "PATH": f"{self.folder / 'bin'}:{_SYSTEM_PATH}",
            "VIRTUAL_ENV": str(self.folder),
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONIOENCODING": "UTF-8",
            "PYTHONUNBUFFERED": "1",
        }

    def command(self, command: Sequence[str]) -> list[str]:
        """Find a command's program: wherever an image has its Python, here it is in `bin`."""
        program, *arguments = image_command(command)
        own = self.folder / "bin" / program
        return [str(own) if "/" not in program and own.exists() else program, *arguments]


def image_command(command: Sequence[str]) -> list[str]:
    """Adapt a command: wherever an image has its Python, here it is the first on PATH."""
    program, *arguments = command
    if _ABSOLUTE_PYTHON.fullmatch(program):
        program = "python3"
    return [program, *arguments]


def unpack(archive: IO[bytes], sha256: str, folder: Path) -> Python:
    """Make an environment from its archive, a .tar.zst of site-packages; raises DataError.

    The archive's digest is its name: another content is refused, and nothing of it is left.
    """
    python = Python(folder)
    python.site_packages.mkdir(parents=True)
    reader = _Hashed(archive)
    try:
        with (
            _decompressed(reader) as stream,
            tarfile.open(fileobj=stream, mode="r|", bufsize=_BUFFER_BYTES) as tar,
        ):
            unpacking.extract(tar, python.site_packages)
        while reader.read(1 << 20):
            pass
    except (tarfile.TarError, EOFError, ValueError, FileExistsError) as error:
        raise DataError(f"The environment {sha256} cannot be unpacked: {error}") from error
    if reader.sha256 != sha256:
        raise DataError(f"The environment {sha256} is another: its sha256 is {reader.sha256}")
    _add_interpreter(python)
    return python


@dataclass(frozen=True, slots=True)
class Seal:
    """What tells whether an environment is as it was when it was sealed: when each of its files last changed.

    Who may write a file may set every time of it but this one. A file or a folder that is added, removed or
    put in another's place changes the time of the folder around it.
    """

    folder: str
    paths: Sequence[str]
    """In the folder, which is the first."""
    changed_ns: Sequence[int]

    @classmethod
    def of(cls, python: Python) -> Seal:
        """Seal an environment; whatever changes from now on has a later time."""
        root, paths = str(python.folder), ["."]
        for folder, folders, files in os.walk(root):
            paths += (os.path.join(folder, name)[len(root) + 1 :] for name in (*folders, *files))
        changed_ns = _changed_ns(root, paths)
        return cls(root, paths, changed_ns if _is_past(max(changed_ns)) else ())

    def is_intact(self) -> bool:
        """Look at each file again: ten thousand take 20 ms; walking through the folders would take 60."""
        try:
            return _changed_ns(self.folder, self.paths) == self.changed_ns
        except OSError:
            return False


def _is_past(moment_ns: int) -> bool:
    """Wait until the kernel, whose time of files advances in steps, gives later times than this one.

    False if its clock was put back since.
    """
    for _ in range(_STEPS_MAX):
        if time.clock_gettime_ns(_CLOCK_OF_FILES) > moment_ns:
            return True
        time.sleep(0.001)
    return False


def _changed_ns(folder: str, paths: Sequence[str]) -> list[int]:
    """Return when each last changed; the kernel looks for them in the folder, not from the root each time."""
    look, opened = os.lstat, os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        return [look(path, dir_fd=opened).st_ctime_ns for path in paths]
    finally:
        os.close(opened)


def without_packages(folder: Path) -> Python:
    """Make an environment that has the standard library alone."""
    python = Python(folder)
    python.site_packages.mkdir(parents=True)
    _add_interpreter(python)
    return python


def _add_interpreter(python: Python) -> None:
    base = Path(getattr(sys, "_base_executable", sys.executable))
    (python.folder / "pyvenv.cfg").write_text(
        f"home = {base.parent}\ninclude-system-site-packages = false\n", "ascii"
    )
    (python.folder / "bin").mkdir()
    for name in ("python", "python3", _VERSION):
        os.symlink(base, python.folder / "bin" / name)


def _decompressed(stream: _Hashed) -> IO[bytes]:
    import zstandard

    reader: IO[bytes] = zstandard.ZstdDecompressor().stream_reader(stream)  # type: ignore[arg-type]
    return reader


class _Hashed:
    """A stream that digests what is read of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._read: Callable[[int], bytes] = stream.read
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._read(size)
        self._hash.update(data)
        return data

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()
