"""Run the console of the local cloud in the background, at an address that stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from sluice_cli import cloud
from sluice_cli import target as targets
from sluice_cli.console import serving
from sluice_local.state import state_lock


def start(stack: str) -> str:
    """Start the console unless it is running; returns the address to open.

    It listens at once and answers once it is loaded, so nobody waits for it here.
    """
    known = _read(stack)
    if known and _is_alive(known):
        return str(known["url"])
    key = known.get("key") or serving.new_key()
    with serving.listen(int(known.get("port") or 0)) as listening:
        url, port = serving.address(listening, key), listening.getsockname()[1]
        with _file(stack).with_suffix(".log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "sluice_cli.console", str(listening.fileno()), stack],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[listening.fileno()],
                start_new_session=True,
            )
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        # Not as an argument: all users of a machine can read those.
        process.stdin.write(key.encode())
        process.stdin.close()
    born = state_lock.birth(process.pid)
    cloud.adopt(process)
    serving.write_private(
        _file(stack), {"pid": process.pid, "born": born, "port": port, "key": key, "url": url}
    )
    return url


def stop() -> None:
    """Stop the consoles of the local cloud; their addresses stay for the next time."""
    for path in targets.home().glob("console-*.json"):
        if _is_alive(known := _load(path)):
            cloud.stop_process(known["pid"])


def _file(stack: str) -> Path:
    return targets.home() / f"console-{stack}.json"


def _read(stack: str) -> dict[str, Any]:
    return _load(_file(stack))


def _load(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        found = json.loads(path.read_text())
    return found


def _is_alive(known: dict[str, Any]) -> bool:
    """Tell whether the process is the one that was started: ids are reused."""
    return bool(known) and cloud.is_alive(int(known["pid"]), known["born"])


def has_ended(parent: int) -> bool:
    """Tell whether the local cloud that a console belongs to is gone."""
    with suppress(OSError):
        os.kill(parent, 0)
        return targets.local_pid() != parent
    return True
