"""Write messages of broken checks: a number never looks equal to a limit that it differs from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

from sluice.domain.config.checks.base import Check, Circumstances, Finding, Judge, exact, within_tolerance

VALUE_MAX = 80
NOWHERE = "no file has the column"
# Parts of words and emoji in some scripts, though invisible alone.
_JOINERS = "\u200c\u200d"


def shown(value: str) -> str:
    """Write a value for a report: cut, and without characters that control a terminal or a page."""
    capped = value if len(value) <= VALUE_MAX else value[: VALUE_MAX - 1] + "…"
    return "".join(c if c.isprintable() or c in _JOINERS else _escaped(c) for c in capped)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def twins(name: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return the names that differ only in case and surrounding spaces."""
    return tuple(other for other in names if other.strip().casefold() == name.strip().casefold())


def broken_rows(phrase: str | Callable[[Check], str], *, unusable: str | None = None) -> Judge:
    """Make the judgement of a check of rows: more rows break it than tolerated; the phrase says how.

    `unusable` names what could not be used if the finding has an error.
    """

    def judge(finding: Finding, at: Circumstances) -> str | None:
        check = finding.check
        if finding.error is not None and unusable is not None:
            return f"{check.limit}: the {unusable}: {finding.error}"
        if within_tolerance(check, finding.rows, at.rows):
            return None
        tolerance = f", more than {check.tolerance} of all" if check.tolerance else ""
        said = phrase if isinstance(phrase, str) else phrase(check)
        return f"{rows(finding.rows)} {said}{tolerance}"

    return judge


def out_of_bounds(limit: Any, value: float, text: str, below: str, above: str) -> str | None:
    least, greatest = limit
    # NaN is not within bounds.
    if least is not None and not value >= least:
        return f"{text}, {below} than {least}"
    if greatest is not None and not value <= greatest:
        return f"{text}, {above} than {greatest}"
    return None


def too_small_a_share(share: Fraction | None, least: float, of_what: str) -> str | None:
    """Say that a share is too small; None stands for a column that no file has."""
    if share is None:
        return NOWHERE
    if share >= exact(least):
        return None
    return f"{unlike(float(share), least)} {of_what}, fewer than {least}"


def measured(finding: Finding, at: Circumstances) -> str:
    """Write what was measured, unless hidden, with enough digits to tell it from the check's limits."""
    is_hidden = finding.check.column in at.hidden
    return "redacted" if is_hidden else unlike(finding.value, finding.check.limit)


def unlike(value: float, limits: Any) -> str:
    """Write a number in few digits, but enough to tell it from a limit that it differs from."""
    if isinstance(value, int):
        return str(value)
    beside = [
        float(limit) for limit in (limits if isinstance(limits, tuple) else (limits,)) if limit is not None
    ]
    texts = (f"{value:.{digits}g}" for digits in (6, 9, 12))
    return next((text for text in texts if float(text) == value or float(text) not in beside), repr(value))


def rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def listed(values: Any) -> str:
    texts = ", ".join(map(str, values[:10]))
    return texts if len(values) <= 10 else f"{texts}, ..."
