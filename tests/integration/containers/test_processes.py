"""Nothing of a job is left: no process, however it hid, and no file, however it is protected."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sluice.containers.processes import clear

ROOT = Path(__file__).parents[3]
Run = Callable[[str], str]

# A process of its own, as it becomes unreadable and the parent of orphans.
RUNNER = """
import os, subprocess, sys, time
from pathlib import Path
from sluice.containers import processes
from sluice_local import namespace
class Waiting:
    def __init__(self, pids):
        self.pids = pids
    def fork(self, *given):
        return None
    def look(self, pid):
        pass
namespace.drop_capabilities()  # the superuser could read everything
processes.shield()
script, folder = sys.argv[1], Path(sys.argv[2])
spared = [subprocess.Popen(["sleep", "600"])] if "one waits" in sys.argv[3] else []
waiting = Waiting({each.pid for each in spared})
command = [sys.executable, "-I", "-c", script]
process = processes.Process(command, {"PATH": os.environ["PATH"]}, folder, waiting)
out = process.output.readline().decode().strip()
process.wait(20)
names = processes.left_running(lambda: waiting.pids) if "named" in sys.argv[3] else None
processes.end_children(waiting.pids, processes.seen_below if "lists" in sys.argv[3] else None)
assert 0 < process.ran_s < 60
assert [each.poll() for each in spared] == [None] * len(waiting.pids)
for each in spared:
    each.kill()
    each.wait()
try:
    raise SystemExit(f"a child is left: {os.waitpid(-1, os.WNOHANG)}")
except ChildProcessError:
    pass
left = [int(pid) for pid in out.split() if Path(f"/proc/{pid}").exists()]
print(process.exit_code, out, "left:", left, process.peak_mb)
if names is not None:
    print(processes.told_of(names) if names else "nothing")
"""


@pytest.fixture(params=["nobody waits", "one waits", "one waits, the kernel's lists"])
def run(request: pytest.FixtureRequest) -> Run:
    return lambda script: play(script, request.param)


def play(script: str, waits: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, script, "/", waits],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT}/layers/common:{ROOT}/local",
            "SECRET": "of the runtime",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_children_that_left_the_session_and_were_forked_twice_are_ended(run: Run) -> None:
    script = """
import os, time
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        os.write(write, str(os.getpid()).encode())
        os.close(1)
        time.sleep(600)
    os._exit(0)
os.wait()
print(os.read(read, 20).decode(), flush=True)
"""
    said = run(script)
    assert said.startswith("0 ")
    assert said.split("left:")[0].split()[1].isdigit()
    assert "left: []" in said


def test_who_forks_and_ends_again_and_again_is_ended(run: Run) -> None:
    # Whoever looks for processes finds none that still is there.
    script = """
import ctypes, os, time
libc = ctypes.CDLL(None)
if os.fork() == 0:
    os.close(1), os.close(2)
    until = time.monotonic() + 8
    while time.monotonic() < until:
        if libc.fork():
            libc._exit(0)
    os._exit(0)
print("forked", flush=True)
time.sleep(.1)
"""
    assert run(script).startswith("0 forked")


def test_what_outlives_a_script_is_named_without_its_arguments() -> None:
    script = """
import subprocess, sys
quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
for _ in range(2):
    subprocess.Popen(["sleep", "600"], start_new_session=True, **quiet)
code = "open('/proc/self/comm', 'w').write('a\\\\nb'); print(1, flush=True); import time; time.sleep(600)"
named = subprocess.Popen([sys.executable, "-I", "-c", code, "--token=SECRET"], stdout=subprocess.PIPE)
named.stdout.readline()
print("left", flush=True)
"""
    said = play(script, "one waits, named").splitlines()[-1]
    assert said == "ended 3 processes that the script left running: sleep (2), a?b"


def test_what_ends_soon_after_the_script_was_not_left() -> None:
    script = """
import subprocess
subprocess.Popen(["sleep", "0.1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print("left", flush=True)
"""
    assert play(script, "nobody waits, named").splitlines()[-1] == "nothing"


def test_a_killed_script_ends_with_its_signal_and_its_peak_is_known(run: Run) -> None:
    script = """
import os, time
held = b"x" * (60 << 20)
print(len(held) >> 60, flush=True)
time.sleep(.3)
os.kill(os.getpid(), 9)
"""
    said = run(script)
    assert said.startswith("137 ")
    assert 60 <= int(said.split()[-1]) < 400


def test_the_memory_of_all_that_a_script_starts_counts_at_once(run: Run) -> None:
    script = """
import os, subprocess, sys, time
print(os.getpid(), flush=True)
child = "import time; held = b'x' * (50 << 20); time.sleep(.4)"
orphan = f"import subprocess, sys; subprocess.Popen([sys.executable, '-I', '-c', {child!r}])"
for code in (child, child, orphan):
    subprocess.Popen([sys.executable, "-I", "-c", code], start_new_session=True)
time.sleep(.5)
"""
    assert 150 <= int(run(script).split()[-1]) < 400


def test_the_runtime_s_variables_cannot_be_read_by_a_script(run: Run) -> None:
    script = """
import os
try:
    print(open(f"/proc/{os.getppid()}/environ").read().count("SECRET"), flush=True)
except PermissionError:
    print("refused", flush=True)
"""
    assert "refused" in run(script)


def test_files_and_folders_that_a_script_protected_are_deleted(tmp_path: Path) -> None:
    kept = tmp_path / "environments" / "abc"
    (kept / "lib").mkdir(parents=True)
    (tmp_path / "environments" / "other").mkdir()
    locked = tmp_path / "ml" / "deep" / "er"
    locked.mkdir(parents=True)
    (locked / "file").write_text("x")
    (tmp_path / "outside").symlink_to("/usr")
    for folder in (locked, locked.parent):
        folder.chmod(0)
    clear(tmp_path, [kept])
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == [
        "environments",
        "environments/abc",
        "environments/abc/lib",
    ]
    assert Path("/usr").is_dir()
