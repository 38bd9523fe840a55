"""Make environments for contenders, each from its lock file."""

from __future__ import annotations

import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".sluice/benchmarks"
UV = ROOT / ".venv/bin/uv"


class FailedError(Exception):
    """A contender has no figures; the message says why."""


def interpreter(environment: str | None, *, may_install: bool) -> Path:
    """Return an environment's Python, by default this one; make it anew if its lock file changed."""
    if environment is None:
        return Path(sys.executable)
    lock = ROOT / f"requirements/bench-{environment}.txt"
    folder = FOLDER / "envs" / environment
    python, made_from = folder / "bin/python", folder / "made-from"
    digest = sha256(lock.read_bytes()).hexdigest()
    if made_from.exists() and made_from.read_text() == digest:
        return python
    if not may_install:
        raise FailedError("is not set up yet: run once without --quick")
    shutil.rmtree(folder, ignore_errors=True)
    commands: tuple[list[str | Path], ...] = (
        ["venv", "--python", sys.executable, folder],
        ["pip", "sync", "--require-hashes", "--compile-bytecode", "--python", python, lock],
    )
    for command in commands:
        made = subprocess.run([UV, *command, "--quiet"], capture_output=True, text=True)
        if made.returncode:
            raise FailedError(f"cannot be installed: {last_line(made.stderr)}")
    made_from.write_text(digest)
    return python


def last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1][:300]
