"""Write errors of a state machine's tasks for people, short enough for states and tables.

Each subject has a family: BuildError, ReleaseError, RoleError, QuotaError. Invalid texts and files raise
ValueErrors. TransientError cuts across: it is the second base of every error that waiting may cure.
docs/errors.md has the whole tree, who raises what, and who retries.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Self

# Twenty reasons of a thousand characters of four bytes are a third of what a state may pass on.
REASON_MAX = 1000
REASONS_MAX = 20
# Words of reasons on record that only another project mends: by these the command says what is next.
RAN_LONGER = "it ran longer than "
OUT_OF_MEMORY = "out of memory"
OF_LAMBDA = "a limit of Lambda"
NOT_ON_LAMBDA = "compute.backend is lambda, and "
# How the last part of a traceback begins; it is compiled when it is first looked for.
_EXCEPTION = r"[\w.]+(Error|Exception|Exit|Interrupt|Warning|Group)\b"


class TransientError(Exception):
    """An error that waiting may cure: the state machine retries the task.

    The machine knows subclasses by name, and waits differently for each.
    """

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """Make one for an error of AWS, with its name and message."""
        return cls(f"{type(error).__name__}: {error}")


class ConflictError(TransientError):
    """Others wrote the same item during each attempt; the caller may try again."""


class MissingError(LookupError):
    """The catalog or the artifacts lack something that another item names."""


def message(cause: str) -> str:
    """Return the message of a Lambda's error, which is JSON, and the state machine's text after it."""
    try:
        document, end = json.JSONDecoder().raw_decode(cause)
        return str(document["errorMessage"]) + cause[end:]
    except (ValueError, TypeError, KeyError, RecursionError):
        return cause


def named(error: str, cause: str) -> str:
    """Return an error's name and message, if any; a transient error's message names what it stands for."""
    said = message(cause)
    if said and error == TransientError.__name__:
        return said
    return f"{error}: {said}" if said else error


def reason(error: str, cause: str) -> str:
    """Return the same, cut to a reason's length."""
    return cut(named(error, cause))


def cut(text: str, most: int = REASON_MAX) -> str:
    """Shorten a text to its beginning and its end: what went wrong comes first or last."""
    if len(text) <= most:
        return text
    half = (most - len(_CUT)) // 2
    return f"{text[:half]}{_CUT}{text[-half:]}"


def bounded(reasons: Sequence[str]) -> list[str]:
    """Return the first reasons, none too long, and the number of the others."""
    shown = [cut(reason) for reason in reasons[:REASONS_MAX]]
    left_out = len(reasons) - len(shown)
    return [*shown, f"and {left_out} more"] if left_out else shown


def with_words(sentence: str, said: str) -> str:
    """Return a reason that begins with a sentence of ours, and has what a service said beneath it."""
    return f"{sentence}{_WORDS}{said}"


def has_words(reason: str) -> bool:
    """Tell whether a reason has the words of a service: it refused something, so that nothing began."""
    return _WORDS in reason


def plain(reason: str) -> str:
    """Return a reason without the words of a service that stand beneath its sentence."""
    return reason.partition(_WORDS)[0]


def names_exception(line: str) -> bool:
    """Tell whether a line is that of a traceback which names the exception."""
    return re.match(_EXCEPTION, line) is not None


def brief(reason: str) -> str:
    """Shorten a reason to one line: of a traceback keep the first line and the one that says why.

    An exception's message may have several lines, the first of which has its name.
    """
    lines = [line.strip() for line in plain(reason).splitlines() if line.strip()]
    saying = [line for line in lines[1:] if not line.startswith(("Command ", "ExitCode "))]
    if len(saying) < 2:
        return " ".join(lines)
    last = next((line for line in reversed(saying) if names_exception(line)), saying[-1]).rstrip('"')
    return f"{lines[0]} […] {last}"


def together(reasons: Sequence[str], most: int = REASON_MAX - 60) -> str:
    """Join reasons into one, which leaves room for an error's name: if they are long, each gets its share."""
    whole = "; ".join(reasons)
    if len(whole) <= most:
        return whole
    shown = reasons[: most // _LEAST]
    left_out = len(reasons) - len(shown)
    said = [cut(reason, most // len(shown) - 2) for reason in shown]
    return "; ".join([*said, f"and {left_out} more"] if left_out else said)


_CUT = " […] "
_WORDS = "\nin SageMaker's words: "
# The fewest characters of a reason that shares its space with others.
_LEAST = 90
