"""Write reproducible archives: the same files always give the same bytes."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Sequence
from pathlib import Path


def write_archive(archive: Path, folders: Sequence[Path]) -> None:
    """Write a .tar.gz of the folders' files; the same content gives the same bytes.

    If two folders have a file with the same name, the first folder's counts.
    """
    members: dict[str, Path] = {}
    for folder in folders:
        for path in folder.rglob("*"):
            members.setdefault(path.relative_to(folder).as_posix(), path)
    with (
        archive.open("wb") as file,
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as tar,
    ):
        for name, path in sorted(members.items()):
            tar.add(path, name, recursive=False, filter=_anonymous)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mtime = member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return member
