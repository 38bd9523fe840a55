"""A container whose processes hold more than its instance has is ended, as its kernel would."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sluice_local import namespace
from sluice_local.sagemaker.containers.container import Container

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="reads the process table of Linux")
HOLD = "import subprocess, sys, time; held = b'x' * (int(sys.argv[1]) << 20); time.sleep(float(sys.argv[2]))"
BY_A_CHILD = (
    "import subprocess, sys; "
    f"subprocess.run([sys.executable, '-c', {HOLD!r}, *sys.argv[1:]], start_new_session=True)"
)


def container(tmp_path: Path, script: str, *arguments: str, memory_mb: int | None) -> Container:
    command = [sys.executable, "-I", "-S", namespace.__file__, str(os.getpid()), "none", "/ml", "/stage"]
    process = subprocess.Popen(
        [*command, str(tmp_path), sys.executable, "-c", script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    return Container(process, memory_mb)


@pytest.mark.parametrize("script", [HOLD, BY_A_CHILD], ids=["itself", "a child"])
def test_it_ends_with_all_below_it_as_after_sigkill(tmp_path: Path, script: str) -> None:
    greedy = container(tmp_path, script, "200", "600", memory_mb=100)
    assert greedy.wait() == 137
    assert greedy.is_out_of_memory
    greedy.output.close()


@pytest.mark.parametrize(("held", "limit"), [("20", 400), ("200", None)])
def test_what_keeps_its_limit_or_has_none_ends_by_itself(
    tmp_path: Path, held: str, limit: int | None
) -> None:
    modest = container(tmp_path, HOLD, held, "0.3", memory_mb=limit)
    assert (modest.wait(), modest.is_out_of_memory) == (0, False)
    modest.output.close()


def test_one_that_starts_beside_a_modest_one_is_looked_at_at_once(tmp_path: Path) -> None:
    # The modest one is so far from its limit that nobody would look for a second.
    modest = container(tmp_path, HOLD, "1", "5", memory_mb=100_000)
    time.sleep(0.3)
    greedy = container(tmp_path, HOLD, "200", "0.7", memory_mb=100)
    assert greedy.wait() == 137
    modest.stop(0)
    for each in (modest, greedy):
        each.output.close()
