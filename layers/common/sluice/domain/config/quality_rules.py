"""Rules between the checks of a data contract and its columns."""

from __future__ import annotations

from collections.abc import Iterator

from sluice.domain.config import checks
from sluice.domain.config.models import Data, PipelineConfig
from sluice.domain.config.problems import Breach
from sluice.domain.nearest import nearest

_Loc = tuple[str | int, ...]


def known_columns(config: PipelineConfig) -> Iterator[Breach]:
    """Require that the schema has every column that the contract names."""
    columns = config.data.columns
    for loc, column in _named(config.data):
        if column not in columns:
            yield Breach(loc, f"is {column!r}", f"one of {', '.join(columns)}", nearest(column, columns))


def _named(data: Data) -> Iterator[tuple[_Loc, str]]:
    yield ("data", "label"), data.label
    for index, name in enumerate(data.redact):
        yield ("data", "redact", index), name
    for index, key in enumerate(data.keys):
        yield from ((("data", "keys", index, at), name) for at, name in enumerate(key))
    for index, check in enumerate(data.quality):
        if (column := getattr(check, "column", None)) is not None:
            yield ("data", "quality", index, "column"), column


def distinct_columns(config: PipelineConfig) -> Iterator[Breach]:
    """Require that names differ in more than case: in queries, as in SQL, case does not count."""
    seen: dict[str, str] = {}
    for name in config.data.columns:
        if (other := seen.setdefault(name.casefold(), name)) != name:
            yield Breach(("data", "schema", name), f"differs from {other!r} in case only", "another name")


def sound_csv(config: PipelineConfig) -> Iterator[Breach]:
    """Require a delimiter that is not the quote, and no CSV options for other formats."""
    data = config.data
    if data.csv.delimiter == data.csv.quote:
        yield Breach(("data", "csv", "quote"), "is the delimiter too", "another character")
    if data.format != "csv" and "csv" in data.model_fields_set:
        yield Breach(("data", "csv"), f"is given with format {data.format}", "format: csv with it")


def sound_columns(config: PipelineConfig) -> Iterator[Breach]:
    """Require that a column's constraints suit its type."""
    for name, column in config.data.columns.items():
        for constraint in checks.CONSTRAINTS:
            # Each constraint names its own fields.
            for field, message, expected in constraint.misfits(column):
                yield Breach(("data", "schema", name, field), message, expected)


def sound_quality(config: PipelineConfig) -> Iterator[Breach]:
    """Require that a quality check is consistent, suits its column, and does not clash with other checks."""
    placed = [(("data", "quality", index), check) for index, check in enumerate(config.data.quality)]
    for loc, check in placed:
        yield from check.breaches(loc, config.data.columns)
    for model in checks.CHECKS:
        yield from model.breaches_together(placed)
