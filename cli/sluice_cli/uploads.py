"""Collect the files of an upload, and put them in order."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluice.domain.data.uploads import classify
from sluice.domain.wording import shorten
from sluice.services import building
from sluice_cli.errors import EXIT_USAGE, CommandError
from sluice_cli.paths import a_file
from sluice_cli.target import Target

_KEY_BYTES_MAX = 1024
_KEY_SHOWN = 60


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What of a folder is not uploaded, and why."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Collected:
    """The files to upload, by their names below the pipeline's prefix, and what is left out."""

    files: Mapping[str, Path]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True)
class _Object:
    """What a classification needs of an object that may be."""

    key: str
    size_bytes: int


def collect(paths: Sequence[Path], key: str | None = None) -> Collected:
    """Find the files that the arguments name; those of a folder keep their paths in it.

    Links are followed, as S3 has none: a link to a file is that file, a link to a folder has its files.
    Raises CommandError if two files would have the same name, or if there is none.
    """
    if key is not None and (len(paths) != 1 or paths[0].is_dir()):
        raise CommandError("--key names one object: give one file", exit_code=EXIT_USAGE)
    named, left_out = dict[str, Path](), list[LeftOut]()
    for path in paths:
        for name, file in _below(path, left_out) if path.is_dir() else [(key or path.name, a_file(path))]:
            if (other := named.setdefault(name, file)) != file:
                raise CommandError(
                    f"{other} and {file} would be the same object, {name}",
                    hint="Upload the folder that holds both: their paths in it tell them apart.",
                    exit_code=EXIT_USAGE,
                )
    if not named:
        reasons = f" ({len(left_out)} left out: {left_out[0].path}, {left_out[0].why})" if left_out else ""
        listed = ", ".join(map(str, paths))
        raise CommandError(f"there is no file in {listed}{reasons}", exit_code=EXIT_USAGE)
    return Collected(named, tuple(left_out))


def _below(folder: Path, left_out: list[LeftOut]) -> Iterator[tuple[str, Path]]:
    """Yield (path in the folder, file) of a folder's files; what is left out is added to the list."""
    yield from _walk(folder, "", frozenset({folder.resolve()}), left_out)


def _walk(
    folder: Path, prefix: str, above: frozenset[Path], left_out: list[LeftOut]
) -> Iterator[tuple[str, Path]]:
    entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    if not entries:
        left_out.append(LeftOut(str(folder), "an empty folder, which S3 cannot hold"))
    for entry in entries:
        if why := _unfit(entry, above):
            left_out.append(LeftOut(str(entry), why))
        elif entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/", above | {entry.resolve()}, left_out)
        else:
            yield f"{prefix}{entry.name}", entry


def _unfit(entry: Path, above: frozenset[Path]) -> str | None:
    """Say why an entry of a folder is not uploaded; None if it is. `above` are the folders around it."""
    if entry.name.startswith("."):
        return "hidden"
    if not _is_utf8(entry.name):
        return "a name that is not UTF-8, as keys of S3 are"
    if not entry.exists():
        return "a link that leads nowhere"
    if entry.is_dir():
        return "a link to a folder around it" if entry.resolve() in above else None
    return None if entry.is_file() else "no regular file"


def _is_utf8(name: str) -> bool:
    """Tell whether a name is text; of one that is not, Python keeps the bytes as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def require_key(key: str) -> None:
    """Raise CommandError for a key that S3 does not take."""
    if not _is_utf8(key):
        raise CommandError(
            f"S3 takes keys in UTF-8, and {shorten(key, _KEY_SHOWN)} is not",
            hint="Give it another name with --key.",
            exit_code=EXIT_USAGE,
        )
    if (size := len(key.encode(errors="replace"))) > _KEY_BYTES_MAX:
        raise CommandError(
            f"S3 takes keys of at most {_KEY_BYTES_MAX:,} bytes, and {shorten(key, _KEY_SHOWN)} has {size:,}",
            hint="Give it a shorter name with --key, or upload it from a folder that is less deep.",
            exit_code=EXIT_USAGE,
        )


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of an upload that is no data, in words, and whether it will be quarantined."""

    fate: str | None
    is_set_aside: bool


def fate(pipeline: str, name: str, size_bytes: int, completing: str | None) -> Fate:
    """Tell what becomes of an upload: it is data, completes a batch, or is quarantined and why."""
    found = classify(_Object(f"{pipeline}/{name}", size_bytes), {pipeline}, completing)
    if found.status == "accepted":
        return Fate(None, is_set_aside=False)
    is_set_aside = found.status == "quarantined"
    return Fate(f"will be quarantined: {found.reason}" if is_set_aside else found.reason, is_set_aside)


def are_set_aside(uploaded: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether no run comes of an upload, as each of its objects will be quarantined."""
    return bool(uploaded) and all(each["is_set_aside"] for each in uploaded)


def in_order(names: Collection[str], completing: str | None) -> list[str]:
    """Order names for upload: the one that completes a batch goes last."""
    return sorted(names, key=lambda name: (name.rpartition("/")[2] == completing, name))


def completing_name(target: Target, pipeline: str) -> str | None:
    """Return the name of the object that completes a batch of the pipeline, if there is one."""
    state = building.find_pipeline(target.cloud, pipeline)
    return state.control_name if state else None
