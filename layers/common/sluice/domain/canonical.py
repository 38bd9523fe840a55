"""One spelling per JSON value, so that equal content has an equal digest."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def to_json(value: Any) -> bytes:
    """Spell the value with sorted keys, no spaces, UTF-8; NaN and infinities are refused (ValueError)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def digest(value: Any) -> str:
    """The sha256 of the canonical spelling, in hex."""
    return hashlib.sha256(to_json(value)).hexdigest()
