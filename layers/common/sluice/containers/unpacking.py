"""Unpack archives that anybody may have made: nothing is written, or leads, outside of the folder.

`tarfile.extractall` with the filter `data` means the same. But up to Python 3.11.12 links of links get around
it (CVE-2025-4138, CVE-2025-4330, CVE-2025-4517), and ten thousand files take it three times as long: it looks
at each path on the disk, and sets owners and times.
"""

from __future__ import annotations

import os
import tarfile
from typing import IO

_BUFFER_BYTES = 1 << 16


class MemberError(tarfile.TarError):
    """An archive holds what may not be unpacked; the message names it."""


def extract(tar: tarfile.TarFile, folder: str | os.PathLike[str]) -> None:
    """Write an archive's members into an empty folder, which exists or not; raises MemberError."""
    unpacked = _Unpacked(os.fspath(folder))
    for member in tar:
        unpacked.add(tar, member)


class _Unpacked:
    """What was written so far: the folder held nothing else, so nobody need look at the disk.

    Paths have no link among their folders, and links lead down from there, without `..` on the way: so
    whatever a path seems to be, it is.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._folders = set[str]()
        self._files = set[str]()
        self._links = set[str]()

    def add(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        name = os.path.normpath(member.name)
        if _leads_out(name) or "\0" in member.name + member.linkname:
            raise MemberError(f"{member.name} is not below the archive's root")
        if member.isdir():
            self._make(name)
            return
        self._make(os.path.dirname(name))
        path = os.path.join(self._folder, name)
        if name in self._files or name in self._links:
            # The later one counts; a link is not followed.
            os.unlink(path)
            self._files.discard(name)
            self._links.discard(name)
        if member.isreg():
            _write(path, tar.extractfile(member), 0o755 if member.mode & 0o100 else 0o644)
            self._files.add(name)
        elif member.issym():
            os.symlink(_checked(name, member.linkname), path)
            self._links.add(name)
        elif member.islnk():
            os.link(self._file(member), path)
            self._files.add(name)
        else:
            raise MemberError(f"{member.name} is no file, folder or link")

    def _make(self, name: str) -> None:
        """Make a folder, and those around it."""
        if name in self._folders:
            return
        parts = name.split("/")
        above = {"/".join(parts[: depth + 1]) for depth in range(len(parts))}
        if found := above & self._links:
            raise MemberError(f"{name} is below {found.pop()}, which is a link")
        os.makedirs(os.path.join(self._folder, name), exist_ok=True)
        self._folders.add(name)

    def _file(self, member: tarfile.TarInfo) -> str:
        target = os.path.normpath(member.linkname)
        if target not in self._files:
            raise MemberError(f"{member.name} is a link to {member.linkname}, which is no file before it")
        return os.path.join(self._folder, target)


def _checked(name: str, target: str) -> str:
    """Return what a link leads to, if that is within the archive, whatever other links there are."""
    is_plain = os.path.normpath(target) == target.rstrip("/").removeprefix("./")
    if not is_plain or _leads_out(os.path.normpath(os.path.join(os.path.dirname(name), target))):
        raise MemberError(f"{name} leads out of the archive, or in a roundabout way: {target}")
    return target


def _leads_out(path: str) -> bool:
    return path.startswith("/") or path == ".." or path.startswith("../")


def _write(path: str, content: IO[bytes] | None, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with open(descriptor, "wb", buffering=0) as file:
        while content is not None and (data := content.read(_BUFFER_BYTES)):
            file.write(data)
