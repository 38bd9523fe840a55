"""Validate files against a data contract: what the function and `sluice validate` do alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sluice.adapters.engine import DataFile, Engine
from sluice.domain import validation
from sluice.domain.config.models import Data
from sluice.domain.validation import Report


@dataclass(frozen=True, slots=True)
class Limits:
    """What a validation may use: memory, seconds, and a folder for what does not fit into memory."""

    memory_mb: int
    max_s: float | None
    folder: Path


@dataclass(frozen=True, slots=True)
class Baseline:
    """The data set version that a new one is held against."""

    version: str
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict, and the documents about it by file name."""

    report: Report
    documents: Mapping[str, bytes]


def validate(
    files: Sequence[DataFile],
    data: Data,
    *,
    limits: Limits,
    now: datetime,
    baseline: Baseline | None = None,
) -> Outcome:
    """Hold the files against the contract; raises EngineLimitError when the limits do not suffice."""
    with Engine(limits.memory_mb, limits.folder / "spill", max_s=limits.max_s) as engine:
        found = engine.inspect(files, data)
    report = validation.report(
        found.rows,
        found.findings,
        found.problems,
        previous_rows=baseline.rows if baseline else None,
        now=now,
        redact=data.redact,
    )
    return Outcome(report, {"report.json": report.to_json()})
