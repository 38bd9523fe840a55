"""Collect the files of an upload, and put them in order."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from sluice.catalog import keys
from sluice.domain import config
from sluice_cli.errors import EXIT_USAGE, CommandError
from sluice_cli.paths import a_file
from sluice_cli.target import Target


def collect(paths: list[Path], key: str | None = None) -> dict[str, Path]:
    """Return the files that the arguments name, by their names below the pipeline's prefix.

    Raises CommandError if two files would have the same name, or if there is none.
    """
    if key is not None and (len(paths) != 1 or paths[0].is_dir()):
        raise CommandError("--key names one object: give one file", exit_code=EXIT_USAGE)
    named: dict[str, Path] = {}
    for path in paths:
        for name, file in _files(path, hidden=False) if path.is_dir() else [(key or path.name, a_file(path))]:
            if (other := named.setdefault(name, file)) != file:
                raise CommandError(
                    f"{other} and {file} would be the same object, {name}",
                    hint="Upload the folder that holds both: their paths in it tell them apart.",
                    exit_code=EXIT_USAGE,
                )
    if not named:
        raise CommandError(f"there is no file in {', '.join(map(str, paths))}", exit_code=EXIT_USAGE)
    return named


def left_out(paths: list[Path]) -> list[str]:
    """Return the hidden files of the folders among the paths."""
    return [str(file) for path in paths if path.is_dir() for _, file in _files(path, hidden=True)]


def _files(folder: Path, *, hidden: bool) -> Iterator[tuple[str, Path]]:
    """Yield (path in the folder, file) of all files that are hidden or in a hidden folder, or of the rest."""
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and hidden == any(part.startswith(".") for part in relative.parts):
            yield relative.as_posix(), path


def in_order(names: Collection[str], completing: str | None) -> list[str]:
    """Order names for upload: the one that completes a batch goes last."""
    return sorted(names, key=lambda name: (name.rpartition("/")[2] == completing, name))


def completing_name(target: Target, pipeline: str) -> str | None:
    """Return the name of the object that completes a batch of the pipeline, if there is one."""
    state = target.catalog.get(keys.pipeline_key(pipeline)) or {}
    project = target.catalog.get(keys.project_key(pipeline, str(state.get("project_version")))) or {}
    if "config" not in project:
        return None
    return config.restore(project["config"]).data.complete_when.control_name
