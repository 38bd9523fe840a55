"""Read predictions.parquet, with DuckDB, within the limits of predictions.csv."""

# ruff: noqa: S608 - paths and names are quoted before they go into SQL

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from sluice.domain.predictions import table
from sluice.domain.predictions.table import Predictions, PredictionsError
from sluice.quality.engine import parquet_footer
from sluice.quality.engine.database import Database, EngineLimitError
from sluice.quality.engine.limits import UnreadableError
from sluice.quality.engine.sql import identifier, text

_MEMORY_MB = 384
_MAX_S = 120.0


def read_parquet(data: bytes) -> Predictions:
    """Read a Parquet file's bytes; raises PredictionsError."""
    if len(data) > table.MAX_BYTES:
        raise table.too_large(len(data))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / table.PARQUET
        path.write_bytes(data)
        try:
            return _read(path, Path(folder), hashlib.sha256(data).hexdigest())
        except (UnreadableError, EngineLimitError) as error:
            reason = str(error).replace(parquet_footer.NO_FILE, "is no Parquet file, or a damaged one")
            raise PredictionsError(
                f"{reason}: write it with a library for Parquet, or as {table.CSV}"
            ) from None


def _read(path: Path, folder: Path, sha256: str) -> Predictions:
    header = parquet_footer.columns(path)
    table.check_header(header)
    spill = folder / "spill"
    spill.mkdir()
    database = Database(_MEMORY_MB, spill, max_s=_MAX_S)
    try:
        database.restrict([path])
        relation = f"read_parquet({text(str(path))})"
        ((rows,),) = database.query(f"SELECT count(*) FROM {relation}")
        if rows > table.MAX_ROWS:
            raise PredictionsError(
                f"has {rows:,} rows, at most {table.MAX_ROWS:,}: write a sample of the hold-out"
            )
        wanted = ", ".join(f"coalesce(CAST({identifier(name)} AS VARCHAR), '')" for name in header)
        found = database.query(f"SELECT {wanted} FROM {relation}")
    finally:
        database.close()
    columns = list(zip(*found, strict=True)) if found else [()] * len(header)
    return table.build(dict(zip(header, columns, strict=True)), sha256, first_line=1)
