"""Errors of a state machine's tasks, in words for people, and no longer than states and tables hold.

One family a subject: BuildError, ReleaseError, RoleError, QuotaError, and what says that a text or a file is
not what it should be, a ValueError each. TransientError stands across them: a second base of whatever waiting
may cure. docs/errors.md has the whole tree, who raises what, and who tries again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Self

# Twenty reasons of a thousand characters, of four bytes each, are a third of what a state may pass on.
REASON_MAX = 1000
REASONS_MAX = 20


class TransientError(Exception):
    """What waiting may cure: the state machine tries the task again.

    Its subclasses are waits of a length of their own, which the machine knows by their names.
    """

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """Stand for an error of AWS, by its name and in its words."""
        return cls(f"{type(error).__name__}: {error}")


class ConflictError(TransientError):
    """Others wrote the same item meanwhile, each time that this was tried; whoever called may try again."""


class MissingError(LookupError):
    """The catalog, or the artifacts, lack what something else there names."""


def message(cause: str) -> str:
    """The message of a Lambda's error, which is JSON; what the state machine says after it stays."""
    try:
        document, end = json.JSONDecoder().raw_decode(cause)
        return str(document["errorMessage"]) + cause[end:]
    except (ValueError, TypeError, KeyError, RecursionError):
        return cause


def named(error: str, cause: str) -> str:
    """Name the error and say its message, if it has one; a transient error's names what it stands for."""
    said = message(cause)
    if said and error == TransientError.__name__:
        return said
    return f"{error}: {said}" if said else error


def reason(error: str, cause: str) -> str:
    """The same, no longer than a reason may be."""
    return cut(named(error, cause))


def cut(text: str, most: int = REASON_MAX) -> str:
    """The text, or its beginning and its end: what went wrong comes first or last."""
    if len(text) <= most:
        return text
    half = (most - len(_CUT)) // 2
    return f"{text[:half]}{_CUT}{text[-half:]}"


def bounded(reasons: Sequence[str]) -> list[str]:
    """As many of the reasons as are read, none too long, and how many there are beside them."""
    shown = [cut(reason) for reason in reasons[:REASONS_MAX]]
    left_out = len(reasons) - len(shown)
    return [*shown, f"and {left_out} more"] if left_out else shown


_CUT = " […] "
