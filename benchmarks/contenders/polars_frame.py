"""The file as a polars frame, for the contenders that work on one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
from task import COLUMNS, Rules

DTYPES = {
    "integer": pl.Int64,
    "number": pl.Float64,
    "string": pl.String,
    "timestamp": pl.Datetime("us"),
    "boolean": pl.Boolean,
}


def load(path: Path, data_format: str) -> pl.DataFrame:
    """Return the file with the columns' types."""
    if data_format == "csv":
        return pl.read_csv(path, schema={name: DTYPES[rules.type] for name, rules in COLUMNS.items()})
    casts = [pl.col(name).cast(DTYPES[rules.type]) for name, rules in COLUMNS.items()]
    return pl.read_parquet(path).with_columns(casts)


def bound(rules: Rules, value: Any) -> Any:
    return pl.Series([value]).str.to_datetime("%Y-%m-%d")[0] if rules.type == "timestamp" else value
