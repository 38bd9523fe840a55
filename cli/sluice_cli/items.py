"""The catalog's items as users see them."""

from __future__ import annotations

from typing import Any

# What is the table's own.
_INTERNAL = {"pk", "sk", "gsi1pk", "gsi1sk", "expires_at", "is_control"}


def without_keys(item: dict[str, Any]) -> dict[str, Any]:
    """An item without the table's own attributes."""
    return {name: value for name, value in item.items() if name not in _INTERNAL}
