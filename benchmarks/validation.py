"""Measure validation against its floors and its peers: the same files and rules, one process each.

.venv/bin/python benchmarks/validation.py [--rows 1000000 ...] [--only with_sluice ...] [--max-s S] [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import environments
from contenders.task import Answer, planted, rules_count
from environments import FOLDER, FailedError, last_line
from figures import Figure, arguments, report

ROOT = Path(__file__).parents[1]
SIZES = (1_000_000, 10_000_000)
QUICK_ROWS = 100_000
# Numbers of rows are multiples of this, which planted violations divide.
UNIT = 100_000
# Share of free memory for a contender, so that one that takes all does not exhaust the machine.
MEMORY_SHARE = 0.85
MAX_S = 3600.0
QUICK_S = 55.0
# Switch off the contenders' telemetry.
QUIET = {"GX_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1", "WHYLOGS_NO_ANALYTICS": "True"}


@dataclass(frozen=True, slots=True)
class Contender:
    """A script of `contenders`, in this environment or in its own, made from its lock file."""

    name: str
    script: str
    environment: str | None = None


FLOOR = Contender("DuckDB, bare scan", "floor_duckdb")
CONTENDERS = (
    Contender("read the bytes", "floor_bytes"),
    FLOOR,
    Contender("DuckDB, by hand", "minimal_duckdb"),
    Contender("Sluice", "with_sluice"),
    Contender("Sluice, checks alone", "with_sluice_checks"),
    Contender("pandas", "with_pandas", "pandas"),
    Contender("pandera", "with_pandera", "pandera"),
    Contender("pointblank", "with_pointblank", "pointblank"),
    Contender("whylogs", "with_whylogs", "whylogs"),
    Contender("Great Expectations", "with_great_expectations", "great-expectations"),
    Contender("Evidently", "with_evidently", "evidently"),
)


@dataclass(frozen=True, slots=True)
class Run:
    """One process from start to end: people wait for imports too."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    answer: Answer


def data(rows: int) -> Path:
    """Generate the files; returns their path without extension."""
    folder = FOLDER / "data"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / f"{rows}.csv").exists():
        subprocess.run([sys.executable, script("generate"), folder, str(rows)], check=True)
    return folder / str(rows)


def script(name: str) -> Path:
    return Path(__file__).parent / "contenders" / f"{name}.py"


def measure(python: Path, contender: Contender, path: Path, data_format: str, max_s: float) -> Run:
    """Run the contender once, within the memory that is free."""
    memory = int(free_memory() * MEMORY_SHARE)
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            [python, "-W", "ignore", script(contender.script), path, data_format],
            stdout=out,
            stderr=errors,
            env={**os.environ, **QUIET},
        )
        resource.prlimit(process.pid, resource.RLIMIT_DATA, (memory, memory))
        alarm = threading.Timer(max_s, process.kill)
        alarm.start()
        # Popen.wait has no resource usage.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall_s = time.perf_counter() - start
        alarm.cancel()
        out.seek(0)
        errors.seek(0)
        if process.returncode:
            raise FailedError(why_failed(errors.read(), memory, max_s=max_s if wall_s >= max_s else None))
        answer = Answer(**json.loads(last_line(out.read())))
    return Run(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000, answer)


def why_failed(errors: str, memory: int, *, max_s: float | None) -> str:
    """Explain a failure by the process's last output; `max_s` is set if it was stopped after that."""
    if max_s is not None:
        return f"was stopped after {max_s:.0f} s"
    if not errors or any(sign in errors for sign in ("MemoryError", "emory allocation", "bad_alloc")):
        return f"needs more than the {memory / 1e9:.0f} GB of memory that are free"
    return f"failed: {last_line(errors)}"


def free_memory() -> int:
    """Return the bytes that are available without swapping."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))


def check(contender: Contender, answer: Answer, rows: int) -> None:
    """Raise if a contender's counts are wrong: then it measures something else."""
    truth = planted(rows)
    wrong = {rule: count for rule, count in answer.broken.items() if truth.get(rule) != count}
    missed = truth.keys() - answer.broken.keys() if answer.rules == rules_count() else ()
    if wrong or missed or answer.rows not in (rows, 0):
        raise FailedError(f"is wrong: {wrong or missed or answer.rows}")


def runs(
    contenders: Sequence[Contender], rows: int, data_format: str, *, quick: bool, max_s: float
) -> Iterator[tuple[Contender, Run | FailedError]]:
    """Yield each contender's figures, or why it has none."""
    path = data(rows).with_suffix(f".{data_format}")
    start = time.monotonic()
    for contender in contenders:
        try:
            python = environments.interpreter(contender.environment, may_install=not quick)
            left_s = max(0.1, QUICK_S - (time.monotonic() - start)) if quick else max_s
            run = measure(python, contender, path, data_format, left_s)
            check(contender, run.answer, rows)
        except FailedError as error:
            said: Run | FailedError = error
        else:
            said = run
        # A run of all takes hours, so print results at once.
        words = f"{said.cpu_s:.1f} s CPU, {said.peak_mb:.0f} MB" if isinstance(said, Run) else str(said)
        print(f"{path.name} {contender.name}: {words}", file=sys.stderr)
        yield contender, said


def figures_of(found: Sequence[tuple[Contender, Run]], prefix: str) -> Iterator[Figure]:
    """Yield CPU and time as multiples of the engine's bare scan, and peak memory."""
    floor = dict(found)[FLOOR]
    for contender, run in found:
        yield Figure(f"{prefix} {contender.name}: CPU", run.cpu_s, "s", floor.cpu_s, "bare scan")
        yield Figure(f"{prefix} {contender.name}: wall", run.wall_s, "s", floor.wall_s, "bare scan")
        yield Figure(f"{prefix} {contender.name}: peak", run.peak_mb, "MB")


def did(contender: Contender, answer: Answer) -> str:
    profile = "and a profile" if answer.profiled else "and no profile"
    return f"{contender.name}: {answer.rules} of {rules_count()} rules {profile}"


def main() -> None:
    def options(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--max-s", type=float, default=MAX_S, help="stop a contender after so long")
        parser.add_argument("--rows", type=int, nargs="+", default=SIZES, help="the files' sizes")
        scripts = [contender.script for contender in CONTENDERS]
        parser.add_argument("--only", nargs="+", choices=scripts, default=scripts, help="the contenders")

    chosen = arguments(__doc__ or "", options)
    contenders = [c for c in CONTENDERS if c.script in chosen.only or c == FLOOR]
    if any(rows % UNIT for rows in chosen.rows):
        raise SystemExit(f"--rows: multiples of {UNIT}")
    figures: list[Figure] = []
    notes: dict[str, None] = {}
    for rows in [QUICK_ROWS] if chosen.quick else chosen.rows:
        for data_format in ("csv",) if chosen.quick else ("csv", "parquet"):
            prefix = f"{rows / 1e6:g}M {data_format},"
            results = list(runs(contenders, rows, data_format, quick=chosen.quick, max_s=chosen.max_s))
            found = [(contender, run) for contender, run in results if isinstance(run, Run)]
            figures += figures_of(found, prefix)
            notes |= {did(contender, run.answer): None for contender, run in found if run.answer.rules}
            notes |= {f"{prefix} {c.name} {e}": None for c, e in results if isinstance(e, FailedError)}
    report("Validation of 20 columns", figures, chosen.json, list(notes))


if __name__ == "__main__":
    main()
