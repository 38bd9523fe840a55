"""Write each JSON value in one way, so that equal content has an equal digest."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def to_json(value: Any) -> bytes:
    """Write a value with sorted keys, no spaces, in UTF-8; raises ValueError for NaN and infinities."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def digest(value: Any) -> str:
    """Return the sha256 of the canonical form, in hex."""
    return hashlib.sha256(to_json(value)).hexdigest()
