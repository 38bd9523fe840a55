"""Infer a schema from a data set's columns: a draft for a person to edit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from sluice.domain.config.base import ColumnType
from sluice.lazy import dataclass

# So few different values become `allowed`, if each occurs often enough.
ALLOWED_MAX = 12
_OCCURS = 5
# More integers than these are a scale: a range allows those in between that a file does not have.
_FLAG_MAX = 2


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """What was found about a column: which types fit all of its values, and figures of them."""

    name: str
    rows: int
    missing: int
    types: frozenset[ColumnType]
    distinct: int
    values: tuple[str, ...] = ()


def schema(columns: Sequence[ColumnFacts]) -> dict[str, dict[str, Any]]:
    """Make a `data.schema` of pipeline.yaml that these columns satisfy."""
    return {facts.name: dict(_column(facts)) for facts in columns}


def _column(facts: ColumnFacts) -> Iterator[tuple[str, Any]]:
    type_ = _narrowest(facts)
    yield "type", type_
    if facts.rows and not facts.missing:
        yield "required", True
    present = facts.rows - facts.missing
    if type_ in {"string", "integer"} and facts.values and present >= _OCCURS * facts.distinct:
        values = sorted({_typed(type_, value) for value in facts.values})
        if type_ == "string" or len(values) <= _FLAG_MAX:
            yield "allowed", values
        else:
            yield from (("min", values[0]), ("max", values[-1]))


def _narrowest(facts: ColumnFacts) -> ColumnType:
    """Return the most specific type; a column without values is text."""
    if facts.rows == facts.missing:
        return "string"
    order: tuple[ColumnType, ...] = ("integer", "number", "boolean", "timestamp")
    return next((type_ for type_ in order if type_ in facts.types), "string")


def _typed(type_: ColumnType, value: str) -> Any:
    return int(Decimal(value)) if type_ == "integer" else value


def to_yaml(data_format: str, csv: Mapping[str, Any], columns: Mapping[str, Mapping[str, Any]]) -> str:
    """Write the part `data` of a pipeline.yaml, a line for each column; strings are quoted as in JSON."""
    lines = ["data:", f"  format: {data_format}"]
    if csv:
        lines.append(f"  csv: {_flow(csv)}")
    lines.append("  schema:")
    lines += [f"    {_scalar(name)}: {_flow(column)}" for name, column in columns.items()]
    return "\n".join(lines) + "\n"


def _flow(mapping: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{name}: {_value(value)}" for name, value in mapping.items()) + "}"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_scalar, value))}]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    plain = isinstance(value, str) and value.isascii() and value.replace("_", "a").isalpha()
    reserved = plain and value.lower() in {"true", "false", "null", "yes", "no", "on", "off"}
    if plain and not reserved:
        return str(value)
    return "".join(c if c.isprintable() else _escaped(c) for c in json.dumps(value, ensure_ascii=False))


def _escaped(character: str) -> str:
    """Escape a character that YAML or a terminal would not take literally."""
    return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"
