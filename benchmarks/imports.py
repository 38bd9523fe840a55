"""Measure what a cold start of each function imports: modules of ours, and CPU time in a process of its own.

.venv/bin/python benchmarks/imports.py [--against CHECKOUT] [--quick] [--json FILE]

`--against` names another checkout, such as `git worktree add FOLDER COMMIT` makes: both are measured in turn,
with this one's packages. The time of the interpreter alone is subtracted. What each event of a function needs
is loaded with it in both, whichever of them waits for the event: it is part of the first answer.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
from pathlib import Path

from figures import Figure, arguments, report

REPOSITORY = Path(__file__).resolve().parent.parent
PYTHON = REPOSITORY / ".venv/bin/python"
REPETITIONS, QUICK_REPETITIONS = 25, 3
# Its exit status is the number of our modules that a function has loaded; their end is no part of a start.
IMPORT = "import app{needs}, os, sys; os._exit(sum(name.startswith('sluice.') for name in sys.modules))"
ALONE = "import os; os._exit(0)"
# An earlier stack loaded it with the first event.
EACH_EVENT_NEEDS = dict.fromkeys(
    ("build_environment", "compare_shadow", "deploy_model", "plan_release", "start_job", "transform_batch"),
    ", sluice.domain.config",
)


def run(code: str, *path: Path) -> tuple[float, int]:
    """Run code in a fresh process; return its CPU time in milliseconds, and its exit status."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, path))}
    process = subprocess.Popen([PYTHON, "-c", code], env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return (usage.ru_utime + usage.ru_stime) * 1000, process.returncode


def cold_ms(name: str, checkout: Path) -> tuple[float, int]:
    """Import a function once; return the CPU time of that in milliseconds, and the modules of ours."""
    return run(
        IMPORT.format(needs=EACH_EVENT_NEEDS.get(name, "")),
        checkout / "functions" / name,
        checkout / "layers/common",
    )


def typical(times: list[float]) -> float:
    """Return the mean of the faster half: what else the machine does only adds."""
    return statistics.mean(sorted(times)[: (len(times) + 1) // 2])


def figure_of(name: str, against: Path | None, repetitions: int) -> Figure:
    checkouts = [REPOSITORY, *([against] if against and (against / "functions" / name).exists() else [])]
    # The first import writes bytecode.
    modules = [cold_ms(name, checkout)[1] for checkout in checkouts]
    times: list[list[float]] = [[] for _ in checkouts]
    alone = []
    for _ in range(repetitions):
        alone.append(run(ALONE)[0])
        for checkout, measured in zip(checkouts, times, strict=True):
            measured.append(cold_ms(name, checkout)[0])
    own, *others = [typical(measured) - typical(alone) for measured in times]
    return Figure(f"{name} ({modules[0]} modules)", own, "ms", others[0] if others else None)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="another checkout to compare with")


def main() -> None:
    options = arguments(__doc__ or "", add_options)
    names = sorted(path.parent.name for path in REPOSITORY.glob("functions/*/app.py"))
    repetitions = QUICK_REPETITIONS if options.quick else REPETITIONS
    found = [figure_of(name, options.against, repetitions) for name in names]
    report("CPU time of a cold start's imports, and modules of ours", found, options.json)


if __name__ == "__main__":
    main()
