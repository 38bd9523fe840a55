"""The program `sluice`: load the commands and run one; Ctrl-C ends it at any time without a traceback."""

from __future__ import annotations

import _thread
import sys
from typing import Any

from sluice_cli.errors import EXIT_INTERRUPTED


def main() -> None:
    sys.unraisablehook = interrupt_again
    try:
        # Loading takes a second on a busy machine, in which a person may think better of it.
        from sluice_cli import main as commands

        commands.main()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def interrupt_again(unraisable: Any) -> None:
    """Repeat a Ctrl-C that came while Python closed something, which would swallow it."""
    if unraisable.exc_type is KeyboardInterrupt:
        _thread.interrupt_main()
    else:
        sys.__unraisablehook__(unraisable)
