"""Convert between records and items: attributes have the names of fields; the key holds some of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any


def known(record: Any, item: Mapping[str, Any], **of_key: str | int) -> dict[str, Any]:
    """Return the attributes of an item that the record has fields for, and those in its key."""
    names = _names(record)
    return {**{name: value for name, value in item.items() if name in names}, **of_key}


@cache
def _names(record: Any) -> frozenset[str]:
    return frozenset(field.name for field in fields(record))


def attributes(record: Any, *of_key: str) -> dict[str, Any]:
    """Return a record's attributes for an item, without its key and without default values."""
    return {
        field.name: value
        for field in fields(record)
        if field.name not in of_key and (value := getattr(record, field.name)) != field.default
    }


def with_absent(record: Any, *of_key: str) -> dict[str, Any]:
    """Return the attributes that replace those of another item: None for default values."""
    absent = {field.name: None for field in fields(record) if field.name not in of_key}
    return {**absent, **attributes(record, *of_key)}
