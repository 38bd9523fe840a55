"""What an interpreter that waits is to load, and jobs when there is none."""

from __future__ import annotations

import json
import mmap
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from sluice.containers.environments import Python
from sluice.containers.warm import Warm


@pytest.fixture
def python(tmp_path: Path) -> Python:
    made = Python(tmp_path)
    for package in ("xgboost", "sklearn/linear_model"):
        (made.site_packages / package).mkdir(parents=True)
    (made.site_packages / "xgboost/__init__.py").touch()
    return made


@pytest.mark.parametrize(
    ("path", "module"),
    [
        ("sklearn/linear_model/_sgd_fast.cpython-{tag}.so", "sklearn.linear_model._sgd_fast"),
        ("_cffi_backend.abi3.so", "_cffi_backend"),
        ("xgboost/lib/libxgboost.so", "xgboost"),
        ("numpy.libs/libopenblas-0.so", ""),
        ("sklearn/libgomp.so", ""),
        ("odd-name/x.abi3.so", ""),
        ("a b/x.so", ""),
    ],
)
def test_a_mapped_file_is_a_module_or_says_which_package_was_loaded(
    python: Python, path: str, module: str
) -> None:
    tag = EXTENSION_SUFFIXES[0].removeprefix(".cpython-").removesuffix(".so")
    assert Warm(python, {})._module(path.format(tag=tag)) == module


def test_a_job_does_without_an_interpreter_that_cannot_be_started(
    python: Python, capsys: pytest.CaptureFixture[str]
) -> None:
    warm = Warm(python, {})
    assert warm.fork(["python3", "x.py"], {}, Path("/")) is None
    warm._modules.add("xgboost")
    (python.folder / "bin").mkdir()
    (python.folder / "bin/python3").symlink_to("/nowhere")
    warm._variables["PATH"] = "/nowhere"
    warm.start()
    assert "no interpreter waits" in capsys.readouterr().out
    assert not warm.pids
    warm.start()
    assert capsys.readouterr().out == "", "it is not tried again for the same modules"
    assert warm.fork([str(python.folder / "bin/python3"), "x.py"], {}, Path("/")) is None


def test_a_script_s_end_does_not_tell_that_it_did_without_packages(python: Python) -> None:
    warm = Warm(python, {})
    with mapped(python.site_packages / "xgboost/core.so"):
        warm.look(os.getpid())
    assert warm._needs == {"": True}
    with subprocess.Popen(["/bin/true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        warm.look(process.pid)
    assert warm._needs == {"": True}


@contextmanager
def mapped(path: Path) -> Iterator[None]:
    path.write_bytes(b"x")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as pages:
        assert pages[0]
        yield


@pytest.fixture
def ready(python: Python) -> Iterator[tuple[Warm, socket.socket]]:
    """An interpreter that has loaded all, and its end of the control socket."""
    warm = Warm(python, {})
    warm._control, its = socket.socketpair()
    warm._heard = b"sr"
    yield warm, its
    warm.end()
    its.close()


def forked(its: socket.socket) -> socket.socket:
    """Do what the interpreter does when it is asked; returns the new process's socket."""
    _, (mine, output), *_ = socket.recv_fds(its, 1, 2)
    os.close(output)
    return socket.socket(socket.AF_UNIX, fileno=mine)


def test_a_fork_is_asked_for_once_and_before_its_script_is_known(
    python: Python, ready: tuple[Warm, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    warm, its = ready
    warm.fork_ahead()
    with forked(its) as process, process.makefile("rb") as file:
        process.sendall(b"4711")
        monkeypatch.setattr(os, "waitid", lambda *_: None)
        started = warm.fork([str(python.folder / "bin/python3"), "x.py"], {"A": "b"}, Path("/"))
        assert started is not None
        assert json.loads(file.read())["variables"] == {"A": "b"}
    started[1].close()
    assert started[0] == 4711
    its.setblocking(False)
    with pytest.raises(BlockingIOError):
        its.recv(1)


@pytest.mark.parametrize("how", ["a job that has no script", "a command that is no script"])
def test_a_fork_that_gets_no_script_is_told_so(ready: tuple[Warm, socket.socket], how: str) -> None:
    warm, its = ready
    warm.fork_ahead()
    with forked(its) as process:
        if how == "a job that has no script":
            warm.rest()
        else:
            assert warm.fork(["/bin/sh"], {}, Path("/")) is None
        assert process.recv(1) == b""


def test_a_fork_that_ends_before_its_script_leaves_nothing_open(
    python: Python, ready: tuple[Warm, socket.socket]
) -> None:
    warm, its = ready
    open_before = os.listdir("/proc/self/fd")
    warm.fork_ahead()
    forked(its).close()
    assert warm.fork([str(python.folder / "bin/python3"), "x.py"], {}, Path("/")) is None
    # The interpreter itself is ended too: so is the socket to it.
    assert len(os.listdir("/proc/self/fd")) == len(open_before) - 1


def test_no_fork_is_asked_for_ahead_of_what_still_loads(ready: tuple[Warm, socket.socket]) -> None:
    warm, its = ready
    warm._heard = b"s"
    warm.fork_ahead()
    its.setblocking(False)
    with pytest.raises(BlockingIOError):
        its.recv(1)
