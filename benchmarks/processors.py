"""Seconds of the processor: of this process's children, and of a process with all that it started."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path


def children_cpu_s() -> float:
    """Return the processor seconds of this process's children that ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def tree_cpu_s(root: int) -> float:
    """Return the processor seconds of a process and of those below it, ended ones too."""
    below: dict[int, list[int]] = {}
    times: dict[int, float] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            # After the command's name: state, parent, …; times of its own and of children that ended.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            below.setdefault(int(fields[1]), []).append(int(folder.name))
            times[int(folder.name)] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    waits, total = [root], 0.0
    while waits:
        pid = waits.pop()
        total += times.get(pid, 0.0)
        waits += below.get(pid, ())
    return total
