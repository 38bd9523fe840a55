"""A container has its own /opt/ml and environment, and ends with all that it started."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from sluice_local.sagemaker.containers.container import Isolation, Sandbox, available_cpus, isolation
from sluice_local.sagemaker.containers.images import Environment

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="mount namespaces are Linux's")
ISOLATIONS = (
    [Isolation.NONE]
    if sys.platform != "linux"
    else [Isolation.USER, Isolation.NONE, *([Isolation.MOUNT] if isolation() is Isolation.MOUNT else [])]
)


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An image with one package, `shipped`."""
    environment = Environment(tmp_path_factory.mktemp("image"))
    environment.site_packages.mkdir(parents=True)
    environment.bin.mkdir()
    (environment.directory / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).resolve().parent}\n")
    (environment.site_packages / "shipped.py").write_text("VERSION = 1\n")
    return environment


@pytest.fixture(params=ISOLATIONS)
def sandbox(request: pytest.FixtureRequest, image: Environment, tmp_path: Path) -> Sandbox:
    made = Sandbox.create(tmp_path / "container", image)
    return Sandbox(made.directory, made.python, request.param)


def output(sandbox: Sandbox, *command: str, extra: Mapping[str, str] | None = None) -> list[str]:
    """What a command prints; it must succeed."""
    container = sandbox.start(command, {**sandbox.variables(2), **(extra or {})})
    with container.output as stream:
        text = stream.read().decode()
    assert container.wait() == 0, text
    return text.splitlines()


def test_what_is_written_below_opt_ml_is_the_sandbox_s(sandbox: Sandbox) -> None:
    output(sandbox, "sh", "-c", "echo hello > /opt/ml/greeting")
    assert (sandbox.ml / "greeting").read_text() == "hello\n"


def test_variables_and_arguments_that_name_opt_ml_lead_to_it(sandbox: Sandbox) -> None:
    (sandbox.ml / "greeting").write_text("hello")
    assert output(sandbox, "cat", "/opt/ml/greeting") == ["hello"]
    assert output(sandbox, "sh", "-c", 'cat "$WHERE/greeting"', extra={"WHERE": "/opt/ml"}) == ["hello"]


@linux_only
def test_the_rest_of_opt_stays_what_it_is(sandbox: Sandbox) -> None:
    outside = {path.name for path in Path("/opt").iterdir()}
    inside = set(output(sandbox, "ls", "-A", "/opt"))
    assert inside - outside == ({"ml"} - outside if sandbox.is_mapped else set())
    assert outside <= inside


@linux_only
def test_the_machine_sees_no_opt_ml_of_a_container(sandbox: Sandbox) -> None:
    before = Path("/opt/ml").exists()
    container = sandbox.start(["sleep", "60"], sandbox.variables(1))
    assert Path("/opt/ml").exists() == before
    container.stop(0)
    container.output.close()
    assert Path("/opt/ml").exists() == before


def test_its_python_is_the_image_s_and_sees_the_image_s_packages(sandbox: Sandbox) -> None:
    script = "import shipped, sys; print(shipped.VERSION, sys.prefix)"
    expected = [f"1 {sandbox.python.directory}"]
    assert output(sandbox, "python3", "-c", script) == expected
    assert output(sandbox, "python", "-c", script) == expected


