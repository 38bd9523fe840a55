"""Suggest what an unknown word may have meant."""

from __future__ import annotations

from collections.abc import Iterable

# A single letter begins too much.
_BEGUN_MIN = 2


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice most similar to the word, ignoring case, if any is similar.

    What begins with the word is, and of several the shortest: `acc` means `accuracy`, not `auc`.
    """
    from difflib import get_close_matches  # only what is refused needs it

    known, given = {choice.casefold(): choice for choice in choices}, word.casefold()
    begun = [choice for choice in known if choice.startswith(given)] if len(given) >= _BEGUN_MIN else []
    matches = [*sorted(begun, key=len), *get_close_matches(given, list(known), n=1)]
    return known[matches[0]] if matches else None


def hint(word: str, choices: Iterable[str]) -> str:
    """Return the suggestion as the end of a sentence; empty if there is none."""
    similar = nearest(word, choices)
    return f"; did you mean {similar!r}?" if similar else ""
