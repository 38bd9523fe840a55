"""Run as a script: start scripts as forks of a waiting interpreter, and as processes of their own.

    python warm_world.py ENVIRONMENT < [{"command", "variables", "folder", "cold", "seen", "hurry"}, ...]

A process of its own, as it becomes unreadable and the parent of orphans. It answers with a JSON list of
`[exit code, output, peak in MB]`. `seen` is a file that is made once it was seen what a script has loaded;
who is in a hurry leaves what waits to the next one, ready or not, and has no fork made ahead.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from sluice.containers import processes
from sluice.containers.environments import Python
from sluice.containers.warm import Warm
from sluice_local import namespace


class Nobody:
    """Nothing waits: each script is a new process."""

    def __init__(self) -> None:
        self.pids = set[int]()

    def fork(
        self, command: Sequence[str], variables: Mapping[str, str], working_dir: Path
    ) -> tuple[int, IO[bytes]] | None:
        return None

    def look(self, pid: int) -> None:
        return None


def ran(warm: Warm, python: Python, case: Mapping[str, Any], own: Mapping[str, str]) -> Any:
    waiting = Nobody() if case.get("cold") else warm
    variables = {**python.variables, **own, **case["variables"]}
    command = python.command(case["command"])
    process = processes.Process(command, variables, Path(case["folder"]), waiting)
    if seen := case.get("seen"):
        while not warm._modules and not process.has_ended():
            time.sleep(0.01)
        Path(seen).touch()
    output = b""
    with process.output as file:
        while data := file.read(1 << 16):
            output += data
    process.wait(60)
    processes.end_children(warm.pids)
    return [process.exit_code, output.decode(errors="backslashreplace"), process.peak_mb]


def main(environment: str) -> None:
    namespace.drop_capabilities()  # the superuser could read everything
    processes.shield()
    python = Python(Path(environment))
    own = {"HOME": "/nowhere", "TMPDIR": "/tmp"}
    warm = Warm(python, own)
    results = []
    for case in json.load(sys.stdin):
        warm.go_on()
        if not case.get("hurry"):
            warm.fork_ahead()
        results.append(ran(warm, python, case, own))
        warm.rest()
        warm.start()
        if not case.get("hurry"):
            warm.go_on()
            warm._hears(b"r", 20)
            warm.start()
    warm.end()
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