def test_its_environment_is_clean(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_MACHINE", "1")
    monkeypatch.setenv("PIP_INDEX_URL", "https://packages.example")
    variables = dict(line.split("=", 1) for line in output(sandbox, "env"))
    assert "SECRET_OF_THE_MACHINE" not in variables
    assert variables["PIP_INDEX_URL"] == "https://packages.example"
    assert variables["OMP_NUM_THREADS"] == "2"
    assert "127.0.0.1" in variables["NO_PROXY"].split(",")
    assert Path(variables["HOME"]).is_relative_to(sandbox.directory)
    assert Path(variables["TMPDIR"]).is_relative_to(sandbox.directory)


def test_it_starts_in_a_directory_of_its_own_or_where_it_is_told(sandbox: Sandbox) -> None:
    assert output(sandbox, "pwd", "-P") == [str(sandbox.tmp.resolve())]
    container = sandbox.start(["pwd"], sandbox.variables(1), "/opt/ml")
    with container.output as stream:
        assert stream.read().decode().strip() == sandbox.inside("/opt/ml")


def test_sigterm_lets_it_end_by_itself(sandbox: Sandbox) -> None:
    script = "trap 'echo saved; exit 7' TERM; echo ready; while :; do sleep 0.05; done"
    container = sandbox.start(["sh", "-c", script], sandbox.variables(1))
    with container.output as stream:
        assert stream.readline() == b"ready\n"
        assert container.stop(grace_s=30) == 7
        assert stream.read() == b"saved\n"


def test_what_ignores_sigterm_is_killed_after_the_grace(sandbox: Sandbox) -> None:
    script = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    container = sandbox.start(["sh", "-c", script], sandbox.variables(1))
    with container.output as stream:
        stream.readline()
        started = time.monotonic()
        assert container.stop(grace_s=0.3) == 128 + signal.SIGKILL
    assert 0.3 <= time.monotonic() - started < 10


def test_children_end_with_the_container(sandbox: Sandbox) -> None:
    container = sandbox.start(["sh", "-c", "sleep 300 & echo started"], sandbox.variables(1))
    started = time.monotonic()
    with container.output as stream:
        assert stream.read() == b"started\n"  # and it is closed, as nobody is left to write
    assert container.wait() == 0
    assert time.monotonic() - started < 60


DETACHED = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if (child := os.fork()) == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
    os.write(1, f"{child}\\n".encode())
    os._exit(0)
os.wait()
exec(sys.argv[1])
"""


@linux_only
@pytest.mark.parametrize(
    ("then", "code"),
    [("sys.exit(0)", 0), ("sys.exit(3)", 3), ("os.kill(os.getpid(), 9)", 137), ("time.sleep(600)", 143)],
)
def test_a_child_in_a_session_of_its_own_does_not_outlive_the_container(
    sandbox: Sandbox, then: str, code: int
) -> None:
    container = sandbox.start(["python3", "-c", DETACHED, then], sandbox.variables(1))
    with container.output as stream:
        child = int(stream.readline())
        if code == 143:
            assert container.stop(grace_s=60) == code
        assert container.wait(60) == code
        assert stream.read() == b""
    assert not is_running(child)


@linux_only
def test_a_child_does_not_outlive_a_container_that_is_killed_after_the_grace(sandbox: Sandbox) -> None:
    stubborn = "signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
    container = sandbox.start(["python3", "-c", DETACHED, stubborn], sandbox.variables(1))
    with container.output as stream:
        child = int(stream.readline())
        stream.readline()
        assert container.stop(grace_s=0.1) == 137
    assert not is_running(child)


def test_what_signals_its_own_group_does_not_end_what_watches_it(sandbox: Sandbox) -> None:
    container = sandbox.start(
        ["python3", "-c", "import os; print('said', flush=True); os.killpg(0, 9)"], sandbox.variables(1)
    )
    with container.output as stream:
        assert stream.read() == b"said\n"
    assert container.wait() == 137


@pytest.mark.parametrize(("command", "code"), [("no-such-program", 127), ("/", 126)])
def test_a_command_that_cannot_run_has_a_shell_s_exit_code(sandbox: Sandbox, command: str, code: int) -> None:
    container = sandbox.start([command], sandbox.variables(1))
    with container.output as stream:
        assert stream.read().startswith(b"exec: ")
    assert container.wait() == code


def test_waiting_gives_up_after_the_timeout(sandbox: Sandbox) -> None:
    container = sandbox.start(["sleep", "60"], sandbox.variables(1))
    assert container.wait(0.05) is None
    container.stop(0)
    container.output.close()


@linux_only
def test_a_container_ends_with_the_process_that_started_it(sandbox: Sandbox, image: Environment) -> None:
    program = f"""
import time
from pathlib import Path
from sluice_local.sagemaker.containers.container import Isolation, Sandbox
from sluice_local.sagemaker.containers.images import Environment
sandbox = Sandbox(Path({str(sandbox.directory)!r}), Environment(Path({str(image.directory)!r})),
                  Isolation({sandbox.isolation.value!r}))
print(sandbox.start(["sleep", "300"], sandbox.variables(1)).pid, flush=True)
time.sleep(300)
"""
    host = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert host.stdout is not None
    with host, host.stdout as stream:
        pid = int(stream.readline())
        assert is_running(pid)
        host.kill()
    deadline = time.monotonic() + 60
    while is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_path_outside_of_opt_ml_is_no_path_of_the_sandbox(sandbox: Sandbox) -> None:
    assert sandbox.outside("/opt/ml/processing/input") == sandbox.ml / "processing/input"
    with pytest.raises(ValueError, match="/etc"):
        sandbox.outside("/opt/ml/../../etc")


def test_only_the_name_opt_ml_itself_is_translated(image: Environment, tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, image, Isolation.NONE)
    assert sandbox.inside("cat /opt/ml/a /opt/mlx/b") == f"cat {tmp_path}/ml/a /opt/mlx/b"


def test_instances_share_the_machine_s_processors() -> None:
    assert available_cpus(1) >= available_cpus(2) >= 1
    assert available_cpus(10_000) == 1


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
