"""Sluice: what the function and `sluice validate` run, with all the documents they write."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from task import COLUMNS, Answer, Rules, main, rules_count

from sluice.domain.config.models import Data
from sluice.quality import run
from sluice.quality.engine import DataFile
from sluice.quality.validation import Report

# What a function of 1 GB gives the engine.
MEMORY_MB = 600
NAMES = {"minimum": "min", "maximum": "max"}


def column(rules: Rules) -> dict[str, Any]:
    wanted = {
        "type": rules.type,
        "required": rules.required,
        "min": rules.minimum,
        "max": rules.maximum,
        "allowed": rules.allowed or None,
        "pattern": rules.pattern or None,
        "max_length": rules.max_length,
        "unique": rules.unique,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def contract(data_format: str) -> Data:
    schema = {name: column(rules) for name, rules in COLUMNS.items()}
    return Data.model_validate({"format": data_format, "label": "rating", "schema": schema})


def broken(report: Report) -> dict[str, int]:
    """Return the rows that break a rule, by the task's names."""
    theirs = {short: name for name, short in NAMES.items()}
    return {f"{v.column} {theirs.get(v.check, v.check)}": v.rows for v in report.violations}


def solve(path: Path, data_format: str) -> Answer:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        terms = run.Terms(contract(data_format), run.Baseline(), datetime.now(UTC))
        work = run.Work([DataFile(path.name, path)], terms, run.Limits(MEMORY_MB, None, Path(folder)))
        outcome = run.validate(work, title=path.name)
    is_profiled = "profile.json" in outcome.documents
    return Answer(outcome.report.rows, broken(outcome.report), rules_count(), profiled=is_profiled)


if __name__ == "__main__":
    main(solve)
