"""An engine over files whose bytes a test gives."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sluice.domain.config.models import Data
from sluice.quality import validation
from sluice.quality.engine import DataFile, Engine
from sluice.quality.validation import Report

SCHEMA = {"x": {"type": "number", "min": 0, "max": 100}, "y": {"type": "integer", "allowed": [0, 1]}}
NOW = datetime(2026, 1, 2, tzinfo=UTC)
Inspect = Callable[..., Report]


def inspector(folder: Path) -> Inspect:
    """A function from files' bytes and parts of a contract to the report."""

    def inspect(
        *bodies: bytes,
        data_format: str = "csv",
        limits: dict[str, Any] | None = None,
        previous_rows: int | None = None,
        **contract: Any,
    ) -> Report:
        data = Data.model_validate(
            {"format": data_format, "label": "y", "schema": SCHEMA, **contract}, strict=False
        )
        files = []
        for index, body in enumerate(bodies):
            (folder / f"{index}").write_bytes(body)
            files.append(DataFile(f"p/{index}", folder / f"{index}"))
        given = {"memory_mb": 256, **(limits or {})}
        with Engine(given.pop("memory_mb"), folder / "spill", **given) as engine:
            found = engine.inspect(files, data, now=NOW)
        return validation.report(
            found.rows,
            found.findings,
            found.problems,
            now=NOW,
            previous_rows=previous_rows,
            redact=data.redact,
        )

    return inspect
