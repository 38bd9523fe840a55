"""Adapter for uv, which installs Python packages for jobs on Lambda from a package index."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sluice.domain.build.environments import NoEnvironmentError
from sluice.ports import PackageArchive

if TYPE_CHECKING:
    from sluice.domain.build.environments import Wanted

# uv needs no credentials.
_SECRET = "AWS_"  # noqa: S105 - how their names start
# A folder that outlives the function, where one is mounted: it saves other stacks the same work.
_KEPT = "ENVIRONMENTS_FOLDER"


class UvPackages:
    """Packages as wheels, for the Python and the processor that this runs on."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        """`settings` are variables; uv reads its own, such as UV_DEFAULT_INDEX and HTTPS_PROXY."""
        self._variables = {name: value for name, value in settings.items() if not name.startswith(_SECRET)}
        self._kept = Path(settings[_KEPT]) if settings.get(_KEPT) else None

    def build(self, wanted: Wanted, folder: Path, remaining_s: Callable[[], float]) -> PackageArchive:
        if self._kept and (kept := _read(self._kept, wanted.spec)):
            return kept
        made = self._install(wanted, folder, remaining_s)
        if self._kept:
            _keep(self._kept, wanted.spec, made)
        return made

    def _install(self, wanted: Wanted, folder: Path, remaining_s: Callable[[], float]) -> PackageArchive:
        from uv import find_uv_bin

        from sluice.containers import installing

        variables = {"UV_CACHE_DIR": str(folder / "cache"), **self._variables}
        installer = installing.Installer(find_uv_bin(), variables, remaining_s)
        (workspace := folder / "made").mkdir()
        try:
            built = installing.build(installer, wanted.lock, wanted.requirements, workspace)
        except installing.InstallError as error:
            raise NoEnvironmentError(str(error)) from error
        digest = _digest(built.archive)
        document = wanted.describe(
            digest,
            size_bytes=built.archive.stat().st_size,
            unpacked_bytes=built.unpacked_bytes,
            packages=[{"name": name, "version": version} for name, version in built.packages],
            lock=built.lock,
        )
        return PackageArchive(built.archive, digest, document)


def _read(folder: Path, spec: str) -> PackageArchive | None:
    """Return an archive that was kept, if it is whole."""
    archive = folder / f"{spec}.tar.zst"
    try:
        document = json.loads((folder / f"{spec}.json").read_bytes())
        digest = _digest(archive)
    except (OSError, ValueError):
        return None
    return PackageArchive(archive, digest, document) if document["digest"] == digest else None


def _keep(folder: Path, spec: str, made: PackageArchive) -> None:
    """Keep an archive; who reads it meanwhile finds the former or this one."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as own:
        archive, document = Path(own, f"{spec}.tar.zst"), Path(own, f"{spec}.json")
        shutil.copyfile(made.path, archive)
        document.write_text(json.dumps(made.document))
        for path in (archive, document):
            path.replace(folder / path.name)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
