"""Provide framework images without Docker: an image URI is a locked set of packages in a cached environment.

A lock file of `sluice.containers.packages` defines an image here, so the file's digest is the image's. An
environment is built once for each lock and requirements.txt, and is read-only from then on: each job gets an
*overlay*, its own virtual environment of a few files that sees the image's packages.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sluice.containers.packages import locks_of, names, not_indexed

# The Python of SageMaker's own images; here all run on the checkout's.
REAL_PYTHONS = {"scikit-learn 1.4-2": "3.10", "scikit-learn 1.2-1": "3.9", "xgboost 3.2-0": "3.12"}
# AWS's analyzers are programs of this checkout, with its packages: the module of each repository.
ANALYZERS = {
    "sagemaker-model-monitor-analyzer": "sluice_analyzers.monitor",
    "sagemaker-clarify-processing": "sluice_analyzers.clarify",
}
_COMPLETE = ".complete"
_PYTHON = os.path.realpath(sys.executable)
_PIP = '#!/bin/sh\nexec "$(dirname "$0")/python" -m pip "$@"\n'
PIP_INSTALL = ("-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", "requirements.txt")
_ERROR_LENGTH = 2000


class ImageError(Exception):
    """The image does not exist here, or its environment cannot be built; the message is for the user."""


class RequirementsError(ImageError):
    """pip cannot install the user's requirements.txt; the message is pip's."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment with an image's packages."""

    directory: Path

    @property
    def bin(self) -> Path:
        return self.directory / "bin"

    @property
    def python(self) -> Path:
        return self.bin / "python"

    @property
    def site_packages(self) -> Path:
        scheme = {"base": str(self.directory), "platbase": str(self.directory)}
        return Path(sysconfig.get_path("purelib", "venv", scheme))

    @property
    def path(self) -> str:
        """The start of PATH, by which the environment's commands are found."""
        return str(self.bin)

    def overlay(self, directory: Path) -> Overlay:
        """Make an environment on top of this one, which sees these packages, and which pip installs into."""
        overlay = Overlay(directory, self)
        overlay.site_packages.mkdir(parents=True)
        overlay.bin.mkdir()
        (directory / "pyvenv.cfg").write_text((self.directory / "pyvenv.cfg").read_text())
        (overlay.site_packages / "image.pth").write_text(
            f"import site; site.addsitedir({str(self.site_packages)!r})\n"
        )
        overlay.python.symlink_to(_PYTHON)
        (overlay.bin / "python3").symlink_to("python")
        for name in ("pip", "pip3"):
            (overlay.bin / name).write_text(_PIP)
            (overlay.bin / name).chmod(0o755)
        return overlay


@dataclass(frozen=True, slots=True)
class Overlay(Environment):
    """An environment on top of an image's."""

    image: Environment

    @property
    def path(self) -> str:
        return os.pathsep.join((str(self.bin), str(self.image.bin)))


def other_pythons() -> dict[str, str]:
    """Return the images whose Python differs on SageMaker, and its version there."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {image: python for image, python in REAL_PYTHONS.items() if python != here}


def analyzer(image_uri: str) -> str | None:
    """Return the module that an analyzer's image runs here; None for any other image."""
    repository = image_uri.partition("@")[0].rpartition("/")[2].partition(":")[0]
    return ANALYZERS.get(repository)


def lock_file(image_uri: str) -> Path:
    """Return an image's lock file, whatever its registry; raises ImageError if there is none."""
    tagged, _, wanted_digest = image_uri.partition("@")
    if wanted_digest or ":" in tagged.rpartition("/")[2]:
        for lock in locks_of(image_uri):
            if wanted_digest in ("", _digest(lock)):
                return lock
    raise ImageError(f'Image "{image_uri}" does not exist locally. These do: {", ".join(names())}.')


def digest(image_uri: str) -> str:
    """Return the image's `sha256:...`; raises ImageError if there is no such image here."""
    return _digest(lock_file(image_uri))


