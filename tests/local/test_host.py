"""The local cloud as a process: where it listens, what it writes, and that nothing of it is left."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from local.functions import alive, create_function, invoke, wait_for
from sluice_local.cloud import LocalCloud, LocalCloudError
from sluice_local.host import free_socket

# Starts a child in a session of its own, which starts another that ignores what can be ignored.
SPAWNER = """
import os, subprocess, sys
GRANDCHILD = '''
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
'''
CHILD = '''
import subprocess, sys
grandchild = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
print(grandchild.pid, flush=True)
grandchild.wait()
'''
def handler(event, context):
    command = [sys.executable, "-c", CHILD, GRANDCHILD]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    (grandchild,) = {child.stdout.readline().strip(), child.stdout.readline().strip()} - {"ready"}
    return [os.getpid(), child.pid, int(grandchild)]
"""


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_the_ready_file_says_where_it_answers_and_is_gone_when_it_does_not(state_dir: Path) -> None:
    with LocalCloud(state_dir) as cloud:
        ready = json.loads((state_dir / "ready.json").read_text())
        assert ready == {
            "pid": cloud.pid,
            "port": ready["port"],
            "endpoint_url": f"http://127.0.0.1:{ready['port']}",
            "account": "000000000000",
            "region": "us-east-1",
            "auth": False,
        }
        assert cloud.endpoint_url == ready["endpoint_url"]
        identity = cloud.client("sts").get_caller_identity()
        assert identity["Arn"] == "arn:aws:iam::000000000000:root"
    assert not (state_dir / "ready.json").exists()


def test_it_listens_on_loopback_alone(cloud: LocalCloud) -> None:
    port = int(cloud.endpoint_url.rsplit(":", 1)[1])
    with socket.socket() as sock:
        assert sock.connect_ex(("127.0.0.1", port)) == 0
    with socket.socket() as sock:  # would reach a socket that is bound to every address
        assert sock.connect_ex(("127.0.0.2", port)) != 0


def test_what_it_writes_is_in_the_state_directory(state_dir: Path, unique: Callable[[str], str]) -> None:
    with LocalCloud(state_dir) as cloud:
        name = unique("writes")
        source = (
            "import os, tempfile\ndef handler(event, context):\n"
            "    os.mkdir(f'{tempfile.gettempdir()}/{event}')\n    os.mkdir(f'/tmp/{event}-spelt')"
        )
        create_function(cloud, name, source)
        _answer, error = invoke(cloud, name, name)
        assert error is None
        written = {path.name for path in state_dir.rglob(f"{name}*")}
        assert {name, f"{name}-spelt"} <= written
        assert not {path.name for path in Path("/tmp").glob(f"{name}*")}
        assert any(path.read_text() == source for path in state_dir.rglob("app.py"))


@pytest.mark.thorough
@pytest.mark.skipif(not Path("/proc").exists(), reason="reads the process table of Linux")
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda item: item.name
)
@pytest.mark.parametrize("victim", ["guardian", "host"])
def test_no_process_outlives_it(
    state_dir: Path, unique: Callable[[str], str], number: signal.Signals, victim: str
) -> None:
    cloud = LocalCloud(state_dir).start()
    try:
        name = unique("spawner")
        create_function(cloud, name, SPAWNER)
        processes, error = invoke(cloud, name)
        assert error is None
        (host,) = children(cloud.pid)
        processes += [cloud.pid, host]
        assert all(alive(pid) for pid in processes)
        os.kill({"guardian": cloud.pid, "host": host}[victim], number)
        wait_for(lambda: not any(alive(pid) for pid in processes))
    finally:
        cloud.stop()


def test_a_port_that_is_taken_is_an_error_that_says_so(state_dir: Path) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        with pytest.raises(LocalCloudError) as raised:
            LocalCloud(state_dir, "--port", str(port)).start()
    _, _, said = str(raised.value).partition("\n")
    assert said.strip() == (
        f"error: Port {port} of 127.0.0.1 is already in use by another program. "
        "Name another with --port, or 0 for any free one."
    )


def test_a_cloud_that_cannot_become_ready_ends_at_once_and_says_why(state_dir: Path) -> None:
    (state_dir / "ready.tmp").mkdir(parents=True)  # where the ready file is drafted
    command = [sys.executable, "-m", "sluice_local", "--state-dir", str(state_dir)]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("IsADirectoryError: ")


def test_a_second_cloud_does_not_take_a_folder_from_the_first(cloud: LocalCloud) -> None:
    with pytest.raises(
        LocalCloudError, match=f"error: .* belongs to another local cloud: process {cloud.pid}"
    ):
        LocalCloud(cloud.state_dir).start()
    assert json.loads((cloud.state_dir / "ready.json").read_text())["pid"] == cloud.pid
    assert cloud.client("sts").get_caller_identity()


def test_two_clouds_do_not_see_each_other(cloud: LocalCloud, state_dir: Path) -> None:
    with LocalCloud(state_dir) as other:
        other.client("s3").create_bucket(Bucket="only-in-the-other")
        names = [bucket["Name"] for bucket in cloud.client("s3").list_buckets()["Buckets"]]
        assert "only-in-the-other" not in names


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_the_second_piece_of_an_answer_is_sent_before_the_first_is_acknowledged() -> None:
    with free_socket() as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.proto == socket.IPPROTO_TCP  # by which asyncio knows that it may
