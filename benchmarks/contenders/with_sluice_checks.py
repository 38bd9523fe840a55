"""Sluice's checks alone, for what draws no profile: no profile, no drift, no page."""

from __future__ import annotations

import tempfile
from pathlib import Path

from task import Answer, main, rules_count
from with_sluice import MEMORY_MB, broken, contract

from sluice.quality import validation
from sluice.quality.engine import DataFile, Engine


def solve(path: Path, data_format: str) -> Answer:
    with (
        tempfile.TemporaryDirectory(dir=path.parent) as folder,
        Engine(MEMORY_MB, Path(folder) / "spill") as engine,
    ):
        found = engine.inspect([DataFile(path.name, path)], contract(data_format))
    report = validation.report(found.rows, found.findings, found.problems, object_rows=found.object_rows)
    return Answer(report.rows, broken(report), rules_count(), profiled=False)


if __name__ == "__main__":
    main(solve)