def resolved(image_uri: str) -> str:
    """Return the image as a `ResolvedImage`: its repository at its digest, without a tag."""
    registry, slash, image = image_uri.partition("@")[0].rpartition("/")
    return f"{registry}{slash}{image.partition(':')[0]}@{digest(image_uri)}"


@dataclass(frozen=True, slots=True)
class ImageCache:
    """The environments built so far, in a folder that outlives local clouds."""

    directory: Path

    def environment(self, image_uri: str, requirements: Path | None = None) -> Environment:
        """Return the image's environment, with an indexed requirements.txt if given; build it if needed.

        Raises ImageError, or RequirementsError for a requirements.txt, with the installer's message.
        """
        if analyzer(image_uri):
            return Environment(Path(sys.prefix))
        lock = lock_file(image_uri)
        image = self._built(f"{lock.stem}-{_key(lock)}", lambda target: _install_image(target, lock))
        if requirements is None or not any(_lines(requirements)):
            return image
        return self._built(
            f"{lock.stem}-{_key(lock, requirements)}",
            lambda target: _install_requirements(target, image, requirements),
        )

    def _built(self, name: str, build: Callable[[Path], None]) -> Environment:
        """Return the environment with a name; the first caller builds it while others wait.

        It must be marked complete: what a crash left half-built is built again.
        """
        target = self.directory / name
        complete = target / _COMPLETE
        if not complete.exists():
            with self._locked(name):
                if not complete.exists():
                    shutil.rmtree(target, ignore_errors=True)
                    try:
                        build(target)
                    except ImageError:
                        shutil.rmtree(target, ignore_errors=True)
                        raise
                    complete.touch()
        return Environment(target)

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """Lock out other threads and processes that want this environment."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _install_image(target: Path, lock: Path) -> None:
    # Make it relocatable, so that a copy's scripts start the copy's interpreter.
    _uv("venv", "--relocatable", "--python", _PYTHON, str(target))
    _uv(
        "pip", "install", "--compile-bytecode", "--require-hashes", *_into(target), "--requirement", str(lock)
    )


def _install_requirements(target: Path, image: Environment, requirements: Path) -> None:
    """Add packages to a copy of the image's environment that has hard links: it is quick and small."""
    unfinished = shutil.ignore_patterns(_COMPLETE)
    shutil.copytree(image.directory, target, copy_function=os.link, symlinks=True, ignore=unfinished)
    _pip(Environment(target).python, requirements.parent)


def is_indexed(requirements: Path) -> bool:
    """Tell whether a requirements.txt names only packages of an index, so that jobs can share the result.

    Any other is installed in the job's container, where its paths and options are valid.
    """
    try:
        lines = _lines(requirements)
    except UnicodeDecodeError:  # pip may read another encoding
        return False
    return not not_indexed(lines)


def _lines(requirements: Path) -> list[str]:
    lines = (line.strip() for line in requirements.read_text("utf-8-sig").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def said_by_pip(output: str) -> str:
    """Return the part of a failed pip's output that explains the failure."""
    errors = [line for line in output.splitlines() if "error" in line.lower()]
    return ("\n".join(errors) or output).strip()[-_ERROR_LENGTH:]


def _pip(python: Path, folder: Path) -> None:
    """Install a folder's requirements.txt as containers do: with pip, in that folder."""
    done = subprocess.run([str(python), *PIP_INSTALL], cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        raise RequirementsError(said_by_pip(done.stderr))


def _into(target: Path) -> tuple[str, str]:
    return "--python", str(Environment(target).python)


def _uv(*arguments: str) -> None:
    beside = Path(sys.executable).with_name("uv")
    command = [str(beside) if beside.exists() else "uv", *arguments, "--no-progress", "--color", "never"]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise ImageError(result.stderr.strip())


def _digest(lock: Path) -> str:
    return f"sha256:{hashlib.sha256(lock.read_bytes()).hexdigest()}"


def _key(*files: Path) -> str:
    """Identify an environment by the files it is made of and its interpreter."""
    key = hashlib.sha256(f"{_PYTHON} {sys.version} {platform.machine()}".encode())
    for file in files:
        key.update(hashlib.sha256(file.read_bytes()).digest())
    return key.hexdigest()[:16]
