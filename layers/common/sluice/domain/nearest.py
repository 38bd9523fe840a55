"""Suggest what an unknown word may have meant."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice most similar to the word, ignoring case, if any is similar."""
    from difflib import get_close_matches  # only what is refused needs it

    known = {choice.casefold(): choice for choice in choices}
    matches = get_close_matches(word.casefold(), list(known), n=1)
    return known[matches[0]] if matches else None


def hint(word: str, choices: Iterable[str]) -> str:
    """Return the suggestion as the end of a sentence; empty if there is none."""
    similar = nearest(word, choices)
    return f"; did you mean {similar!r}?" if similar else ""
