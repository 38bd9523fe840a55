"""The local cloud ends without a word while a run is under way, is started again, and the loop goes on."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from e2e.loop import TINY, Loop, rows
from sluice.containers.processes import seen_below
from sluice_cli import cloud, continuing, waiting
from sluice_cli.target import Target, local_pid, local_state_dir
from sluice_local.state.files import StateFiles

pytestmark = pytest.mark.thorough


# The run that is cut off trains for longer than a save may let wait, and the one after it does not.
SLOW = """import os, time
time.sleep(600 * ("{run_id}" in os.environ["TRAINING_JOB_NAME"]))
"""


def is_saved(text: str) -> bool:
    """Whether the last save knows it, in the records of executions and of the catalog."""
    files = StateFiles(local_state_dir() / "saved")
    manifest = next(files.manifests())
    return text.encode() in files.get(manifest["parts"]["services"]["digest"])


def kill() -> None:
    """End the cloud, its guardian and all that they run, as a power cut does."""
    guardian = local_pid()
    assert guardian is not None
    for pid in (*seen_below(guardian), guardian):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    waiting.until(lambda: local_pid() is None or None, timeout_s=120, what="the end of the cloud")


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads the process table of Linux")
def test_after_a_kill_the_run_has_failed_the_model_serves_and_the_next_upload_builds(
    loop: Loop, stack: Target
) -> None:
    loop.push()
    assert loop.run_after("part-1.csv", rows(100, seed=1))["status"] == "registered"
    assert loop.release_after(1)["status"] == "released"
    script = (TINY / "src/train.py").read_text()
    known = waiting.run_ids(stack, loop.pipeline)
    loop.push(train=SLOW.format(run_id=f"{loop.pipeline}-00002") + script)
    loop.upload("part-2.csv", rows(100, seed=2))  # unless the push has started the run already
    run_id = waiting.new_run(stack, loop.pipeline, known, timeout_s=120)
    assert run_id == f"{loop.pipeline}-00002"
    waiting.until(lambda: is_saved(f"{run_id}-train-0") or None, timeout_s=120, what="a save")
    kill()

    ready = cloud.start(auth=True)
    assert ready["endpoint_url"] == stack.endpoint_url
    assert cloud.is_deployed(ready, stack=stack.stack)
    continuing.wait_for_endpoints(stack)
    run = waiting.run_end(stack, loop.pipeline, run_id, lambda doing: None, timeout_s=120)
    assert run["status"] == "failed"
    assert "LocalCloud.Interrupted" in str(run["reasons"])
    assert loop.predict()["model_version"] == "1"
    # What the failed run took up waits for the next one, which may have started by itself.
    loop.upload("part-3.csv", rows(100, seed=3))
    assert loop.next_run(known | {run_id})["status"] == "registered"
