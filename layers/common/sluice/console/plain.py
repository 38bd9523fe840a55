"""Make foreign text harmless to read: what cannot be seen is spelled, and what never ends is cut."""

from __future__ import annotations

import re

# Control characters, and those that change the direction of what follows, or join what should be apart.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)
LONGEST = 4000


def plain(value: object) -> object:
    """Spell unseen characters of a text, and cut it; anything that is no text stays as it is."""
    if type(value) is not str:  # markup is a str too, and was made by us
        return value
    cut = value if len(value) <= LONGEST else f"{value[:LONGEST]}\u2026 ({len(value) - LONGEST:,} more)"
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", cut)
