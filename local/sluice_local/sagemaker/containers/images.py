"""Framework images without Docker: an image URI stands for a locked set of packages in a cached environment.

`images/<framework>-<version>.txt` is what an image is here, so the digest of that file is the image's digest.
An environment is built once per lock and requirements.txt, and only read from then on: each job gets an
*overlay*, a virtual environment of its own that sees the image's packages and costs a few files.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LOCKS = Path(__file__).resolve().parents[2] / "images"

_FRAMEWORKS = {"sagemaker-scikit-learn": "scikit-learn"}  # a repository, and what its locks' names begin with
# The Python of SageMaker's own images: here all run on the one that the checkout has.
REAL_PYTHONS = {"scikit-learn 1.4-2": "3.10", "scikit-learn 1.2-1": "3.9"}
_TAG_SUFFIX = "-cpu-py3"
_COMPLETE = ".complete"
_PYTHON = os.path.realpath(sys.executable)
_PIP = '#!/bin/sh\nexec "$(dirname "$0")/python" -m pip "$@"\n'
PIP_INSTALL = ("-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", "requirements.txt")
# A line of a requirements.txt that means the same in every folder: a name, maybe versions, a marker, hashes.
_INDEXED = re.compile(
    r"([A-Za-z0-9][\w.-]*\s*(\[[\w\s,.-]*\])?\s*([=<>!~(][^/@#]*)?(;[^/@#]*)?|--hash[=\s]\S+)\s*\\?(\s#.*)?"
)
_ARCHIVE = re.compile(r"\.(whl|zip|tar(\.\w+)?|tgz)\b", re.IGNORECASE)
_ERROR_LENGTH = 2000


class ImageError(Exception):
    """There is no such image here, or its environment cannot be built; the message is for the user."""


class RequirementsError(ImageError):
    """The user's requirements.txt cannot be installed; the message is pip's."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment that holds an image's packages."""

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
        """What PATH begins with, so that the environment's commands are found."""
        return str(self.bin)

    def overlay(self, directory: Path) -> Overlay:
        """Make an environment on top of this one: it sees the packages here, and pip installs into it."""
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


def names() -> list[str]:
    """The images that exist locally, as repository:tag."""
    return [
        f"{repository}:{lock.stem.removeprefix(framework + '-')}{_TAG_SUFFIX}"
        for repository, framework in _FRAMEWORKS.items()
        for lock in _locks(framework)
    ]


def other_pythons() -> dict[str, str]:
    """The images whose Python is another on SageMaker than here, and which."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {image: python for image, python in REAL_PYTHONS.items() if python != here}


def lock_file(image_uri: str) -> Path:
    """The locked requirements of an image, whatever its registry. Raises ImageError if there are none."""
    tagged, _, wanted_digest = image_uri.partition("@")
    repository, _, tag = tagged.rpartition("/")[2].partition(":")
    if (tag or wanted_digest) and repository in _FRAMEWORKS:
        for lock in _locks(_FRAMEWORKS[repository]):
            version = lock.stem.removeprefix(_FRAMEWORKS[repository] + "-")
            if tag in ("", version, version + _TAG_SUFFIX) and wanted_digest in ("", _digest(lock)):
                return lock
    raise ImageError(f'Image "{image_uri}" does not exist locally. These do: {", ".join(names())}.')


def digest(image_uri: str) -> str:
    """The image's `sha256:...`. Raises ImageError if there is no such image here."""
    return _digest(lock_file(image_uri))


def resolved(image_uri: str) -> str:
    """The image as a `ResolvedImage` is written: its repository at its digest, without a tag."""
    registry, slash, image = image_uri.partition("@")[0].rpartition("/")
    return f"{registry}{slash}{image.partition(':')[0]}@{digest(image_uri)}"


@dataclass(frozen=True, slots=True)
class ImageCache:
    """The environments built so far, in a folder that outlives a local cloud."""

    directory: Path

    def environment(self, image_uri: str, requirements: Path | None = None) -> Environment:
        """The image's environment, with an indexed requirements.txt on top if given; built if not there yet.

        Raises ImageError, of a requirements.txt RequirementsError, with the installer's own words.
        """
        lock = lock_file(image_uri)
        image = self._built(f"{lock.stem}-{_key(lock)}", lambda target: _install_image(target, lock))
        if requirements is None or not any(_lines(requirements)):
            return image
        return self._built(
            f"{lock.stem}-{_key(lock, requirements)}",
            lambda target: _install_requirements(target, image, requirements),
        )

    def _built(self, name: str, build: Callable[[Path], None]) -> Environment:
        """The environment of that name, built by the first who asks while the others wait.

        It counts once it is marked complete: what a crash left half-built is built again.
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
        """Hold off the other threads and processes that want this environment."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _install_image(target: Path, lock: Path) -> None:
    # Relocatable, so that the scripts of a copy start the copy's interpreter.
    _uv("venv", "--relocatable", "--python", _PYTHON, str(target))
    _uv(
        "pip", "install", "--compile-bytecode", "--require-hashes", *_into(target), "--requirement", str(lock)
    )


def _install_requirements(target: Path, image: Environment, requirements: Path) -> None:
    """Add packages to a copy of the image's environment whose files are hard links: quick, and small."""
    unfinished = shutil.ignore_patterns(_COMPLETE)
    shutil.copytree(image.directory, target, copy_function=os.link, symlinks=True, ignore=unfinished)
    _pip(Environment(target).python, requirements.parent)


def is_indexed(requirements: Path) -> bool:
    """Whether a requirements.txt names packages of an index alone, so that jobs can share what it makes.

    Any other is installed in the container of the job, where its paths and options mean what they say.
    """
    try:
        lines = _lines(requirements)
    except UnicodeDecodeError:  # in another encoding that pip can read
        return False
    return all(_INDEXED.fullmatch(line) and not _ARCHIVE.search(line) for line in lines)


def _lines(requirements: Path) -> list[str]:
    lines = (line.strip() for line in requirements.read_text("utf-8-sig").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def said_by_pip(output: str) -> str:
    """Of what a failed pip printed, what it says of the failure."""
    errors = [line for line in output.splitlines() if "error" in line.lower()]
    return ("\n".join(errors) or output).strip()[-_ERROR_LENGTH:]


def _pip(python: Path, folder: Path) -> None:
    """Install a folder's requirements.txt as every container does: by pip, in that folder."""
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


def _locks(framework: str) -> list[Path]:
    return sorted(LOCKS.glob(f"{framework}-*.txt"))


def _digest(lock: Path) -> str:
    return f"sha256:{hashlib.sha256(lock.read_bytes()).hexdigest()}"


def _key(*files: Path) -> str:
    """What identifies an environment: the files it is made of, and the interpreter it is made for."""
    key = hashlib.sha256(f"{_PYTHON} {sys.version} {platform.machine()}".encode())
    for file in files:
        key.update(hashlib.sha256(file.read_bytes()).digest())
    return key.hexdigest()[:16]
