"""Errors a person can act on: each says what happened and what to do next.

A command exits with 0 if what it started succeeded, 1 if something failed, 2 if it was used wrongly, and 3
if everything worked and the answer is no: data, a model or a release were rejected. Ctrl-C ends it with 130,
SIGTERM with 143. `docs/errors.md` lists which errors end so.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterable

from sluice.domain import nearest

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_REJECTED = 3
EXIT_INTERRUPTED = 130
# What to do if a request gets no answer.
UNREACHED = "Is the local cloud up (`sluice up`)? For AWS: is there a network, and are credentials set?"


class CommandError(Exception):
    """A command cannot continue; carries a hint and the exit code."""

    def __init__(self, message: str, *, hint: str = "", exit_code: int = EXIT_FAILED) -> None:
        super().__init__(message)
        self.hint = hint
        self.exit_code = exit_code
        if hint:
            self.add_note(hint)  # so that a traceback tells it too, as that of a test


def unknown(
    problem: str, named: str, choices: Iterable[str], hint: str = "", exit_code: int = EXIT_USAGE
) -> CommandError:
    """Make the error for a name that nothing has, which suggests the nearest one that something has."""
    return CommandError(f"{problem}{nearest.hint(named, choices)}", hint=hint, exit_code=exit_code)


def of_system(error: OSError, exit_code: int = EXIT_FAILED) -> CommandError:
    """Make the error for what the system refuses: the file, if known, and why; of a full disk, what to do."""
    said = error.strerror or str(error)
    message = f"{error.filename}: {said}" if error.filename else said
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return CommandError(message, exit_code=exit_code)
    temporary = tempfile.gettempdir()
    return CommandError(
        message, hint=f"Make room where it writes, and in {temporary} (TMPDIR names another)."
    )
