"""What records have in common: attributes by the names of their fields, beside those that the key holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any


def known(record: Any, item: Mapping[str, Any], **of_key: str | int) -> dict[str, Any]:
    """The attributes of an item that a record has fields for, and what its key says."""
    names = {field.name for field in fields(record)}
    return {**{name: value for name, value in item.items() if name in names}, **of_key}


def attributes(record: Any, *of_key: str) -> dict[str, Any]:
    """What an item holds of a record beside its key: what has its default value is absent."""
    return {
        field.name: value
        for field in fields(record)
        if field.name not in of_key and (value := getattr(record, field.name)) != field.default
    }


def with_absent(record: Any, *of_key: str) -> dict[str, Any]:
    """What takes the place of another item's attributes: None for what is absent."""
    absent = {field.name: None for field in fields(record) if field.name not in of_key}
    return {**absent, **attributes(record, *of_key)}
