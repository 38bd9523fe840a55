"""Check the files that a command is given."""

from __future__ import annotations

from pathlib import Path

from sluice_cli.errors import EXIT_USAGE, CommandError, unknown

NAMES_SHOWN = 10


def a_file(path: Path) -> Path:
    """Return the path if it is a file; else raises CommandError, which lists the files there."""
    if path.is_dir():
        raise CommandError(f"{path} is a folder", hint="Name the files in it.", exit_code=EXIT_USAGE)
    if path.is_file():
        return path
    if not path.parent.is_dir():
        raise CommandError(f"there is no folder {path.parent}", exit_code=EXIT_USAGE)
    names = sorted(each.name for each in path.parent.iterdir() if not each.name.startswith("."))
    there = f"In {path.parent}: {some_of(names)}." if names else f"{path.parent} is empty."
    raise unknown(f"there is no file {path}", path.name, names, there)


def some_of(names: list[str]) -> str:
    """List the first names, and count the rest."""
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f"{', '.join(names[:NAMES_SHOWN])}{more}"
