"""Suggest what was meant by a word that is not known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice most like the word, whatever its case, if one is like it."""
    known = {choice.casefold(): choice for choice in choices}
    matches = get_close_matches(word.casefold(), list(known), n=1)
    return known[matches[0]] if matches else None


def hint(word: str, choices: Iterable[str]) -> str:
    """The suggestion as the end of a sentence; empty without one."""
    similar = nearest(word, choices)
    return f"; did you mean {similar!r}?" if similar else ""
