"""Checks as SQL: what a cell is as its column's type, and when a row breaks a check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sluice.domain.validation import Check

_INTEGERS = frozenset(
    f"{sign}{size}" for sign in ("", "U") for size in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
)
_FLOATS = frozenset({"FLOAT", "DOUBLE"})
_TIMES = frozenset({"DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"})
# A cell that is text. DuckDB reads 1_000 as a number; hardly any other tool does.
_FROM_TEXT = {
    "string": "{0}",
    # A column of integers that had gaps is written 1.0, 2.0 by many a tool.
    "integer": "CASE WHEN trunc(TRY_CAST({0} AS DOUBLE)) = TRY_CAST({0} AS DOUBLE) "
    "AND NOT contains({0}, '_') THEN TRY_CAST({0} AS BIGINT) END",
    "number": "CASE WHEN isfinite(TRY_CAST({0} AS DOUBLE)) AND NOT contains({0}, '_') "
    "THEN TRY_CAST({0} AS DOUBLE) END",
    "boolean": "TRY_CAST({0} AS BOOLEAN)",
    "timestamp": "TRY_CAST({0} AS TIMESTAMP)",
}
# A cell that a Parquet file has a type for, by (wanted, native).
_FROM_NATIVE = {
    **{("integer", native): "{0}" for native in _INTEGERS},
    **{
        ("integer", native): "CASE WHEN trunc({0}) = {0} THEN TRY_CAST({0} AS BIGINT) END"
        for native in _FLOATS
    },
    **{("number", native): "TRY_CAST({0} AS DOUBLE)" for native in _INTEGERS},
    **{("number", native): "CASE WHEN isfinite({0}) THEN TRY_CAST({0} AS DOUBLE) END" for native in _FLOATS},
    ("boolean", "BOOLEAN"): "{0}",
    **{("timestamp", native): "TRY_CAST({0} AS TIMESTAMP)" for native in _TIMES},
}
_SQL_TYPES = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP",
}
_CONDITIONS = {
    "required": "{raw} IS NULL",
    "completeness": "{raw} IS NULL",
    "type": "{raw} IS NOT NULL AND {typed} IS NULL",
    "allowed": "{typed} NOT IN ({limit})",
    "min": "{typed} < {limit}",
    "max": "{typed} > {limit}",
    "min_length": "length({text}) < {limit}",
    "max_length": "length({text}) > {limit}",
    "pattern": "NOT regexp_full_match({text}, {limit})",
}
ROW_CHECKS = frozenset(_CONDITIONS)


@dataclass(frozen=True, slots=True)
class Cell:
    """How a file's column is read: an SQL expression, and the type that has."""

    raw: str
    native: str = "VARCHAR"

    @property
    def text(self) -> str:
        return self.raw if self.native == "VARCHAR" else f"CAST({self.raw} AS VARCHAR)"

    def typed(self, wanted: str, written: str | None = None) -> str:
        """The cell as the column's type, NULL where it is none; `written` is a timestamp's format."""
        if wanted == "timestamp" and written is not None:
            return f"try_strptime({self.text}, {text(written)})"
        native = _FROM_NATIVE.get((wanted, self.native))
        return native.format(self.raw) if native else _FROM_TEXT[wanted].format(self.text)


ABSENT = Cell("NULL::VARCHAR")


def sql_type(column_type: str) -> str:
    return _SQL_TYPES[column_type]


def condition(check: Check, cell: Cell) -> str:
    """When a row breaks the check; NULL, which counts as no, where there is nothing to compare."""
    typed = cell.typed(check.type or "string", check.format)
    return _CONDITIONS[check.kind].format(raw=cell.raw, text=cell.text, typed=typed, limit=_limit(check))


def _limit(check: Check) -> str:
    if check.kind == "allowed":
        return listed(check.limit, check.type)
    return _literal(check.limit, check.type)


def listed(values: Any, column_type: str | None) -> str:
    """Values as the inside of an IN ()."""
    return ", ".join(_literal(value, column_type) for value in values)


def _literal(value: Any, column_type: str | None) -> str:
    if isinstance(value, str):
        return f"TIMESTAMP {text(value)}" if column_type == "timestamp" else text(value)
    return str(value)


def text(value: str) -> str:
    """A string as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
