"""Write checks as SQL: a cell in its column's type, and when a row breaks a check."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sluice.domain.config.checks import KINDS
from sluice.domain.config.models import Column
from sluice.lazy import dataclass
from sluice.quality.validation import Check

_INTEGERS = frozenset(
    f"{sign}{size}" for sign in ("", "U") for size in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
)
# Types wider than BIGINT, the type of the contract's integers.
_WIDE = frozenset({"UBIGINT", "HUGEINT", "UHUGEINT"})
_FLOATS = frozenset({"FLOAT", "DOUBLE"})
# These are not text, so they have no format.
_WRITTEN_AS_TIMES = ("DATE", "TIMESTAMP")
_TIMES = frozenset({"DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"})
_INSTANT = "coalesce(TRY_CAST({0} AS TIMESTAMPTZ), TRY_CAST(trim({0}) AS TIMESTAMPTZ))"
# The part of ISO 8601 that DuckDB reads directly; it also reads much else: 'epoch', (BC), EST.
_OFFSET = r"[+-](?:[01]\d|2[0-3])"
_COMMON = r"\s*\d\d\d\d-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?( ?([Zz]|" + _OFFSET + r"(:[0-5]\d)?))?)?\s*"
# The rest: only hours, a comma before the fraction, and the basic form without dashes and colons.
_EXTENDED = (
    r"\s*(\d\d\d\d)-(\d\d)-(\d\d)"
    r"[Tt ](\d\d)(?::(\d\d)(?::(\d\d)(?:[.,](\d+))?)?)?(?: ?(?:[Zz]|(" + _OFFSET + r"):?([0-5]\d)?))?\s*"
)
_BASIC = (
    r"\s*(\d\d\d\d)(\d\d)(\d\d)"
    r"(?:[Tt](\d\d)(?:(\d\d)(?:(\d\d)(?:[.,](\d+))?)?)?(?:[Zz]|(" + _OFFSET + r")([0-5]\d)?)?)?\s*"
)
_FIELDS = "['y', 'mo', 'd', 'h', 'mi', 's', 'f', 'oh', 'om']"
# A name that no column has: DuckDB would confuse it with a column.
_PARTS = '"\x1fparts"'
_SPELLED = (
    "concat(t.y, '-', t.mo, '-', t.d, ' ', greatest(t.h, '00'), ':', greatest(t.mi, '00'), ':', "
    "greatest(t.s, '00'), '.', greatest(t.f, '0'), greatest(t.oh, '+00'), ':', greatest(t.om, '00'))"
).replace("t.", f"{_PARTS}.")


def _iso(pattern: str) -> str:
    """Write SQL that parses one form of ISO 8601; NULL for another form."""
    parts = f"[regexp_extract({{0}}, '^(?:{pattern})$', {_FIELDS})]"
    return f"TRY_CAST(list_transform({parts}, lambda {_PARTS}: {_SPELLED})[1] AS TIMESTAMPTZ)"


# For cells that are text. DuckDB reads 1_000 as a number; hardly any other tool does.
_FROM_TEXT = {
    "string": "{0}",
    # Many tools write a column of integers with gaps as 1.0, 2.0.
    "integer": "CASE WHEN trunc(TRY_CAST({0} AS DOUBLE)) = TRY_CAST({0} AS DOUBLE) "
    "AND NOT contains({0}, '_') THEN TRY_CAST({0} AS BIGINT) END",
    "number": "CASE WHEN isfinite(TRY_CAST({0} AS DOUBLE)) AND NOT contains({0}, '_') "
    "THEN TRY_CAST({0} AS DOUBLE) END",
    # DuckDB too allows spaces around numbers. Trimming costs more than casting.
    "boolean": "coalesce(TRY_CAST({0} AS BOOLEAN), TRY_CAST(trim({0}) AS BOOLEAN))",
    # In UTC. A cast to TIMESTAMP drops the offset; one to TIMESTAMPTZ takes five times as long.
    "timestamp": "CASE WHEN ({0} LIKE '____-__-_____:__:__' OR {0} LIKE '____-__-__') "
    "AND {0} BETWEEN '0' AND ':' THEN TRY_CAST({0} AS TIMESTAMP) "
    f"WHEN regexp_full_match({{0}}, '{_COMMON}') THEN CAST({_INSTANT} AS TIMESTAMP) "
    f"WHEN {{0}} LIKE '%____-__-__%' THEN CAST({_iso(_EXTENDED)} AS TIMESTAMP) "
    f"ELSE CAST({_iso(_BASIC)} AS TIMESTAMP) END",
}
# For cells with a Parquet type, by (wanted, native).
_FROM_NATIVE = {
    **{("integer", native): "{0}" for native in _INTEGERS - _WIDE},
    **{("integer", native): "TRY_CAST({0} AS BIGINT)" for native in _WIDE},
    **{
        ("integer", native): "CASE WHEN trunc({0}) = {0} THEN TRY_CAST({0} AS BIGINT) END"
        for native in _FLOATS
    },
    **{("number", native): "TRY_CAST({0} AS DOUBLE)" for native in _INTEGERS},
    **{("number", native): "CASE WHEN isfinite({0}) THEN TRY_CAST({0} AS DOUBLE) END" for native in _FLOATS},
    ("boolean", "BOOLEAN"): "{0}",
    **{
        ("timestamp", native): "CASE WHEN isfinite({0}) THEN TRY_CAST({0} AS TIMESTAMP) END"
        for native in _TIMES
    },
}
_SQL_TYPES = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """How to read a file's column: an SQL expression and its type.

    A cell stored with its column's type is NULL if its text has another type; `written` is that text.
    """

    raw: str
    native: str = "VARCHAR"
    written: str | None = None

    @property
    def text(self) -> str:
        read = self.raw if self.native == "VARCHAR" else f"CAST({self.raw} AS VARCHAR)"
        return read if self.written is None else f"coalesce({self.written}, {read})"

    @property
    def missing(self) -> str:
        """Write SQL for whether the cell is empty."""
        nothing = f"{self.raw} IS NULL"
        return nothing if self.written is None else self._if_null(f"{self.written} IS NULL")

    def invalid(self, wanted: str, spelled: str | None = None) -> str:
        """Write SQL for whether the cell's content does not have the column's type."""
        if self.written is not None:
            return self._if_null(f"{self.written} IS NOT NULL")
        typed = self.typed(wanted, spelled)
        return "false" if typed == self.raw else f"({self.raw} IS NOT NULL AND {typed} IS NULL)"

    def _if_null(self, condition: str) -> str:
        # Unlike AND, CASE does not evaluate both sides for all rows.
        return f"CASE WHEN {self.raw} IS NULL THEN {condition} ELSE false END"

    def typed(self, wanted: str, spelled: str | None = None) -> str:
        """Write SQL for the cell in the column's type, else NULL; `spelled` is a timestamp's format."""
        if self.written is not None:
            return self.raw
        if wanted == "timestamp" and spelled is not None and not self.native.startswith(_WRITTEN_AS_TIMES):
            return f"try_strptime({self.text}, {text(spelled)})"
        native = _FROM_NATIVE.get((wanted, self.native))
        return native.format(self.raw) if native else _FROM_TEXT[wanted].format(self.text)


ABSENT = Cell("NULL::VARCHAR")


def sql_type(column_type: str) -> str:
    return _SQL_TYPES[column_type]


def named(cells: Mapping[str, Cell], columns: Mapping[str, Column], names: Sequence[str]) -> str:
    """Write the select list of a contract's columns in their types; NULL for a cell of another type."""
    values = _typed(cells, columns, names)
    return ", ".join(f"{value} AS {identifier(name)}" for name, value in values.items()) or "1 AS nothing"


