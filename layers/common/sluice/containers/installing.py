"""Make an environment of Python packages, as an archive: pins of an image, and a project's requirements.txt.

Wheels alone are installed, so no code of a package runs here. The archive is deterministic: the same wheels
give the same bytes on the same version of Python, and its sha256 names it.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from sluice.containers.archives import write_tree
from sluice.containers.packages import names_index, without_credentials

# More is slow to unpack at each cold start, and leaves a job little of its function's disk.
UNPACKED_BYTES_MAX = 4 * 10**9
# What serves models in an image, and what installs packages: no job needs them.
_NOT_FOR_JOBS = frozenset({"pip", "wheel", "starlette", "uvicorn", "httptools"})
# Of use only to a compiler, which Lambda has not.
_FOR_COMPILERS = frozenset({".a", ".lib", ".h", ".hpp", ".pxd", ".pyx"})
_TEST_FILES = ("test_*.py", "*_test.py")
_PINNED = re.compile(r"([A-Za-z0-9][\w.-]*)==")
# In each, files are compiled in one order, as that may show in bytecode.
_COMPILERS = 2
_UV = ("--quiet", "--color", "never", "--no-build", "--index-strategy", "unsafe-best-match")
_SAID_LENGTH = 600

_NO_WHEEL = re.compile(r"([\w.-]+?)(?:==([\w.+!]+))? has no (?:usable wheels|wheels with a matching)")
_UNKNOWN = re.compile(r"([\w.-]+) was not found in the (?:package registry|provided package locations)")
_UNREACHED = re.compile(
    r"Failed to fetch: `?(\S+?)`?$|error sending request for url \((\S+?)\)", re.MULTILINE
)


class InstallError(Exception):
    """The packages cannot be installed; the message says why, for who wrote requirements.txt."""


@dataclass(frozen=True, slots=True)
class Installer:
    """Where uv is, the variables that it runs with, and how long it may take."""

    uv: str
    variables: Mapping[str, str]
    remaining_s: Callable[[], float]

    def run(self, *arguments: str, folder: Path) -> None:
        """Run uv for this interpreter, in a folder; raises InstallError."""
        try:
            done = subprocess.run(
                [self.uv, "pip", *arguments, "--python", sys.executable, *_UV],
                cwd=folder,
                env=dict(self.variables),
                capture_output=True,
                text=True,
                timeout=self.remaining_s(),
            )
        except subprocess.TimeoutExpired:
            raise InstallError("there was no time to install all packages") from None
        if done.returncode != 0:
            raise InstallError(explain(done.stderr))


@dataclass(frozen=True, slots=True)
class Built:
    """An archive of packages, and what it holds."""

    archive: Path
    # Names and versions, in order.
    packages: Sequence[tuple[str, str]]
    # The packages as they were resolved, with the hashes of their files.
    lock: str
    unpacked_bytes: int


def build(
    installer: Installer,
    lock: str,
    requirements: Sequence[str],
    workspace: Path,
    unpacked_bytes_max: int = UNPACKED_BYTES_MAX,
) -> Built:
    """Resolve, install, strip, compile and pack packages in an empty folder; raises InstallError.

    `lock` pins an image's packages with hashes. `requirements` are the lines of a requirements.txt; they
    change a version of the image's only where they must, as pip would.
    """
    locked, packages = workspace / "lock.txt", workspace / "packages"
    locked.write_text(_without(lock, _NOT_FOR_JOBS))
    (workspace / "indexes.in").touch()
    if requirements:
        (workspace / "requirements.in").write_text("\n".join(requirements))
        (workspace / "indexes.in").write_text("\n".join(filter(names_index, requirements)))
        _resolve(installer, workspace)
        if any("--hash" in line for line in requirements):  # hashes that were asked for must be met
            _install(installer, workspace, "requirements.in")
    _install(installer, workspace, locked.name)
    _strip(packages)
    _compile(packages, installer.remaining_s())
    unpacked_bytes = sum(path.stat().st_size for path in _files(packages))
    if unpacked_bytes > unpacked_bytes_max:
        raise InstallError(
            f"its packages have {unpacked_bytes / 1e6:,.0f} MB, jobs on Lambda take at most "
            f"{unpacked_bytes_max / 1e6:,.0f} MB"
        )
    archive = workspace / "environment.tar.zst"
    write_tree(archive, packages)
    return Built(archive, _installed(packages), locked.read_text(), unpacked_bytes)


def _resolve(installer: Installer, workspace: Path) -> None:
    """Add requirements.in to the lock, whose versions are preferred."""
    pinned = _PINNED.findall((workspace / "lock.txt").read_text())
    (workspace / "image.in").write_text("\n".join(pinned))
    installer.run(
        *("compile", "image.in", "requirements.in", "--output-file", "lock.txt"),
        *("--generate-hashes", "--no-header", "--no-annotate"),
        folder=workspace,
    )


def _install(installer: Installer, workspace: Path, requirements: str) -> None:
    what = ("--require-hashes", "--no-deps", "--requirement", requirements, "--requirement", "indexes.in")
    installer.run("install", "--target", "packages", *what, folder=workspace)


def _without(lock: str, names: Collection[str]) -> str:
    """Leave packages out of a lock; the lines after a pin are its hashes."""
    kept, keeps = list[str](), True
    for line in lock.splitlines():
        if pin := _PINNED.match(line):
            keeps = pin[1] not in names
        if keeps:
            kept.append(line)
    return "\n".join(kept) + "\n"


def _strip(packages: Path) -> None:
    """Remove what only tests and compilers use: a quarter of the bytes, and half of the files."""
    for folder in [path for path in packages.rglob("tests") if path.is_dir()]:
        if any(next(folder.rglob(pattern), None) for pattern in _TEST_FILES):
            shutil.rmtree(folder, ignore_errors=True)
    for path in list(_files(packages)):
        if path.suffix in _FOR_COMPILERS:
            path.unlink()
    (packages / ".lock").unlink(missing_ok=True)


def _compile(packages: Path, timeout_s: float) -> None:
    """Write bytecode that is not checked against its source, which imports then need not look at.

    A file that this Python cannot compile, such as a template, stays as it is. `-P` keeps the folder off the
    compiler's own path: else a package's module called like one of Python's would run here.
    """
    sources = sorted(str(path.relative_to(packages)) for path in _files(packages) if path.suffix == ".py")
    options = ("-qq", "--invalidation-mode", "unchecked-hash", "-i", "-")
    command = [sys.executable, "-P", "-m", "compileall", *options]
    running = [
        subprocess.Popen(command, cwd=packages, stdin=subprocess.PIPE, env={"PYTHONHASHSEED": "0"})
        for _ in range(_COMPILERS)
    ]
    for number, process in enumerate(running):
        assert process.stdin is not None  # noqa: S101 - it was started with a pipe
        process.stdin.write("\n".join(sources[number::_COMPILERS]).encode())
        process.stdin.close()
    try:
        for process in running:
            process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        raise InstallError("there was no time to compile all packages") from None
    finally:
        for process in running:
            process.kill()
            process.wait()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _installed(packages: Path) -> list[tuple[str, str]]:
    found = metadata.distributions(path=[str(packages)])
    return sorted((each.metadata["Name"], each.version) for each in found)


def explain(said: str) -> str:
    """Say in one line why uv could not install packages, by what it said."""
    here = f"Python {sys.version_info.major}.{sys.version_info.minor} on {platform.machine()}"
    if found := _NO_WHEEL.search(said):
        return f"{' '.join(filter(None, found.groups()))} has no wheel for {here}"
    if found := _UNKNOWN.search(said):
        return f"{found[1]} is not in the package index"
    if found := _UNREACHED.search(said):
        address = without_credentials(found[1] or found[2])
        return f"the package index cannot be reached: {address}"
    if "No space left on device" in said or "os error 28" in said:
        return "its packages do not fit into the disk of the function that installs them"
    causes = [line.strip().removeprefix("cause: ") for line in said.splitlines()]
    told = " ".join(line for line in causes if line and not line.startswith(("error: No solution", "hint:")))
    return without_credentials(told)[:_SAID_LENGTH]
