"""Read the rows of a request's or an answer's body: JSON in its usual shapes, JSON lines, and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

Row = dict[str, Any]
_SCALARS = (str, int, float, bool, type(None))


class CaptureError(ValueError):
    """A body is none of the known shapes; the message is a predicate of it."""


def documents(text: str) -> Any:
    """Parse JSON, or JSON lines as a list; raises CaptureError."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        lines = [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError):
        raise CaptureError("is neither JSON nor JSON lines") from None
    if not lines:
        raise CaptureError("is empty")
    return lines


def rows_of_json(text: str, columns: Sequence[str], member: str | None) -> list[Row]:
    """Return the rows of a JSON body: a list of rows, a list in a member, lists by column, or one row."""
    return [_row(each, columns) for each in values_of_json(text, columns, member)]


def values_of_json(text: str, columns: Sequence[str], member: str | None) -> list[Any]:
    """Return what stands for each row of a JSON body."""
    found = documents(text)
    if isinstance(found, list):
        if member and all(isinstance(each, dict) and member in each for each in found):
            return [value for each in found for value in _listed(each, member)]
        return found
    if not isinstance(found, dict):
        return [found]
    if member is not None:
        return _listed(found, member)
    named = {name: value for name, value in found.items() if name in columns}
    if named:
        return _by_column(named) or [found]
    lists = [value for value in found.values() if isinstance(value, list)]
    if len(lists) > 1:
        raise CaptureError(f"has {len(lists)} lists: name the one with the rows")
    return lists[0] if lists else [found]


def _listed(found: Mapping[str, Any], member: str) -> list[Any]:
    if member not in found:
        raise CaptureError(f"has no member {member!r}")
    value = found[member]
    return value if isinstance(value, list) else [value]


def _by_column(named: Mapping[str, Any]) -> list[Row] | None:
    """Turn lists by column into rows; None unless all are lists of one length."""
    if not all(isinstance(value, list) for value in named.values()):
        return None
    if len({len(value) for value in named.values()}) > 1:
        raise CaptureError("has columns of different lengths")
    return [dict(zip(named, values, strict=True)) for values in zip(*named.values(), strict=True)]


def _row(value: Any, columns: Sequence[str]) -> Row:
    if isinstance(value, dict):
        return value
    values = value if isinstance(value, list) else [value]
    if len(values) != len(columns):
        raise CaptureError(f"has rows of {len(values)} values, and {len(columns)} columns are expected")
    return dict(zip(columns, values, strict=True))


def rows_of_csv(text: str, columns: Sequence[str]) -> list[Row]:
    """Return the rows of a CSV body; its first line may name the columns. An empty value is missing."""
    table = lines_of_csv(text)
    if table and set(table[0]) <= set(columns):
        columns = table.pop(0)
    for line in table:
        if len(line) != len(columns):
            raise CaptureError(f"has lines of {len(line)} values, and {len(columns)} columns are expected")
    return [{name: value or None for name, value in zip(columns, line, strict=True)} for line in table]


def lines_of_csv(text: str) -> list[list[str]]:
    """Split CSV into lines of values, without empty lines."""
    try:
        return [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except csv.Error as error:
        raise CaptureError(f"is no CSV: {error}") from None


def typed(row: Mapping[str, Any], types: Mapping[str, str]) -> Row:
    """Return a row with only the columns of these types; texts of numbers and truths as what they mean.

    What has another type stays as it is, for the engine to tell.
    """
    return {name: _typed(row[name], type_) for name, type_ in types.items() if name in row}


def _typed(value: Any, type_: str) -> Any:
    if not isinstance(value, _SCALARS):
        return json.dumps(value)
    if type_ in ("string", "timestamp"):
        return value if value is None or isinstance(value, str) else json.dumps(value)
    if not isinstance(value, str):
        return value
    if type_ == "boolean":
        return {"true": True, "false": False}.get(value.lower(), value)
    try:
        return int(value) if type_ == "integer" else float(value)
    except ValueError:
        return value