def keyed(cells: Mapping[str, Cell], columns: Mapping[str, Column], names: Sequence[str]) -> str:
    """Write the same with unique names: k0, k1, ..."""
    values = _typed(cells, columns, names)
    return ", ".join(f"{value} AS k{index}" for index, value in enumerate(values.values()))


def _typed(cells: Mapping[str, Cell], columns: Mapping[str, Column], names: Sequence[str]) -> dict[str, str]:
    values = {name: cells.get(name, ABSENT).typed(columns[name].type, columns[name].format) for name in names}
    return {name: f"CAST({value} AS {sql_type(columns[name].type)})" for name, value in values.items()}


def is_of_rows(check: Check) -> bool:
    """Tell whether a single row can break the check."""
    return KINDS[check.kind].condition is not None


def is_of_values(check: Check) -> bool:
    """Tell whether the check is about the cell in the column's type."""
    return "{typed}" in (KINDS[check.kind].condition or "")


def condition(check: Check, cell: Cell) -> str:
    """Write SQL for when a row breaks the check; NULL, which counts as no, if nothing can be compared."""
    wanted = check.type or "string"
    several = check.limit if isinstance(check.limit, tuple) else ()
    return (KINDS[check.kind].condition or "false").format(
        missing=cell.missing,
        invalid=cell.invalid(wanted, check.format),
        text=cell.text,
        typed=cell.typed(wanted, check.format),
        limit=_literal(check.limit, check.type),
        limits=listed(several, check.type),
    )


def listed(values: Any, column_type: str | None) -> str:
    """Write values for IN ()."""
    return ", ".join(_literal(value, column_type) for value in values)


def _literal(value: Any, column_type: str | None) -> str:
    if isinstance(value, str):
        return f"TIMESTAMP {text(value)}" if column_type == "timestamp" else text(value)
    return str(value)


def text(value: str) -> str:
    """Write a string as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def is_beyond_doubles(mean: float | None, std: float | None, least: float, greatest: float) -> bool:
    """Tell whether a sum exceeded a double's range, or squares were too great or too small."""
    moments = (mean or 0.0, std or 0.0)
    return not all(map(math.isfinite, moments)) or (std == 0 and least < greatest)


def scaled(aggregates: Iterable[str], number: str | None, scale: float) -> list[str]:
    """Write aggregates, such as avg, that do not overflow for numbers up to a scale."""
    return [f"{aggregate}({number} / {scale!r}) * {scale!r}" for aggregate in aggregates]
